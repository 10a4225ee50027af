#include "sim/network/water_filling.h"

#include <algorithm>
#include <limits>

namespace pgram::sim {

static constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::vector<double> water_filling(std::span<const double> capacities, std::span<const WaterFlow> flows) {
  std::vector<double> rates(flows.size(), kInfinity);
  std::vector<bool> stopped(flows.size());
  for (;;) {
    // At which level each link is full, with what has stopped taken off.
    std::vector<double> left(capacities.begin(), capacities.end()), rising(capacities.size()), full(capacities.size());
    for (size_t f = 0; f < flows.size(); ++f) {
      for (const LinkUse& use : flows[f].uses) {
        if (stopped[f]) left[use.link] -= use.weight * rates[f];
        if (!stopped[f]) rising[use.link] += use.weight;
      }
    }
    for (size_t l = 0; l < full.size(); ++l) full[l] = rising[l] > 0 ? std::max(0.0, left[l]) / rising[l] : kInfinity;

    const auto stops_at = [&](const WaterFlow& flow) {
      double level = flow.limit;
      for (const LinkUse& use : flow.uses) {
        if (use.weight > 0) level = std::min(level, full[use.link]);
      }
      return level;
    };
    double lowest = kInfinity;
    for (size_t f = 0; f < flows.size(); ++f) {
      if (!stopped[f]) lowest = std::min(lowest, stops_at(flows[f]));
    }
    if (lowest == kInfinity) return rates;
    for (size_t f = 0; f < flows.size(); ++f) {
      if (stopped[f] || stops_at(flows[f]) > lowest) continue;
      stopped[f] = true;
      rates[f] = lowest;
    }
  }
}

}  // namespace pgram::sim
