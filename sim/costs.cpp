#include "sim/costs.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "sim/collectives/uses.h"
#include "sim/topology_views.h"

namespace pgram::sim {

/// A gradient's norm or a loss is all latency; as flows such sums over all ranks would only couple everything.
constexpr Bytes kTooSmallToShare = 1024;

CoreDemand core_demand(const Plan& plan, const Cluster& cluster) {
  const uint32_t ranks = plan.mesh.ranks(), threads = std::max(1u, cluster.cores_per_device);
  if (cluster.shared_cores > 0 && uint64_t{ranks} * threads > cluster.shared_cores) return {cluster.shared_cores, true};
  const bool one_machine = cluster.device.is_cpu && cluster.devices == cluster.devices_per_node;
  if (!one_machine || ranks == 1) return {};
  return {cluster.shared_cores > 0 ? cluster.shared_cores : cluster.devices * threads, false};
}

/// Devices that compute at the same time, for the choice among measured durations: those of a CPU slow each other down
/// through caches and memory, but no more of them run than there are cores.
static uint32_t busy_devices(const Plan& plan, const Cluster& cluster) {
  if (!cluster.device.is_cpu) return 1;
  const uint32_t ranks = plan.mesh.ranks();
  if (!core_demand(plan, cluster).by_compute) return ranks;
  return std::max(1u, cluster.shared_cores / std::max(1u, cluster.cores_per_device));
}

bool shares_links(const Cluster& cluster, const SimulationOptions& options) {
  return options.network != NetworkLevel::analytic && !options.laws.enabled && !cluster.device.is_cpu;
}

Collective collective_of(Kernel kernel) {
  switch (kernel) {
    case Kernel::all_gather:
      return Collective::all_gather;
    case Kernel::reduce_scatter:
      return Collective::reduce_scatter;
    default:
      return Collective::all_reduce;
  }
}

/// Bytes that every member of a group sends and receives per byte of the operation, in algorithms that load all members
/// evenly; 0 for others. Trees are built so (one's leaves are the other's inner nodes). A switch that reduces takes a
/// member's part in and gives the sum out, and so on for what it multicasts.
static double even_volume(const Lane& lane, double members) {
  if (lane.kernel == Kernel::send) return 1;
  const bool all_reduce = collective_of(lane.kernel) == Collective::all_reduce;
  switch (lane.algorithm) {
    case Algorithm::nvls:
      return (all_reduce ? 1 + 1 / members : 1) * wire_bytes(lane.protocol);
    case Algorithm::ring:
    case Algorithm::tree:
    case Algorithm::nvls_tree:
    case Algorithm::pat:
      return (all_reduce ? 2 : 1) * (members - 1) / members * wire_bytes(lane.protocol);
    default:
      return 0;
  }
}

/// Flows find their shares themselves.
static Cluster alone_on(const Cluster& cluster) {
  Cluster alone = cluster;
  alone.topology = std::make_shared<const AloneView>(cluster.topology);
  return alone;
}

PathsSeen paths_seen(const Cluster& cluster, const SimulationOptions& options) {
  if (options.laws.enabled) return PathsSeen::none;
  return shares_links(cluster, options) ? PathsSeen::alone : PathsSeen::shared;
}

Costs::Costs(const PlanIndex& index, std::shared_ptr<const Wirings> wirings, const Cluster& cluster,
             const SimulationOptions& options)
    : plan_(index.plan()),
      usage_(index.usage()),
      transfers_(index.transfers()),
      options_(options),
      wirings_(std::move(wirings)) {
  colour_kinds(shares_links(cluster, options) ? alone_on(cluster) : cluster);
  compute(cluster);
}

void Costs::colour_kinds(const Cluster& cluster) {
  last_colour_.assign(plan_.comms.size(), kNone);
  colour_of_kind_.reserve(wirings_->kinds.size());
  std::vector<uint32_t> channels;  // kinds of channels that differ in their wiring or in what they send
  for (uint32_t k = 0; k < wirings_->kinds.size(); ++k) {
    const auto& [comm, hash, members] = wirings_->kinds[k];
    if (!plan_.comms[comm].directed) {
      colour_of_kind_.push_back(colour_of(comm, make(comm, members, cluster)));
      continue;
    }
    // Nothing else of a channel counts.
    const auto same = std::ranges::find_if(channels, [&](uint32_t other) {
      const Wirings::Wiring& kind = wirings_->kinds[other];
      return kind.hash == hash && transfers_.of_comm[kind.comm] == transfers_.of_comm[comm];
    });
    const bool is_new = same == channels.end();
    const uint32_t made = is_new ? make(comm, members, cluster) : of_colour_[colour_of_kind_[*same]];
    if (is_new) channels.push_back(k);
    colour_of_kind_.push_back(colour_of(comm, made));
  }
}

/// The communicator's colour that costs what is `made`; a new one, if there is none.
uint32_t Costs::colour_of(uint16_t comm, uint32_t made) {
  for (uint32_t colour = last_colour_[comm]; colour != kNone; colour = colour_before_[colour]) {
    const Made &known = made_[of_colour_[colour]], &own = made_[made];
    if (&known == &own || (known.costs == own.costs && known.transfers == own.transfers)) return colour;
  }
  colour_before_.push_back(std::exchange(last_colour_[comm], colours()));
  of_colour_.push_back(made);
  return last_colour_[comm];
}

uint32_t Costs::make(uint16_t comm, const std::vector<uint32_t>& members, const Cluster& cluster) {
  made_.push_back(costs_of(comm, members, cluster));
  for (const TransferCost& transfer : made_.back().transfers) takes_sms_ |= transfer.sm_share > 0;
  return static_cast<uint32_t>(made_.size() - 1);
}

Costs::Made Costs::costs_of(uint16_t comm, const std::vector<uint32_t>& members, const Cluster& cluster) const {
  Made made;
  const std::vector<Transfers::Transfer>& transfers = transfers_.of_comm[comm];
  made.costs.reserve(transfers.size());
  made.transfers.reserve(transfers.size());
  GroupTransfers durations(members, cluster, options_.collectives);
  for (const auto& [kernel, bytes] : transfers) {
    OpCost& cost = made.costs.emplace_back();
    TransferCost& transfer = made.transfers.emplace_back();
    if (options_.laws.enabled) {
      if (kernel == Kernel::recv) cost.tail = options_.laws.latency;
      continue;
    }
    if (members.size() < 2) continue;
    const TransferDuration alone = durations.duration(kernel, bytes);
    const bool point_to_point = is_point_to_point(kernel);
    cost.hold = cost.work = alone.bandwidth;
    if (kernel == Kernel::recv) cost.tail = alone.latency;
    if (!point_to_point) {
      cost.hold += alone.latency;
      transfer.latency = alone.latency;
      transfer.sm_share = share_of_sms(alone.channels, cluster.device);
    }
    const bool measured = alone.bytes_per_second == 0;  // as it was with all that it met
    if (!shares_links(cluster, options_) || measured || bytes <= kTooSmallToShare) continue;
    transfer.bytes = static_cast<double>(bytes);
    transfer.limit = alone.bytes_per_second / kPicosecondsPerSecond;
    // Both ends of a channel are one flow.
    Lane lane{point_to_point ? Kernel::send : kernel, alone.algorithm, alone.protocol};
    const auto same = [&](const Lane& l) {
      return l.kernel == lane.kernel && l.algorithm == lane.algorithm && l.protocol == lane.protocol;
    };
    auto at = std::find_if(made.lanes.begin(), made.lanes.end(), same);
    if (at == made.lanes.end()) {
      lane.volume = even_volume(lane, static_cast<double>(members.size()));
      at = made.lanes.insert(at, lane);
    }
    at->limit = std::max(at->limit, transfer.limit);
    made.most_even = std::max(made.most_even, transfer.limit * at->volume);
    transfer.lane = static_cast<uint32_t>(at - made.lanes.begin());
  }
  return made;
}

double Costs::share_of_sms(uint32_t channels, const Device& device) const {
  double share = device.sms ? std::min(1.0, channels / static_cast<double>(device.sms)) : 0;
  if (options_.collective_share) share = *options_.collective_share;
  // So that sums of shares are exact, in whatever order collectives come and go.
  constexpr double kUnit = 0x1p-51;
  return std::round(share / kUnit) * kUnit;
}

void Costs::compute(const Cluster& cluster) {
  compute_.resize(usage_.first_op.back());
  provenance_.resize(plan_.bodies.size());
  std::vector<char> used(plan_.bodies.size());
  for (const auto& bodies : usage_.bodies) {
    for (uint16_t b : bodies) used[b] = 1;
  }
  const uint32_t busy = busy_devices(plan_, cluster);
  for (size_t b = 0; b < plan_.bodies.size(); ++b) {
    if (!used[b]) continue;
    const Body& body = plan_.bodies[b];
    for (size_t i = 0; i < body.ops.size(); ++i) {
      const Op& op = body.ops[i];
      if (is_communication(op.kernel)) continue;
      Duration duration;
      if (!options_.laws.enabled) {
        duration = compute_duration(plan_, body, op, cluster.device, busy, std::max(1u, cluster.cores_per_device));
      } else if (op.kernel == Kernel::opaque) {
        duration.time = options_.laws.cost[plan_.attributes[op.attributes].opaque_kind];
      }
      compute_[usage_.first_op[b] + i] = duration.time;
      ++provenance_[b][static_cast<size_t>(duration.provenance)];
    }
  }
}

void Costs::fill(uint16_t body, double factor, std::span<const uint32_t> transfers_of, OpCost* costs,
                 TransferCost* transfers) const {
  uint32_t index = usage_.first_op[body];
  for (const Op& op : plan_.bodies[body].ops) {
    if (op.comm == kNoComm) {
      const Picoseconds time =
          factor == 1 ? compute_[index] : std::llround(static_cast<double>(compute_[index]) * factor);
      costs[index] = {time, 0, time};
    } else {
      const Made& made = made_[transfers_of[op.comm]];
      costs[index] = made.costs[transfers_.of_op[index]];
      if (transfers) transfers[index] = made.transfers[transfers_.of_op[index]];
    }
    ++index;
  }
}

}  // namespace pgram::sim
