#include "sim/whole_run/formulas.h"

#include <cmath>

namespace pgram {

Seconds young_interval(const TrainingRun& run) {
  return std::sqrt(2 * run.checkpoint * run.mtbf);
}

Seconds daly_interval(const TrainingRun& run) {
  if (run.checkpoint >= 2 * run.mtbf) return run.mtbf;
  const double part = run.checkpoint / (2 * run.mtbf);
  return young_interval(run) * (1 + std::sqrt(part) / 3 + part / 9) - run.checkpoint;
}

double expected_goodput(const TrainingRun& run, Seconds interval) {
  return interval / (run.mtbf * std::exp(run.restart / run.mtbf) * std::expm1((interval + run.checkpoint) / run.mtbf));
}

}  // namespace pgram
