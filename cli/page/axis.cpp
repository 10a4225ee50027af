#include "cli/page/axis.h"

#include <algorithm>
#include <cmath>

namespace pgram::page {
namespace {

constexpr double kRoom = 0.04;  ///< of the axis, at each end

/// Multiples of 1, 2 or 5 times a power of ten.
std::vector<double> linear_ticks(double low, double high, int most) {
  const double rough = (high - low) / most, power = std::pow(10, std::floor(std::log10(rough)));
  double step = power * 10;
  for (const double round : {5.0, 2.0, 1.0}) {
    if (power * round >= rough) step = power * round;
  }
  std::vector<double> ticks;
  for (double i = std::ceil(low / step); i * step <= high; ++i) ticks.push_back(i * step + 0.0);  // never -0
  return ticks;
}

/// Powers of ten with 2 and 5 between them where there is room; the densest set that is not more than `most`, else
/// every n-th power.
std::vector<double> log_ticks(double low, double high, int most) {
  const int first = static_cast<int>(std::floor(std::log10(low))), last = static_cast<int>(std::ceil(std::log10(high)));
  const auto between = [&](std::initializer_list<double> rounds, int every) {
    std::vector<double> ticks;
    for (int power = first; power <= last; power += every) {
      for (const double round : rounds) {
        const double tick = round * std::pow(10, power);
        if (tick >= low && tick <= high) ticks.push_back(tick);
      }
    }
    return ticks;
  };
  for (const auto& rounds :
       {std::initializer_list<double>{1, 1.5, 2, 3, 4, 5, 6, 8}, {1, 2, 3, 5}, {1, 2, 5}, {1, 3}}) {
    std::vector<double> ticks = between(rounds, 1);
    if (std::ssize(ticks) <= most) return ticks;
  }
  return between({1}, std::max(1, (last - first) / most));
}

}  // namespace

double Axis::at(double value) const {
  return log ? std::log(value / low) / std::log(high / low) : (value - low) / (high - low);
}

Axis axis_of(std::span<const double> values, Spacing spacing, int most) {
  Axis axis;
  std::vector<double> finite;
  for (const double value : values) {
    if (std::isfinite(value)) finite.push_back(value);
  }
  if (finite.empty()) finite = {0, 1};
  const auto [least, greatest] = std::minmax_element(finite.begin(), finite.end());
  double low = *least, high = *greatest;
  axis.log = spacing == Spacing::automatic && low > 0 && high / low >= 8;
  if (axis.log) {
    const double room = std::pow(high / low, kRoom);
    axis.low = low / room, axis.high = high * room;
    axis.ticks = log_ticks(axis.low, axis.high, most);
    return axis;
  }
  if (spacing == Spacing::from_zero) low = std::min(low, 0.0), high = std::max(high, 0.0);
  if (high <= low) {
    const double half = low == 0 ? 1 : std::fabs(low) / 4;
    low -= half, high += half;
  }
  const double room = (high - low) * kRoom;
  axis.low = spacing == Spacing::from_zero && low == 0 ? 0 : low - room;
  axis.high = high + room;
  axis.ticks = linear_ticks(axis.low, axis.high, most);
  return axis;
}

Axis axis_at(std::span<const double> values, double gap) {
  Axis axis;
  axis.log = true;
  std::vector<double> sorted;
  for (const double value : values) {
    if (std::isfinite(value) && value > 0) sorted.push_back(value);
  }
  if (sorted.empty()) sorted = {1};
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  const double room = sorted.size() > 1 ? std::pow(sorted.back() / sorted.front(), kRoom) : 2;
  axis.low = sorted.front() / room, axis.high = sorted.back() * room;
  // Both ends have a tick; one between them where it is far enough from its neighbours.
  for (const double value : sorted) {
    const double from_last = axis.ticks.empty() ? 1 : axis.at(value) - axis.at(axis.ticks.back());
    const bool end = value == sorted.back();
    if (from_last >= gap && (end || axis.at(sorted.back()) - axis.at(value) >= gap)) axis.ticks.push_back(value);
    if (end && axis.ticks.back() != value) axis.ticks.push_back(value);
  }
  return axis;
}

}  // namespace pgram::page
