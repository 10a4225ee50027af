// Who passes how much to whom in the rings of a group, without making them.
#pragma once
#include <span>
#include <vector>

#include "core/cluster/cluster.h"

namespace pgram::sim {

struct RingHop {
  uint32_t from = 0, to = 0;  ///< indices into the group
  double share = 0;           ///< of the rings that go this way
};

/// For many groups of one cluster, one after the other.
class RingHops {
 public:
  /// The cluster must outlive it.
  explicit RingHops(const Cluster& cluster) : cluster_(cluster) {}

  /// The hops of all rings that `ring_order` makes for the default number of channels. A group of 128 takes
  /// microseconds. Valid until the next call.
  const std::vector<RingHop>& of(std::span<const uint32_t> group);

 private:
  void find_nodes(std::span<const uint32_t> group);
  bool is_wired(std::span<const uint32_t> group);
  bool nodes_are_even() const;
  void over_even_nodes();
  void ring_by_ring(std::span<const uint32_t> group);

  const Cluster& cluster_;
  std::vector<uint32_t> order_;          // of the group's members: node by node
  std::vector<uint32_t> first_of_node_;  // into order_; one past the end: its size
  std::vector<uint32_t> route_;
  std::vector<RingHop> hops_;
};

}  // namespace pgram::sim
