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

/// Always in the same order.
double sum(std::span<const double> gaps) {
  double lanes[4] = {};
  for (size_t i = 0; i < gaps.size(); ++i) lanes[i % 4] += gaps[i];
  return lanes[0] + lanes[1] + lanes[2] + lanes[3];
}

/// `time`: sum of the gaps.
double goodput(const TrainingRun& run, uint64_t every, std::span<const double> gaps, double time) {
  const Seconds work = static_cast<double>(every) * run.step, cycle = work + run.checkpoint;
  const double per_gap = run.mtbf / cycle, restart = run.restart / cycle;
  double checkpoints = 0;
  if (per_gap * time < 0x1p31) {  // several at once
    int32_t whole = 0;
    for (const double gap : gaps) whole += static_cast<int32_t>(std::max(0.0, gap * per_gap - restart));
    checkpoints = whole;
  } else {
    for (const double gap : gaps) checkpoints += std::floor(std::max(0.0, gap * per_gap - restart));
  }
  return time > 0 ? checkpoints * work / (time * run.mtbf) : 0;
}

}  // namespace

double goodput(const TrainingRun& run, uint64_t every, std::span<const double> gaps) {
  return goodput(run, every, gaps, sum(gaps));
}

namespace {

uint64_t steps(double log) {
  return static_cast<uint64_t>(std::llround(std::exp(log)));
}

/// The highest of all whole numbers from `low` to `high`; of equal ones the first.
uint64_t highest_of(uint64_t low, uint64_t high, const std::function<double(uint64_t)>& goodput) {
  uint64_t best = low;
  double at_best = goodput(low);
  for (uint64_t every = low + 1; every <= high; ++every) {
    const double at = goodput(every);
    if (at > at_best) best = every, at_best = at;
  }
  return best;
}

/// The vertex of the parabola that fits best around exp(`middle`), over the logarithm: where neighbours differ by less
/// than their noise, points farther off still tell where the middle is.
uint64_t vertex_near(double middle, uint64_t most, const std::function<double(uint64_t)>& goodput) {
  constexpr int kSide = 3;
  constexpr double kApart = 0.2;
  // Least squares over 1, x, x^2 by sums of powers.
  double powers[5] = {}, values[3] = {};
  for (int i = -kSide; i <= kSide; ++i) {
    const uint64_t every = std::clamp<uint64_t>(steps(middle + kApart * i), 1, most);
    const double x = std::log(static_cast<double>(every)) - middle, y = goodput(every);
    for (double power = 1, *sum = powers; sum != powers + 5; ++sum, power *= x) *sum += power;
    values[0] += y, values[1] += y * x, values[2] += y * x * x;
  }
  const auto& [n, x1, x2, x3, x4] = powers;
  const double spread = x2 - x1 * x1 / n, skew = x3 - x1 * x2 / n, tails = x4 - x2 * x2 / n;
  const double slope = values[1] - x1 * values[0] / n, bend = values[2] - x2 * values[0] / n;
  const double determinant = spread * tails - skew * skew;
  const double b = (slope * tails - bend * skew) / determinant, c = (bend * spread - slope * skew) / determinant;
  const double reach = kApart * kSide;
  // Without a highest point in reach: the side that rises.
  const double vertex = c < 0 ? std::clamp(-b / (2 * c), -reach, reach) : b > 0 ? reach : -reach;
  return std::clamp<uint64_t>(steps(middle + vertex), 1, most);
}

}  // namespace

uint64_t best_interval(uint64_t most, const std::function<double(uint64_t)>& goodput) {
  const double golden = (std::sqrt(5.0) - 1) / 2;
  double low = 0, high = std::log(static_cast<double>(most));
  double left = high - golden * (high - low), right = low + golden * (high - low);
  double at_left = goodput(steps(left)), at_right = goodput(steps(right));
  while (high - low > 1 && steps(high) - steps(low) > 8) {
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
  if (steps(high) - steps(low) <= 8) return highest_of(steps(low), steps(high), goodput);
  return vertex_near(at_left >= at_right ? left : right, most, goodput);
}

Goodput best_goodput(const TrainingRun& run, std::span<const double> gaps) {
  // The best interval is never longer than the time between failures (formulas.h).
  const auto most = static_cast<uint64_t>(std::clamp(run.mtbf / run.step, 1.0, 1e15));
  const double time = sum(gaps);
  Goodput best;
  best.every = best_interval(most, [&](uint64_t every) { return goodput(run, every, gaps, time); });
  best.share = goodput(run, best.every, gaps, time);
  best.interval = static_cast<double>(best.every) * run.step;
  return best;
}

Goodput best_goodput(const TrainingRun& run) {
  static const std::vector<double> gaps = failure_gaps(1024, 1);
  return best_goodput(run, gaps);
}

}  // namespace pgram
