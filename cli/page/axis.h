// An axis of a picture: where a value lies on it, and its ticks at round values.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace pgram::page {

struct Axis {
  double low = 0, high = 1;  ///< values at its ends; low < high
  bool log = false;          ///< then both are above 0
  std::vector<double> ticks;

  double at(double value) const;  ///< 0 at `low`, 1 at `high`
};

enum class Spacing : uint8_t {
  automatic,  ///< logarithmic where the values are above 0 and span a factor of 8 or more
  linear,
  from_zero,  ///< linear, and 0 is on it
};

/// Holds all values, with a little room at the ends. `most`: about how many ticks. Any values will do, none as well.
Axis axis_of(std::span<const double> values, Spacing = Spacing::automatic, int most = 6);
/// Ticks at the values themselves (GPU counts), logarithmic, less those that stand closer than `gap` of the axis.
Axis axis_at(std::span<const double> values, double gap = 0.09);

}  // namespace pgram::page
