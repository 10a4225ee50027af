#include "sim/wirings.h"

#include <bit>
#include <span>

#include "sim/hash.h"
#include "sim/numbering.h"

namespace pgram::sim {

/// A ring over the members, hop by hop.
static uint64_t wiring(std::span<const uint32_t> members, const Cluster& cluster, PathsSeen seen) {
  constexpr uint64_t kOdd1 = 0x9e3779b97f4a7c15ull, kOdd2 = 0xc2b2ae3d27d4eb4full;
  if (seen == PathsSeen::none) return 0;
  uint64_t hash = members.size();
  if (members.size() < 2) return mix(hash);
  const auto add_hop = [&](uint32_t from, uint32_t to) {
    const Path path = cluster.topology->path(from, to);
    const double speed = seen == PathsSeen::alone ? path.alone_bytes_per_second : path.bytes_per_second;
    hash = (hash ^ std::bit_cast<uint64_t>(speed)) * kOdd1;
    hash = (std::rotl(hash, 31) ^ std::bit_cast<uint64_t>(path.latency)) * kOdd2 + path.crosses_nodes;
  };
  for (size_t i = 1; i < members.size(); ++i) add_hop(members[i - 1], members[i]);
  add_hop(members.back(), members.front());
  return mix(hash);
}

Wirings find_wirings(const PlanIndex& index, const Cluster& cluster, PathsSeen seen) {
  const Groups& groups = index.groups();
  Wirings found;
  found.of_group.reserve(groups.size());
  Numbering kinds;
  for (uint32_t group = 0; group < groups.size(); ++group) {
    const uint16_t comm = groups.comm(group);
    const std::span<const uint32_t> members = groups.members(group);
    const uint64_t hash = wiring(members, cluster, seen);
    const uint32_t kind = kinds.number(mix(hash + comm));
    if (kind == found.kinds.size()) found.kinds.push_back({comm, hash, {members.begin(), members.end()}});
    found.of_group.push_back(kind);
  }
  return found;
}

Key wirings_key(const PlanIndex& index, const Cluster& cluster, PathsSeen seen) {
  const Plan& plan = index.plan();
  Key key(seen == PathsSeen::none ? nullptr : cluster.topology);
  key.add(static_cast<uint8_t>(seen));
  for (const uint32_t size : plan.mesh.size) key.add(size);
  for (const uint8_t axis : plan.mesh.order) key.add(axis);
  key.add(plan.comms.size());
  for (const Communicator& comm : plan.comms) {
    key.add(comm.axes);
    key.add(comm.directed);
    key.add(comm.source);
    key.add(comm.target);
    key.add(comm.roles);
  }
  key.add(index.usage().comms);
  return key;
}

size_t Wirings::bytes() const {
  size_t bytes = sizeof(Wirings) + of_group.size() * sizeof(uint32_t);
  for (const Wiring& kind : kinds) bytes += sizeof(Wiring) + kind.members.size() * sizeof(uint32_t);
  return bytes;
}

}  // namespace pgram::sim
