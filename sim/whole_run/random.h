// Random numbers by place: number i of a seed, whatever was asked for before.
#pragma once
#include <cmath>
#include <cstdint>

namespace pgram {

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014): output `index` of
/// `seed`.
inline uint64_t random_bits(uint64_t seed, uint64_t index) {
  uint64_t z = seed + (index + 1) * 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

/// Above 0 and below 1.
inline double random_uniform(uint64_t seed, uint64_t index) {
  return (static_cast<double>(random_bits(seed, index) >> 12) + 0.5) * 0x1p-52;
}

/// With mean 1.
inline double random_exponential(uint64_t seed, uint64_t index) {
  return -std::log(random_uniform(seed, index));
}

}  // namespace pgram
