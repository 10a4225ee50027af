#include "sim/collectives/uses.h"

#include <algorithm>
#include <unordered_map>

#include "core/base/errors.h"
#include "sim/collectives/ring_hops.h"
#include "sim/collectives/routes.h"

namespace pgram::sim {

double wire_bytes(Protocol protocol) {
  return protocol == Protocol::ll ? 2 : protocol == Protocol::ll128 ? 128.0 / 120 : 1;
}

static std::vector<LinkUse> summed(std::vector<LinkUse> uses) {
  std::sort(uses.begin(), uses.end(), [](const LinkUse& a, const LinkUse& b) { return a.link < b.link; });
  size_t count = 0;
  for (const LinkUse& use : uses) {
    if (count > 0 && uses[count - 1].link == use.link) {
      uses[count - 1].weight += use.weight;
    } else {
      uses[count++] = use;
    }
  }
  uses.resize(count);
  return uses;
}

std::vector<LinkUse> program_uses(const StepProgram& program, std::span<const uint32_t> group, const Cluster& cluster,
                                  double wire) {
  PlaceRoutes routes(group, GroupNodes::of(group, cluster), program.switches, cluster);
  std::unordered_map<uint64_t, uint64_t> blocks;  // by source and target
  for (const Transfer& t : program.transfers) {
    if (!t.joins()) blocks[uint64_t{t.source} << 32 | t.target] += t.count;
  }
  std::vector<LinkUse> uses;
  for (const auto& [places, count] : blocks) {
    const double weight = wire * static_cast<double>(count) / program.blocks;
    for (const uint32_t link : routes.links(static_cast<uint32_t>(places >> 32), static_cast<uint32_t>(places)))
      uses.push_back({link, weight});
  }
  return summed(std::move(uses));
}

/// Every hop of a ring carries as much: n-1 of the n parts in each phase; the last hop of a chain nothing.
static std::vector<LinkUse> ring_uses(Collective collective, std::span<const uint32_t> group, const Cluster& cluster,
                                      double wire) {
  const bool rooted = collective == Collective::broadcast || collective == Collective::reduce;
  const double weight = wire * (rooted ? 1 : bus_factor(collective, static_cast<uint32_t>(group.size())));
  std::vector<LinkUse> uses;
  std::vector<uint32_t> links;
  RingHops hops(cluster);
  for (const auto& [from, to, share] : hops.of(group)) {
    if (rooted && (collective == Collective::broadcast ? to : from) == 0) continue;
    cluster.route(group[from], group[to], links);
    for (const uint32_t link : links) uses.push_back({link, weight * share});
  }
  return summed(std::move(uses));
}

std::vector<LinkUse> collective_uses(Collective collective, Algorithm algorithm, std::span<const uint32_t> group,
                                     const Cluster& cluster, double wire) {
  check_group(group, cluster);
  const bool by_ring =
      algorithm == Algorithm::ring && collective != Collective::all_to_all && collective != Collective::send_recv;
  if (by_ring) return ring_uses(collective, group, cluster, wire);
  return program_uses(make_steps(collective, algorithm, GroupNodes::of(group, cluster)), group, cluster, wire);
}

}  // namespace pgram::sim
