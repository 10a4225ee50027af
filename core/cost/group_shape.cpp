#include "core/cost/group_shape.h"

#include <algorithm>
#include <limits>
#include <vector>

namespace pgram {

Path hop(uint32_t from, uint32_t to, const Cluster& cluster) {
  if (!cluster.device.is_cpu || cluster.node_of(from) != cluster.node_of(to)) return cluster.path(from, to);
  // A device file may have replaced what the links were made from.
  const double rate = cluster.device.copy_bytes_per_second;
  return {rate, cluster.device.transfer_latency_seconds, false, rate};
}

double GroupShape::ring_bytes_per_second() const {
  return std::min(inside, between * static_cast<double>(per_node));
}

GroupShape shape_of(std::span<const uint32_t> group, const Cluster& cluster) {
  std::vector<uint32_t> members(group.begin(), group.end());
  std::sort(members.begin(), members.end());
  GroupShape shape;
  shape.ranks = static_cast<uint32_t>(members.size());
  shape.inside = shape.between = std::numeric_limits<double>::infinity();
  uint32_t fewest = shape.ranks, most = 0, in_this_node = 0, inside_hops = 0, between_hops = 0;
  for (size_t i = 0; i < members.size(); ++i) {
    const uint32_t next = members[(i + 1) % members.size()];
    ++in_this_node;
    const bool leaves = cluster.node_of(members[i]) != cluster.node_of(next);
    if (leaves || i + 1 == members.size()) {
      ++shape.nodes;
      fewest = std::min(fewest, in_this_node), most = std::max(most, in_this_node);
      in_this_node = 0;
    }
    if (next == members[i]) continue;
    const Path path = hop(members[i], next, cluster);
    shape.hop_latency += path.latency;
    (leaves ? shape.between : shape.inside) = std::min(leaves ? shape.between : shape.inside, path.bytes_per_second);
    (leaves ? shape.between_latency : shape.inside_latency) += path.latency;
    ++(leaves ? between_hops : inside_hops);
  }
  shape.per_node = fewest;
  shape.even = fewest == most;
  if (shape.ranks > 0) shape.hop_latency /= shape.ranks;
  if (inside_hops > 0) shape.inside_latency /= inside_hops;
  if (between_hops > 0) shape.between_latency /= between_hops;
  return shape;
}

}  // namespace pgram
