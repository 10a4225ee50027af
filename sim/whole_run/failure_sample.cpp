#include "sim/whole_run/failure_sample.h"

#include <cmath>

#include "core/base/errors.h"
#include "sim/whole_run/random.h"

namespace pgram {

constexpr double kMostFailures = 1e8;

FailureSample::FailureSample(Seconds mtbf, Seconds wall, uint32_t runs, uint64_t seed) : wall_(wall) {
  if (runs * (wall / mtbf) > kMostFailures)
    throw InputError("failures", "one every " + std::to_string(mtbf) + " s are too many to simulate " +
                                     std::to_string(runs) + " runs; take fewer days or runs");
  failures_.reserve(runs);
  for (uint32_t run = 0; run < runs; ++run) failures_.push_back(draw_failures(mtbf, wall, random_bits(seed, run)));
}

ExpectedDays FailureSample::days(const TrainingRun& run, uint64_t every) const {
  ExpectedDays mean;
  mean.every = every;
  double squares = 0;
  const double runs = static_cast<double>(failures_.size());
  std::vector<double> goodputs;
  goodputs.reserve(failures_.size());
  for (const std::vector<Seconds>& failures : failures_) {
    const RunRecord record = simulate_run(run, every, wall_, failures);
    goodputs.push_back(record.goodput());
    mean.goodput += record.goodput() / runs;
    mean.useful += record.useful / runs;
    mean.checkpoints += record.checkpoints / runs;
    mean.lost += record.lost / runs;
    mean.restarts += record.restarts / runs;
    mean.steps += static_cast<double>(record.steps) / runs;
    mean.failures += static_cast<double>(record.failures) / runs;
  }
  for (const double goodput : goodputs) squares += (goodput - mean.goodput) * (goodput - mean.goodput);
  if (runs > 1) mean.standard_error = std::sqrt(squares / (runs - 1) / runs);
  return mean;
}

}  // namespace pgram
