#include "sim/collectives/routes.h"

#include <algorithm>
#include <string>

#include "core/base/errors.h"

namespace pgram::sim {

void check_group(std::span<const uint32_t> group, const Cluster& cluster) {
  if (group.size() < 2) throw InputError("group", "expected at least 2 members, got " + std::to_string(group.size()));
  std::vector<uint32_t> sorted(group.begin(), group.end());
  std::sort(sorted.begin(), sorted.end());
  if (sorted.back() >= cluster.devices)
    throw InputError("group", "has member " + std::to_string(sorted.back()) + ", but " + cluster.name + " has only " +
                                  std::to_string(cluster.devices) + " devices");
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end()) throw InputError("group", "has member " + std::to_string(*twice) + " twice");
}

PlaceRoutes::PlaceRoutes(std::span<const uint32_t> group, const GroupNodes& shape, uint32_t switches,
                         const Cluster& cluster)
    : group_(group), cluster_(cluster) {
  if (switches == 0) return;
  up_.resize(group.size());
  down_.resize(group.size());
  for (const auto& node : shape.nodes) {
    if (node.size() < 2) throw InputError("collective", "a sum in the switch needs at least 2 members in every node");
    uint32_t hub = ~0u;
    for (size_t i = 0; i < node.size(); ++i) {
      const uint32_t member = node[i], peer = node[i == 0 ? 1 : 0];
      cluster.route(group[member], group[peer], links_);
      const uint32_t mine = links_.size() == 2 ? cluster.topology->ends(links_[0]).to : ~0u;
      if (i == 0) hub = mine;
      if (mine == ~0u || mine != hub)
        throw InputError("collective", "there is no switch that devices " + std::to_string(group[member]) + " and " +
                                           std::to_string(group[peer]) + " of " + cluster.name + " hang on both");
      up_[member] = links_[0];
      cluster.route(group[peer], group[member], links_);
      down_[member] = links_.back();
    }
  }
}

const std::vector<uint32_t>& PlaceRoutes::links(uint32_t source, uint32_t target) {
  if (is_switch(target)) {
    links_.assign(1, up_[source]);
  } else if (is_switch(source)) {
    links_.assign(1, down_[target]);
  } else {
    cluster_.route(group_[source], group_[target], links_);
  }
  return links_;
}

}  // namespace pgram::sim
