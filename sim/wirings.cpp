#include "sim/wirings.h"

#include <algorithm>
#include <bit>
#include <unordered_map>

#include "sim/hash.h"

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

Wirings find_wirings(const Plan& plan, const Usage& usage, const Groups& groups, const Cluster& cluster,
                     PathsSeen seen) {
  Wirings found;
  found.of_group.assign(groups.size(), kNone);
  std::vector<std::unordered_map<uint64_t, uint32_t>> known(plan.comms.size());
  std::vector<uint32_t> members;
  const uint32_t ranks = plan.mesh.ranks();
  for (uint32_t rank = 0; rank < ranks; ++rank) {
    const auto at = plan.mesh.coordinates(rank);
    for (uint16_t comm : usage.comms[at[2]]) {
      uint32_t& kind = found.of_group[groups.of(comm, at)];
      if (kind != kNone) continue;
      groups.members(comm, at, members);
      // A ring goes through its devices in their own order; a channel from its source to its target.
      if (!plan.comms[comm].directed) std::sort(members.begin(), members.end());
      const uint64_t hash = wiring(members, cluster, seen);
      const auto [entry, is_new] = known[comm].try_emplace(hash, found.kinds.size());
      if (is_new) found.kinds.push_back({comm, hash, members});
      kind = entry->second;
    }
  }
  return found;
}

Key wirings_key(const Plan& plan, const Usage& usage, const Cluster& cluster, PathsSeen seen) {
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
  key.add(usage.comms);
  return key;
}

size_t Wirings::bytes() const {
  size_t bytes = sizeof(Wirings) + of_group.size() * sizeof(uint32_t);
  for (const Wiring& kind : kinds) bytes += sizeof(Wiring) + kind.members.size() * sizeof(uint32_t);
  return bytes;
}

}  // namespace pgram::sim
