// A training run over days: steps, checkpoints, failures, restarts.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/base/units.h"
#include "core/cluster/cluster.h"
#include "core/plan/plan.h"

namespace pgram {

/// A run as failures see it. A failure of any node ends it; after `restart` it goes on from the last whole checkpoint.
/// A failure during a restart begins the restart anew.
struct TrainingRun {
  Seconds step = 0;
  Seconds checkpoint = 0;  ///< to write one; training stands still
  Seconds restart = 0;     ///< from a failure until training goes on, reading the checkpoint included
  Seconds mtbf = 0;        ///< mean time between failures of all its nodes together
};

/// Bytes of a checkpoint: parameters and optimizer state of every tensor and pipeline rank, once over data parallelism.
Bytes checkpoint_bytes(const Plan&);

/// All nodes that have a rank write their share of the checkpoint at once. Nothing where the cluster says nothing of
/// failures, or a step takes no time.
std::optional<TrainingRun> training_run(Seconds step, Bytes checkpoint, uint32_t ranks, const Cluster&);

/// Where the time of a run went; the four add up to it.
struct RunRecord {
  Seconds useful = 0;       ///< steps that were kept, and those since the last checkpoint at the end
  Seconds checkpoints = 0;  ///< writing those that were kept
  Seconds lost = 0;         ///< steps and checkpoints since the last whole checkpoint before a failure
  Seconds restarts = 0;
  uint64_t steps = 0;  ///< whole ones, in `useful`
  uint64_t failures = 0;

  Seconds wall() const { return useful + checkpoints + lost + restarts; }
  double goodput() const { return wall() > 0 ? useful / wall() : 0; }
};

/// What one failure did.
struct Recovery {
  Seconds failure = 0;  ///< when
  Seconds lost = 0;     ///< work thrown away
  Seconds back = 0;     ///< when training goes on, if no other failure comes first
  uint64_t step = 0;    ///< steps that are in the checkpoint it goes on from
};

/// `wall` seconds with a checkpoint after every `every` steps and failures at given times (seconds since the beginning,
/// ascending; those at or after `wall` do not count). Takes a few nanoseconds a failure, whatever the steps between.
RunRecord simulate_run(const TrainingRun&, uint64_t every, Seconds wall, std::span<const Seconds> failures,
                       std::vector<Recovery>* recoveries = nullptr);

/// Failures of a run of `wall` seconds: exponentially distributed times between them, the same for the same seed.
std::vector<Seconds> draw_failures(Seconds mtbf, Seconds wall, uint64_t seed);

}  // namespace pgram
