// GroupShape: how the devices of a group lie over the nodes, and what is between them; all that closed forms ask about.
#pragma once
#include <cstdint>
#include <span>

#include "core/cluster/cluster.h"

namespace pgram {

struct GroupShape {
  uint32_t ranks = 0;
  uint32_t nodes = 0;
  uint32_t per_node = 0;  ///< members in the node with fewest
  bool even = true;       ///< as many in every node
  /// Between neighbours when the members stand in order and close a ring: the slowest hop within a node, and the
  /// slowest between nodes (a member's share of what it crosses). Infinite where there is no such hop.
  double inside = 0, between = 0;
  Seconds inside_latency = 0, between_latency = 0;  ///< means; 0 where there is no such hop
  Seconds hop_latency = 0;                          ///< mean over the ring

  /// Every member brings its own NIC, as NCCL's channels do: what a ring through all members reaches.
  double ring_bytes_per_second() const;
};

/// What lies between two devices; within a CPU machine what its device file says about copies.
Path hop(uint32_t from, uint32_t to, const Cluster&);
GroupShape shape_of(std::span<const uint32_t> group, const Cluster&);

}  // namespace pgram
