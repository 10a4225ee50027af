#include "tests/emulation/ptx/rounding.h"

#include <bit>
#include <limits>

namespace pgram::emulation::ptx {
namespace {

struct Format {
  int significant_bits, min_exponent, max_exponent;
};
constexpr Format kF16{11, -14, 15}, kBF16{8, -126, 127}, kF32{24, -126, 127}, kF64{53, -1022, 1023};

/// The neighbour in the format that the rounding picks. long double holds every double and every 64-bit integer.
long double round_to(const Format& format, long double x, Rounding rounding) {
  if (x == 0 || !std::isfinite(x)) return x;
  const int exponent = std::max(std::ilogb(x), format.min_exponent);
  const int last_place = exponent - (format.significant_bits - 1);
  const long double result = std::ldexp(to_integer(std::ldexp(x, -last_place), rounding), last_place);
  const long double largest = std::ldexp(2 - std::ldexp(1.0L, 1 - format.significant_bits), format.max_exponent);
  if (std::fabs(result) <= largest) return std::copysign(result, x);
  const bool away =
      rounding == Rounding::nearest || (rounding == Rounding::up && x > 0) || (rounding == Rounding::down && x < 0);
  return std::copysign(away ? std::numeric_limits<long double>::infinity() : largest, x);
}

}  // namespace

double sum_to_odd(double a, double b, Rounding rounding) {
  const double sum = a + b;
  if (!std::isfinite(sum)) return sum;
  if (sum == 0) {
    const bool cancelled = a != 0 || std::signbit(a) != std::signbit(b);
    return cancelled && rounding == Rounding::down ? -0.0 : sum;
  }
  const double b_seen = sum - a;
  const double error = (a - (sum - b_seen)) + (b - b_seen);
  const uint64_t bits = std::bit_cast<uint64_t>(sum);
  if (error == 0 || (bits & 1)) return sum;
  return std::bit_cast<double>((error > 0) == (sum > 0) ? bits + 1 : bits - 1);
}

long double to_integer(long double x, Rounding rounding) {
  switch (rounding) {
    case Rounding::zero:
      return std::trunc(x);
    case Rounding::down:
      return std::floor(x);
    case Rounding::up:
      return std::ceil(x);
    case Rounding::nearest:
      break;
  }
  return std::nearbyint(x);
}

float to_float(long double x, Rounding rounding) {
  return static_cast<float>(round_to(kF32, x, rounding));
}
double to_double(long double x, Rounding rounding) {
  return static_cast<double>(round_to(kF64, x, rounding));
}

double F16::value() const {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const double sign = bits >> 15 ? -1 : 1;
  if (exponent == 31) return fraction ? std::numeric_limits<double>::quiet_NaN() : sign * HUGE_VAL;
  return sign * (exponent ? std::ldexp(1024 + fraction, exponent - 25) : std::ldexp(fraction, -24));
}

F16 F16::round(long double x, Rounding rounding) {
  if (std::isnan(x)) return {0x7fff};
  const long double r = std::fabs(round_to(kF16, x, rounding));
  const auto sign = static_cast<uint16_t>(std::signbit(x) ? 0x8000 : 0);
  if (std::isinf(r)) return {static_cast<uint16_t>(sign | 0x7c00)};
  if (r == 0) return {sign};
  const int exponent = std::ilogb(r);
  // In units of the last place; the implicit bit carries into the exponent field by addition.
  if (exponent < kF16.min_exponent) return {static_cast<uint16_t>(sign | static_cast<uint16_t>(std::ldexp(r, 24)))};
  const auto significand = static_cast<uint16_t>(std::ldexp(r, 10 - exponent));
  return {static_cast<uint16_t>(sign | (((exponent + 14) << 10) + significand))};
}

double BF16::value() const {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

BF16 BF16::round(long double x, Rounding rounding) {
  if (std::isnan(x)) return {0x7fff};
  const auto exact = static_cast<float>(round_to(kBF16, x, rounding));
  return {static_cast<uint16_t>(std::bit_cast<uint32_t>(exact) >> 16)};
}

}  // namespace pgram::emulation::ptx
