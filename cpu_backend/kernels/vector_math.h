// Functions that the compiler can vectorise: no branches, no calls. Relative errors are checked in
// tests/cpu_kernels/vector_math_test.cpp.
#pragma once
#include <bit>
#include <cstdint>

#include "cpu_backend/kernels/parallel.h"

namespace pgram {

/// e^x within 2e-7 relative for x >= -87; 0 below; x > 88 counts as 88. Cody-Waite reduction to |r| <= ln(2)/2 and the
/// polynomial of the Cephes library's expf (S. Moshier).
PGRAM_INLINE float vector_exp(float x) {
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it leaves the nearest integer in the low mantissa bits
  float z = x < -87.0f ? -87.0f : x;
  z = z > 88.0f ? 88.0f : z;
  const float shifted = z * 1.44269504f + kRound, n = shifted - kRound;
  float r = z - n * 0.693359375f;  // exact: the constant has 9 bits
  r = r + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const int32_t exponent = std::bit_cast<int32_t>(shifted) - std::bit_cast<int32_t>(kRound);
  const float y = p * std::bit_cast<float>((exponent + 127) << 23);
  return x < -87.0f ? 0.0f : y;
}

PGRAM_INLINE float vector_sigmoid(float x) {
  return 1.0f / (1.0f + vector_exp(-x));
}

/// Standard normal distribution function within 2e-7 absolute: (1 + erf(t)) / 2 with t = x / sqrt(2).
/// |t| <= 1: erf(t) / t as a polynomial of t^2; above: -log(erfc(t)) as a polynomial of t up to 4, then growing by t^2.
/// Both are Chebyshev interpolations.
PGRAM_INLINE float vector_normal_cdf(float x) {
  const float t = x * 0.70710678f, s = t * t, magnitude = t < 0.0f ? -t : t;
  float small = -5.654105859e-04f;
  small = small * s + 4.923277665e-03f;
  small = small * s - 2.671638510e-02f;
  small = small * s + 1.128036441e-01f;
  small = small * s - 3.761234978e-01f;
  small = small * s + 1.128379127e+00f;
  const float c = magnitude > 4.0f ? 4.0f : magnitude;
  float tail = 1.330939039e-05f;
  tail = tail * c - 3.175720346e-04f;
  tail = tail * c + 3.436867598e-03f;
  tail = tail * c - 2.262198592e-02f;
  tail = tail * c + 1.033189800e-01f;
  tail = tail * c + 6.390933195e-01f;
  tail = tail * c + 1.125925949e+00f;
  tail = tail * c + 7.569686265e-04f;
  const float half_erfc = 0.5f * vector_exp(-tail - (s - c * c) * (magnitude > 4.0f ? 1.0f : 0.0f));
  const float outside = t < 0.0f ? half_erfc : 1.0f - half_erfc;
  return magnitude <= 1.0f ? 0.5f + 0.5f * t * small : outside;
}

}  // namespace pgram
