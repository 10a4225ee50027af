// Communication ops: closed forms over the links, or what was measured within a node.
#include <algorithm>
#include <cassert>
#include <limits>

#include "core/cost/cost.h"
#include "core/cost/measured.h"

namespace pgram {

static TransferDuration split(Seconds bandwidth, Seconds latency, Provenance provenance) {
  return {bounded_picoseconds(bandwidth), bounded_picoseconds(latency), provenance};
}

/// Groups of this size that fit on the machine's cores, or the node's devices, at once. More wait for a core, and that
/// the event loop models.
static uint32_t busy_groups(size_t group, const Cluster& cluster) {
  const uint32_t devices = cluster.device.is_cpu ? cluster.devices : cluster.devices_per_node;
  const uint32_t running = cluster.shared_cores > 0 ? std::min(cluster.shared_cores, devices) : devices;
  return std::max(1u, running / static_cast<uint32_t>(group));
}

static Path hop(uint32_t from, uint32_t to, const Cluster& cluster) {
  if (!cluster.device.is_cpu || cluster.node_of(from) != cluster.node_of(to)) return cluster.path(from, to);
  // A device file may have replaced what the links were made from.
  return {cluster.device.copy_bytes_per_second, cluster.device.transfer_latency_seconds, false};
}

struct Ring {
  double bytes_per_second = 0;  ///< of the slowest hop
  Seconds latency = 0;          ///< of a hop, mean
};

static Ring ring_of(std::vector<uint32_t> group, const Cluster& cluster) {
  std::sort(group.begin(), group.end());
  double inside = std::numeric_limits<double>::infinity(), between = inside;
  Seconds latency = 0;
  size_t fewest_in_a_node = group.size(), in_this_node = 0;
  for (size_t i = 0; i < group.size(); ++i) {
    const Path path = hop(group[i], group[(i + 1) % group.size()], cluster);
    latency += path.latency;
    ++in_this_node;
    if (!path.crosses_nodes) {
      inside = std::min(inside, path.bytes_per_second);
      continue;
    }
    between = std::min(between, path.bytes_per_second);
    fewest_in_a_node = std::min(fewest_in_a_node, in_this_node);
    in_this_node = 0;
  }
  const double size = static_cast<double>(group.size());
  return {std::min(inside, between * static_cast<double>(fewest_in_a_node)), latency / size};
}

TransferDuration transfer_duration(Kernel kernel, Bytes bytes, const std::vector<uint32_t>& group,
                                   const Cluster& cluster) {
  assert(is_communication(kernel));
  if (group.size() < 2) return {};
  const bool inside = std::all_of(group.begin(), group.end(),
                                  [&](uint32_t d) { return cluster.node_of(d) == cluster.node_of(group[0]); });
  if (!cluster.device.transfers.empty() && (cluster.device.is_cpu || inside)) {
    const uint32_t ranks = static_cast<uint32_t>(group.size());
    if (const auto found = measured_transfer(cluster.device, kernel, ranks, bytes, busy_groups(ranks, cluster)))
      return split(found->total.seconds - found->latency, found->latency, found->total.provenance);
  }
  const double size = static_cast<double>(bytes);
  if (is_point_to_point(kernel)) {
    const Path path = hop(group[0], group[1], cluster);
    return split(size / path.bytes_per_second, path.latency, Provenance::roofline);
  }
  const bool reduces_to_all = kernel == Kernel::all_reduce || kernel == Kernel::all_reduce_max;
  const double ranks = static_cast<double>(group.size());
  const double steps = (reduces_to_all ? 2 : 1) * (ranks - 1);
  const Ring ring = ring_of(group, cluster);
  return split(steps * size / ranks / ring.bytes_per_second, steps * ring.latency, Provenance::roofline);
}

double bus_bytes_per_second(const MeasuredTransfer& transfer) {
  const double ranks = transfer.ranks, rate = static_cast<double>(transfer.bytes) / transfer.seconds;
  if (transfer.operation == name_of(Kernel::all_reduce)) return 2 * (ranks - 1) / ranks * rate;
  const bool passes_parts =
      transfer.operation == name_of(Kernel::all_gather) || transfer.operation == name_of(Kernel::reduce_scatter);
  return passes_parts ? (ranks - 1) / ranks * rate : rate;
}

}  // namespace pgram
