// Rounding as PTX names it, and the two 16-bit floating-point types. Nothing here touches the host's rounding mode.
#pragma once
#include <cmath>
#include <cstdint>

namespace pgram::emulation::ptx {

enum class Rounding : uint8_t { nearest, zero, down, up };  ///< .rn .rz .rm .rp

/// The sum rounded to odd: kept exact enough that rounding it again, to 50 bits or fewer, is as rounding the sum itself
/// (Boldo and Melquiond, "When double rounding is odd", 2005). An exact zero gets the sign that `rounding` gives it.
double sum_to_odd(double a, double b, Rounding rounding);

/// To the nearest integer, still floating point.
long double to_integer(long double, Rounding);
float to_float(long double, Rounding);
double to_double(long double, Rounding);

/// IEEE binary16.
struct F16 {
  uint16_t bits;
  double value() const;
  static F16 round(long double, Rounding = Rounding::nearest);
};

/// The upper half of a float.
struct BF16 {
  uint16_t bits;
  double value() const;
  static BF16 round(long double, Rounding = Rounding::nearest);
};

/// .ftz: subnormal numbers are zeros of their sign.
inline float flushed(float x) {
  return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0F, x) : x;
}
/// .sat: into [0, 1], NaN to 0.
inline float saturated(float x) {
  return x > 0 ? (x < 1 ? x : 1.0F) : 0.0F;
}

}  // namespace pgram::emulation::ptx
