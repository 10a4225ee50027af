// Max-min fair rates of all flows at once: slow, obvious, and what FlowNetwork is tested against.
#pragma once
#include <span>
#include <vector>

#include "sim/network/max_min.h"

namespace pgram::sim {

struct WaterFlow {
  double limit = 0;  ///< its own bound on its rate, infinity for none
  std::span<const LinkUse> uses;
};

/// One rate per flow. All rates rise together from 0; a flow stops at its limit, or when a link it uses is full.
/// Infinity for a flow that nothing bounds.
std::vector<double> water_filling(std::span<const double> capacities, std::span<const WaterFlow> flows);

}  // namespace pgram::sim
