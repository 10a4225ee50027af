// Scalar code that nvcc and g++ both compile: what they make of it must be equal bit for bit.
#pragma once
#include <stdint.h>

#ifdef __CUDACC__
#define CORPUS_FUNCTION __device__ __forceinline__
#else
#define CORPUS_FUNCTION inline
#endif

/// A mixture of everything that integers do, with a switch and 64-bit quotients.
CORPUS_FUNCTION uint32_t mixed(uint32_t x) {
  uint64_t wide = uint64_t(x) * 0x9e3779b97f4a7c15u + 12345;
  wide ^= wide >> 29;
  const int32_t signed_part = int32_t(wide >> 16);
  uint32_t r = (x << 13) | (x >> 19);
  switch (x % 7) {
    case 0:
      r += uint32_t(wide % 1000003);
      break;
    case 1:
      r ^= uint32_t(signed_part / 13);
      break;
    case 2:
      r -= uint32_t(signed_part % 17);
      break;
    case 3:
      r = r * 31 + uint32_t(wide / ((wide >> 40) + 1));
      break;
    case 4:
      r += uint32_t(int64_t(wide) / 1234567);
      break;
    case 5:
      r = ~r + uint32_t(int16_t(wide)) + uint8_t(wide >> 8);
      break;
    default:
      r ^= uint32_t(signed_part >> 5);
  }
  for (uint32_t i = 0; i < (x & 3); ++i) r = r * 1664525u + 1013904223u;
  return r;
}

/// Floating point without a sum of products that a compiler could fuse.
CORPUS_FUNCTION float plain(float x, int32_t n) {
  const float scaled = x * 0.37f;
  const float shifted = scaled - float(n);
  const float quotient = shifted / (x > 0 ? 3.0f + x : 5.0f);
  const int32_t whole = int32_t(quotient * 16.0f);
  const double wide = double(quotient) / 7.0;
  return float(wide) * (whole & 1 ? -2.0f : 0.5f);
}
