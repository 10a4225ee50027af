#include "sim/simulation_cache.h"

#include "sim/kept.h"

namespace pgram {

SimulationCache::SimulationCache() : kept_(std::make_unique<sim::Kept>()) {}
SimulationCache::~SimulationCache() = default;
SimulationCache::SimulationCache(SimulationCache&&) noexcept = default;
SimulationCache& SimulationCache::operator=(SimulationCache&&) noexcept = default;

}  // namespace pgram
