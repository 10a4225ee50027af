// Goodput: the share of a long run's time that training gets on, and the checkpoint interval at which it is highest.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "sim/whole_run/training_run.h"

namespace pgram {

struct Goodput {
  double share = 0;      ///< useful time over all time
  uint64_t every = 0;    ///< steps from one checkpoint to the next
  Seconds interval = 0;  ///< the same as time of training
};

/// Times between failures in units of their mean, by chance: one of each of `count` equally likely stretches of the
/// exponential distribution. So many gaps say more than as many independent ones. The same for the same seed.
std::vector<double> failure_gaps(size_t count, uint64_t seed);

/// Simulates what lies between two failures for every gap: the run's goodput if it never ended. Each begins with a
/// restart.
double goodput(const TrainingRun&, uint64_t every, std::span<const double> gaps);

/// The interval of whole steps with the highest goodput over the same gaps.
Goodput best_goodput(const TrainingRun&, std::span<const double> gaps);
/// Over 1,024 gaps, in some 20 us. Of the share sqrt(2 C / M) that checkpoints and lost work take (C: a checkpoint, M:
/// time between failures) the standard error of the goodput is 2 % at most, and the interval is right to 4 % or, where
/// it has few steps, to one or two of them.
Goodput best_goodput(const TrainingRun&);

/// The highest of a function over 1 to `most` steps that rises and then falls, up to noise: golden-section search on
/// the logarithm down to a bracket of 8 steps, which are all tried, or of a factor of 2.7, in which a parabola through
/// seven intervals evens the noise out.
uint64_t best_interval(uint64_t most, const std::function<double(uint64_t)>& goodput);

}  // namespace pgram
