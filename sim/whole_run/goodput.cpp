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

/// Two numbers that the processor works on at once. Masks have all bits of those set that are true.
using Pair [[gnu::vector_size(16)]] = double;
using Mask [[gnu::vector_size(16)]] = long long;

inline Pair select(Mask mask, Pair value) {
  return reinterpret_cast<Pair>(mask & reinterpret_cast<Mask>(value));
}

/// The whole part of 0 to 2^51: std::floor.
inline Pair whole(Pair x) {
  const Pair nearest = (x + 0x1p52) - 0x1p52;
  return nearest - select(nearest > x, Pair{1, 1});
}

constexpr size_t kLanes = 4;  ///< sums side by side, always added up in the same order

}  // namespace

double goodput(const TrainingRun& run, uint64_t every, std::span<const double> gaps) {
  const Seconds work = static_cast<double>(every) * run.step, cycle = work + run.checkpoint;
  const double per_gap = run.mtbf / cycle, restart = run.restart / cycle;
  Pair checkpoints[kLanes / 2] = {}, time[kLanes / 2] = {};
  const auto add = [&](size_t pair, Pair gap) {
    const Pair cycles = gap * per_gap - restart;
    checkpoints[pair] += whole(select(cycles > 0, cycles));
    time[pair] += gap;
  };
  size_t at = 0;
  for (; at + kLanes <= gaps.size(); at += kLanes) {
    add(0, Pair{gaps[at], gaps[at + 1]});
    add(1, Pair{gaps[at + 2], gaps[at + 3]});
  }
  for (; at < gaps.size(); ++at) add(0, Pair{gaps[at], 0});
  const double all_time = time[0][0] + time[0][1] + time[1][0] + time[1][1];
  const double all_checkpoints = checkpoints[0][0] + checkpoints[0][1] + checkpoints[1][0] + checkpoints[1][1];
  return all_time > 0 ? all_checkpoints * work / (all_time * run.mtbf) : 0;
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
