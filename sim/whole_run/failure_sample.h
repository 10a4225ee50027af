// The same days of training many times over with failures by chance: what to expect of them, and how sure that is.
#pragma once
#include "sim/whole_run/training_run.h"

namespace pgram {

/// Means over all runs of a sample.
struct ExpectedDays {
  uint64_t every = 0;         ///< steps from one checkpoint to the next
  double goodput = 0;         ///< useful time over all time
  double standard_error = 0;  ///< of the goodput
  Seconds useful = 0, checkpoints = 0, lost = 0, restarts = 0;
  double steps = 0, failures = 0;
};

/// Failures of `runs` runs of `wall` seconds each. All intervals are tried on the same failures, so that they differ by
/// less than chance; the same for the same seed.
class FailureSample {
 public:
  /// InputError where that would be more than 100 million failures.
  FailureSample(Seconds mtbf, Seconds wall, uint32_t runs, uint64_t seed);

  ExpectedDays days(const TrainingRun&, uint64_t every) const;

 private:
  Seconds wall_;
  std::vector<std::vector<Seconds>> failures_;  ///< by run
};

}  // namespace pgram
