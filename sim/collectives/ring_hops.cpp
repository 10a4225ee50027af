#include "sim/collectives/ring_hops.h"

#include <algorithm>
#include <numeric>

#include "sim/collectives/steps.h"

namespace pgram::sim {

const std::vector<RingHop>& RingHops::of(std::span<const uint32_t> group) {
  hops_.clear();
  find_nodes(group);
  const size_t nodes = first_of_node_.size() - 1, n = group.size();
  if (nodes == 1 && !is_wired(group)) {
    for (size_t i = 0; i < n; ++i) hops_.push_back({order_[i], order_[i + 1 < n ? i + 1 : 0], 1});
  } else if (nodes > 1 && nodes_are_even()) {
    over_even_nodes();
  } else {
    ring_by_ring(group);
  }
  return hops_;
}

void RingHops::find_nodes(std::span<const uint32_t> group) {
  order_.resize(group.size());
  std::iota(order_.begin(), order_.end(), 0u);
  if (!std::ranges::is_sorted(group)) std::ranges::sort(order_, {}, [&](uint32_t i) { return group[i]; });
  first_of_node_.assign(1, 0);
  for (uint32_t i = 1; i < order_.size(); ++i) {
    if (cluster_.node_of(group[order_[i]]) != cluster_.node_of(group[order_[i - 1]])) first_of_node_.push_back(i);
  }
  first_of_node_.push_back(static_cast<uint32_t>(group.size()));
}

/// Rings may follow wires from device to device: from every member to two others.
bool RingHops::is_wired(std::span<const uint32_t> group) {
  int wires = 0;
  for (size_t i = 1; i < group.size() && wires < 2; ++i) {
    cluster_.route(group[0], group[i], route_);
    wires += route_.size() == 1;
  }
  return wires == 2;
}

bool RingHops::nodes_are_even() const {
  for (size_t node = 1; node + 1 < first_of_node_.size(); ++node) {
    if (first_of_node_[node + 1] - first_of_node_[node] != first_of_node_[1]) return false;
  }
  return true;
}

/// As many rings as a node has members, each turned by one. Of the hops around a node each is left out by one ring,
/// which leaves the node there; so it comes that every member sends its part of what leaves.
void RingHops::over_even_nodes() {
  const uint32_t nodes = static_cast<uint32_t>(first_of_node_.size() - 1), k = first_of_node_[1];
  for (uint32_t node = 0; node < nodes; ++node) {
    const uint32_t* const here = order_.data() + first_of_node_[node];
    const uint32_t* const there = order_.data() + first_of_node_[(node + 1) % nodes];
    const bool back = node % 2 == 1;  // passed through the other way round
    for (uint32_t i = 0; k > 1 && i < k; ++i) {
      const uint32_t a = here[i], b = here[(i + 1) % k];
      hops_.push_back({back ? b : a, back ? a : b, (k - 1.0) / k});
    }
    // The last of an odd number of nodes is followed by one that is passed through the same way round.
    const uint32_t turn = node + 1 == nodes && nodes % 2 == 1 ? 1 : 0;
    for (uint32_t i = 0; i < k; ++i) hops_.push_back({here[i], there[(i + turn) % k], 1.0 / k});
  }
}

void RingHops::ring_by_ring(std::span<const uint32_t> group) {
  const GroupNodes nodes = GroupNodes::of(group, cluster_);
  const uint32_t channels = default_channels(Algorithm::ring, nodes);
  for (uint32_t channel = 0; channel < channels; ++channel) {
    const std::vector<uint32_t> order = ring_order(nodes, channel, channels);
    for (size_t i = 0; i < order.size(); ++i)
      hops_.push_back({order[i], order[(i + 1) % order.size()], 1.0 / channels});
  }
}

}  // namespace pgram::sim
