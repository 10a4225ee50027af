// What simulations leave for those after them.
#pragma once
#include <memory>

namespace pgram {

namespace sim {
struct Kept;
}

/// For many simulations one after the other: of layouts and clusters that come again it knows which groups are wired
/// alike, which ranks are alike and which links they share; and it has room for spans. All that a simulation's results
/// depend on is compared, so that they are the same with and without it. It stays below some 20 MB and the spans of one
/// timeline. For one thread.
class SimulationCache {
 public:
  SimulationCache();
  ~SimulationCache();
  SimulationCache(SimulationCache&&) noexcept;
  SimulationCache& operator=(SimulationCache&&) noexcept;

  sim::Kept& kept() { return *kept_; }

 private:
  std::unique_ptr<sim::Kept> kept_;
};

}  // namespace pgram
