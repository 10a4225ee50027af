#include "sim/whole_run/training_run.h"

#include <algorithm>
#include <cmath>

#include "core/plan/memory_bill.h"
#include "sim/whole_run/random.h"
#include "sim/whole_run/step_bill.h"

namespace pgram {

Bytes checkpoint_bytes(const Plan& plan) {
  Bytes bytes = 0;
  for (const MemoryBill& bill : memory_bill(plan)) {
    bytes += bill.bytes[static_cast<size_t>(RecordKind::parameter)];
    bytes += bill.bytes[static_cast<size_t>(RecordKind::optimizer)];
  }
  return bytes * plan.mesh.size[0];
}

std::optional<TrainingRun> training_run(Seconds step, Bytes checkpoint, uint32_t ranks, const Cluster& cluster) {
  if (!cluster.operation.failures || step <= 0) return std::nullopt;
  const Failures& failures = *cluster.operation.failures;
  const double nodes = nodes_of(ranks, cluster);
  TrainingRun run;
  run.step = step;
  run.checkpoint = static_cast<double>(checkpoint) / (nodes * failures.checkpoint_bytes_per_second);
  run.restart = failures.restart + run.checkpoint;  // reading takes as long as writing
  run.mtbf = failures.node_mtbf / nodes;
  return run;
}

namespace {

/// Casts what no number of steps of a real run exceeds.
uint64_t whole_number(double value) {
  return static_cast<uint64_t>(std::min(value, 0x1p62));
}

/// Time since the last restart, spent on steps and a checkpoint after every `every` of them.
struct Stretch {
  double checkpoints = 0;  ///< whole ones
  Seconds rest = 0;        ///< since the last of them
};

Stretch stretch_of(const TrainingRun& run, uint64_t every, Seconds time) {
  const Seconds cycle = static_cast<double>(every) * run.step + run.checkpoint;
  Stretch stretch;
  stretch.checkpoints = std::floor(time / cycle);
  stretch.rest = std::clamp(time - stretch.checkpoints * cycle, 0.0, cycle);
  return stretch;
}

}  // namespace

RunRecord simulate_run(const TrainingRun& run, uint64_t every, Seconds wall, std::span<const Seconds> failures,
                       std::vector<Recovery>* recoveries) {
  RunRecord record;
  const Seconds work = static_cast<double>(every) * run.step;
  const auto keep = [&](const Stretch& stretch) {
    record.steps += whole_number(stretch.checkpoints) * every;
    record.useful += stretch.checkpoints * work;
    record.checkpoints += stretch.checkpoints * run.checkpoint;
  };
  Seconds at_work = 0;  // since when, or from when on
  for (const Seconds failure : failures) {
    if (failure >= wall) break;
    ++record.failures;
    Seconds lost = 0;
    if (failure > at_work) {
      const Stretch stretch = stretch_of(run, every, failure - at_work);
      keep(stretch);
      record.lost += lost = stretch.rest;
    } else {
      record.restarts -= at_work - failure;  // that restart was cut short
    }
    record.restarts += run.restart;
    at_work = failure + run.restart;
    if (recoveries) recoveries->push_back({failure, lost, at_work, record.steps});
  }
  if (at_work >= wall) {
    record.restarts -= at_work - wall;
    return record;
  }
  const Stretch stretch = stretch_of(run, every, wall - at_work);
  keep(stretch);
  const Seconds since = std::min(stretch.rest, work);
  record.steps += whole_number(since / run.step);
  record.useful += since;
  record.checkpoints += stretch.rest - since;
  return record;
}

std::vector<Seconds> draw_failures(Seconds mtbf, Seconds wall, uint64_t seed) {
  std::vector<Seconds> failures;
  Seconds time = 0;
  for (uint64_t i = 0;; ++i) {
    time += mtbf * random_exponential(seed, i);
    if (time >= wall) return failures;
    failures.push_back(time);
  }
}

}  // namespace pgram
