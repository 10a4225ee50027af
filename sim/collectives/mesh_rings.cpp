// Rings in a node whose devices are wired to one another: as NCCL's search, as many as the wires allow.
#include <algorithm>
#include <cmath>
#include <functional>

#include "sim/collectives/steps.h"

namespace pgram::sim {

namespace {

using Ring = std::vector<uint32_t>;

/// Picks rings so that each wire between two members is in no more of them than it is wide.
class RingSearch {
 public:
  /// `wires[a][b]`: how many there are side by side between a and b.
  explicit RingSearch(std::vector<std::vector<uint32_t>> wires) : wires_(std::move(wires)) {
    size_t fewest = SIZE_MAX;
    for (const auto& row : wires_) {
      size_t sum = 0;
      for (const uint32_t count : row) sum += count;
      fewest = std::min(fewest, sum);
    }
    most_ = fewest / 2;  // a ring takes two of every member's
    Ring ring{0};
    std::vector<bool> used(wires_.size(), false);
    used[0] = true;
    find_all(ring, used);
    pick(0);
  }

  const std::vector<Ring>& best() const { return best_; }

 private:
  static constexpr size_t kMostRings = 4096;  // to choose from
  static constexpr uint64_t kMostSteps = 200'000;

  void find_all(Ring& ring, std::vector<bool>& used) {
    if (all_.size() >= kMostRings) return;
    const uint32_t last = ring.back();
    if (ring.size() == wires_.size()) {
      if (wires_[last][0] > 0 && ring[1] < last) all_.push_back(ring);  // one of the two ways round
      return;
    }
    for (uint32_t next = 1; next < wires_.size(); ++next) {
      if (used[next] || wires_[last][next] == 0) continue;
      used[next] = true;
      ring.push_back(next);
      find_all(ring, used);
      ring.pop_back();
      used[next] = false;
    }
  }

  bool change(const Ring& ring, int by) {
    bool fits = true;
    for (size_t i = 0; i < ring.size(); ++i) {
      const uint32_t a = ring[i], b = ring[(i + 1) % ring.size()];
      fits = fits && (by > 0 || wires_[a][b] > 0);
      wires_[a][b] += static_cast<uint32_t>(by);
      wires_[b][a] = wires_[a][b];
    }
    return fits;
  }

  void pick(size_t first) {
    if (picked_.size() > best_.size()) best_ = picked_;
    for (size_t i = first; i < all_.size() && best_.size() < most_ && ++steps_ < kMostSteps; ++i) {
      if (change(all_[i], -1)) {
        picked_.push_back(all_[i]);
        pick(i);
        picked_.pop_back();
      }
      change(all_[i], 1);
    }
  }

  std::vector<std::vector<uint32_t>> wires_;
  std::vector<Ring> all_, picked_, best_;
  size_t most_ = 0;
  uint64_t steps_ = 0;
};

}  // namespace

std::vector<Ring> mesh_rings(std::span<const uint32_t> devices, const Cluster& cluster) {
  const size_t n = devices.size();
  constexpr size_t kMostMembers = 16;
  if (n < 3 || n > kMostMembers) return {};
  std::vector<std::vector<double>> speed(n, std::vector<double>(n, 0));
  double slowest = INFINITY;
  std::vector<uint32_t> links;
  for (size_t a = 0; a < n; ++a) {
    for (size_t b = 0; b < n; ++b) {
      if (a == b) continue;
      cluster.route(devices[a], devices[b], links);
      if (links.size() != 1) continue;
      speed[a][b] = cluster.topology->link(links[0]).bytes_per_second;
      slowest = std::min(slowest, speed[a][b]);
    }
  }
  if (std::isinf(slowest)) return {};
  std::vector<std::vector<uint32_t>> wires(n, std::vector<uint32_t>(n, 0));
  for (size_t a = 0; a < n; ++a) {
    for (size_t b = 0; b < n; ++b)
      wires[a][b] =
          static_cast<uint32_t>(std::min(std::floor(std::min(speed[a][b], speed[b][a]) / slowest + 1e-9), 64.0));
  }
  std::vector<Ring> rings;
  const RingSearch search(std::move(wires));
  for (Ring ring : search.best()) {
    rings.push_back(ring);
    std::reverse(ring.begin(), ring.end());
    rings.push_back(std::move(ring));
  }
  return rings;
}

}  // namespace pgram::sim
