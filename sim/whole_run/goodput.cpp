#include "sim/whole_run/goodput.h"

#include <algorithm>
#include <cmath>

#include "sim/whole_run/random.h"

namespace pgram {

std::vector<double> failure_gaps(size_t count, uint64_t seed) {
  std::vector<double> gaps(count);
  for (size_t i = 0; i < count; ++i) {
    gaps[i] = -std::log((static_cast<double>(i) + random_uniform(seed, i)) / static_cast<double>(count));
  }
  return gaps;
}

namespace {

/// The whole part of 0 to 2^51: std::floor, in a form that the compiler turns into a few vector instructions.
inline double whole(double x) {
  const double nearest = (x + 0x1p52) - 0x1p52;
  return nearest > x ? nearest - 1 : nearest;
}

constexpr size_t kLanes = 4;  ///< sums side by side, always added up in the same order

}  // namespace

double goodput(const TrainingRun& run, uint64_t every, std::span<const double> gaps) {
  const Seconds work = static_cast<double>(every) * run.step, cycle = work + run.checkpoint;
  const double per_gap = run.mtbf / cycle, restart = run.restart / cycle;
  double checkpoints[kLanes] = {}, time[kLanes] = {};
  const auto add = [&](size_t lane, double gap) {
    checkpoints[lane] += whole(std::max(gap * per_gap - restart, 0.0));
    time[lane] += gap;
  };
  size_t at = 0;
  for (; at + kLanes <= gaps.size(); at += kLanes)
    for (size_t lane = 0; lane < kLanes; ++lane) add(lane, gaps[at + lane]);
  for (; at < gaps.size(); ++at) add(0, gaps[at]);
  const double all_time = time[0] + time[1] + time[2] + time[3];
  const double all_checkpoints = checkpoints[0] + checkpoints[1] + checkpoints[2] + checkpoints[3];
  return all_time > 0 ? all_checkpoints * work / (all_time * run.mtbf) : 0;
}

uint64_t best_interval(uint64_t most, const std::function<double(uint64_t)>& goodput) {
  const auto steps = [](double log) { return static_cast<uint64_t>(std::llround(std::exp(log))); };
  const double golden = (std::sqrt(5.0) - 1) / 2;
  double low = 0, high = std::log(static_cast<double>(most));
  double left = high - golden * (high - low), right = low + golden * (high - low);
  double at_left = goodput(steps(left)), at_right = goodput(steps(right));
  // Nearer than a hundredth goodput hardly changes.
  while (high - low > 0.01 && steps(high) - steps(low) > 3) {
    if (at_left >= at_right) {
      high = right;
      right = left, at_right = at_left;
      left = high - golden * (high - low), at_left = goodput(steps(left));
    } else {
      low = left;
      left = right, at_left = at_right;
      right = low + golden * (high - low), at_right = goodput(steps(right));
    }
  }
  if (steps(high) - steps(low) > 3) return at_left >= at_right ? steps(left) : steps(right);
  uint64_t best = steps(low);
  double at_best = goodput(best);
  for (uint64_t every = best + 1; every <= steps(high); ++every) {
    const double at = goodput(every);
    if (at > at_best) best = every, at_best = at;
  }
  return best;
}

Goodput best_goodput(const TrainingRun& run, std::span<const double> gaps) {
  // The best interval is never longer than the time between failures (formulas.h).
  const auto most = static_cast<uint64_t>(std::clamp(run.mtbf / run.step, 1.0, 1e15));
  Goodput best;
  best.every = best_interval(most, [&](uint64_t every) { return goodput(run, every, gaps); });
  best.share = goodput(run, best.every, gaps);
  best.interval = static_cast<double>(best.every) * run.step;
  return best;
}

Goodput best_goodput(const TrainingRun& run) {
  static const std::vector<double> gaps = failure_gaps(1024, 1);
  return best_goodput(run, gaps);
}

}  // namespace pgram
