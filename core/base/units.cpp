#include "core/base/units.h"

#include <array>
#include <cmath>
#include <cstdio>

namespace pgram {

/// Three significant digits without exponents: 1.23, 12.3, 123.
static std::string three_digits(double value) {
  const double magnitude = std::fabs(value);
  const int decimals = magnitude >= 99.95 ? 0 : magnitude >= 9.995 ? 1 : 2;
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

std::string format_bytes(Bytes bytes) {
  static constexpr std::array kUnits{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) value /= 1024, ++unit;
  return (unit == 0 ? std::to_string(bytes) : three_digits(value)) + " " + kUnits[unit];
}

std::string format_time(Picoseconds time) {
  const double magnitude = std::fabs(static_cast<double>(time));
  if (magnitude >= 1e12) return three_digits(static_cast<double>(time) / 1e12) + " s";
  if (magnitude >= 1e9) return three_digits(static_cast<double>(time) / 1e9) + " ms";
  if (magnitude >= 1e6) return three_digits(static_cast<double>(time) / 1e6) + " us";
  if (magnitude >= 1e3) return three_digits(static_cast<double>(time) / 1e3) + " ns";
  return std::to_string(time) + " ps";
}

std::string format_count(uint64_t value) {
  std::string digits = std::to_string(value);
  for (size_t at = digits.size(); at > 3;) digits.insert(at -= 3, ",");
  return digits;
}

}  // namespace pgram
