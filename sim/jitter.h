// Jitter: a factor on the duration of a task that depends on nothing but the seed and the task's name.
#pragma once
#include <cmath>
#include <cstdint>

#include "core/plan/plan.h"
#include "sim/hash.h"
#include "sim/simulate.h"

namespace pgram::sim {

/// exp(sigma x) with x standard normal by Box and Muller (1958) from two hashes of the task.
inline double jitter_factor(const Jitter& jitter, const Task& task) {
  const uint64_t name = uint64_t{task.rank} << 40 ^ uint64_t { task.call } << 16 ^ task.op;
  const uint64_t first = mix(name + mix(jitter.seed)), second = mix(first + 0x9e3779b97f4a7c15ull);
  constexpr double kTwoPi = 6.283185307179586, kUnit = 0x1p-53;
  const double u = (static_cast<double>(first >> 11) + 0.5) * kUnit, v = static_cast<double>(second >> 11) * kUnit;
  return std::exp(jitter.sigma * std::sqrt(-2 * std::log(u)) * std::cos(kTwoPi * v));
}

}  // namespace pgram::sim
