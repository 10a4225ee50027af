#include "sim/wirings.h"

#include <algorithm>
#include <bit>

#include "sim/hash.h"
#include "sim/numbering.h"

namespace pgram::sim {

static uint64_t wiring(const std::vector<uint32_t>& members, const Cluster& cluster, PathsSeen seen) {
  constexpr uint64_t kOdd1 = 0x9e3779b97f4a7c15ull, kOdd2 = 0xc2b2ae3d27d4eb4full;
  if (seen == PathsSeen::none) return 0;
  uint64_t hash = members.size();
  for (size_t i = 0; i < members.size() && members.size() > 1; ++i) {
    const Path path = cluster.path(members[i], members[i + 1 == members.size() ? 0 : i + 1]);
    const double speed = seen == PathsSeen::alone ? path.alone_bytes_per_second : path.bytes_per_second;
    hash = (hash ^ std::bit_cast<uint64_t>(speed)) * kOdd1;
    hash = (std::rotl(hash, 31) ^ std::bit_cast<uint64_t>(path.latency)) * kOdd2 + path.crosses_nodes;
  }
  return mix(hash);
}

Wirings find_wirings(const PlanIndex& index, const Cluster& cluster, PathsSeen seen) {
  const Groups& groups = index.groups();
  const RankGroups& ranks = index.ranks();
  Wirings found;
  found.of_group.assign(groups.size(), kNone);
  Numbering kinds;
  std::vector<uint32_t> members;
  for (uint32_t rank = 0; rank < ranks.ranks(); ++rank) {
    const uint16_t* next_comm = index.usage().comms[ranks.at(rank)[2]].data();
    for (const uint32_t group : ranks.of(rank)) {
      const uint16_t comm = *next_comm++;
      uint32_t& kind = found.of_group[group];
      if (kind != kNone) continue;
      groups.members(comm, ranks.at(rank), members);
      // A ring goes through its devices in their own order; a channel from its source to its target.
      if (!index.plan().comms[comm].directed) std::sort(members.begin(), members.end());
      const uint64_t hash = wiring(members, cluster, seen);
      kind = kinds.number(mix(hash + comm));
      if (kind == found.kinds.size()) found.kinds.push_back({comm, hash, members});
    }
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
