// Communication ops: what was measured within a node, or what a collective costs.
#include <algorithm>
#include <cassert>

#include "core/cost/cost.h"
#include "core/cost/measured.h"

namespace pgram {

/// Groups of this size that fit on the machine's cores, or the node's devices, at once. More wait for a core, and that
/// the event loop models.
static uint32_t busy_groups(size_t group, const Cluster& cluster) {
  const uint32_t devices = cluster.device.is_cpu ? cluster.devices : cluster.devices_per_node;
  const uint32_t running = cluster.shared_cores > 0 ? std::min(cluster.shared_cores, devices) : devices;
  return std::max(1u, running / static_cast<uint32_t>(group));
}

static Collective collective_of(Kernel kernel) {
  switch (kernel) {
    case Kernel::all_reduce:
    case Kernel::all_reduce_max:
      return Collective::all_reduce;
    case Kernel::all_gather:
      return Collective::all_gather;
    case Kernel::reduce_scatter:
      return Collective::reduce_scatter;
    default:
      assert(is_point_to_point(kernel));
      return Collective::send_recv;
  }
}

GroupTransfers::GroupTransfers(const std::vector<uint32_t>& group, const Cluster& cluster,
                               const CollectiveOptions& options)
    : group_(group), cluster_(cluster), options_(options) {
  if (group.size() < 2 || cluster.device.transfers.empty()) return;
  measured_ = cluster.device.is_cpu || std::ranges::all_of(group, [&](uint32_t device) {
                return cluster.node_of(device) == cluster.node_of(group[0]);
              });
}

TransferDuration GroupTransfers::duration(Kernel kernel, Bytes bytes) {
  assert(is_communication(kernel));
  if (group_.size() < 2) return {};
  if (measured_) {
    const uint32_t ranks = static_cast<uint32_t>(group_.size());
    if (const auto found = measured_transfer(cluster_.device, kernel, ranks, bytes, busy_groups(ranks, cluster_)))
      return {.bandwidth = bounded_picoseconds(found->total.seconds - found->latency),
              .latency = bounded_picoseconds(found->latency),
              .provenance = found->total.provenance};
  }
  if (!costs_) costs_.emplace(group_, cluster_);
  const CollectiveCost cost =
      costs_->choose(collective_of(kernel), bytes, is_point_to_point(kernel) ? CollectiveOptions() : options_);
  return {bounded_picoseconds(static_cast<double>(bytes) / cost.bytes_per_second),
          bounded_picoseconds(cost.latency),
          Provenance::roofline,
          cost.algorithm,
          cost.protocol,
          cost.channels,
          cost.bytes_per_second};
}

TransferDuration transfer_duration(Kernel kernel, Bytes bytes, const std::vector<uint32_t>& group,
                                   const Cluster& cluster, const CollectiveOptions& options) {
  return GroupTransfers(group, cluster, options).duration(kernel, bytes);
}

double bus_bytes_per_second(const MeasuredTransfer& transfer) {
  const double ranks = transfer.ranks, rate = static_cast<double>(transfer.bytes) / transfer.seconds;
  if (transfer.operation == name_of(Kernel::all_reduce)) return 2 * (ranks - 1) / ranks * rate;
  const bool passes_parts =
      transfer.operation == name_of(Kernel::all_gather) || transfer.operation == name_of(Kernel::reduce_scatter);
  return passes_parts ? (ranks - 1) / ranks * rate : rate;
}

}  // namespace pgram
