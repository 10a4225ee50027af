#include "sim/folding.h"

#include <algorithm>

#include "sim/traffic.h"

namespace pgram::sim {

Folding make_folding(const PlanIndex& index, const Costs& costs, const Cluster& cluster, const FoldingOptions& options,
                     LinkFacts& facts) {
  Traffic traffic;
  if (options.flows) traffic = Traffic(index, costs, cluster, options.changes, options.every_link, facts);
  Folding made;
  made.quotient = fold(index, costs, traffic, slow_factors(index.plan(), options.slow_ranks));
  made.table_ranks = made.quotient.representative;
  if (options.unfold || (options.every_link && !traffic.empty())) made.quotient = unfold(index, traffic, made.quotient);
  made.shared_links = static_cast<uint32_t>(traffic.links().size());
  if (!traffic.empty()) made.links = LinkClasses(index, costs, traffic, made.quotient, options.changes);
  return made;
}

Key folding_key(const Costs& costs, const Cluster& cluster, const FoldingOptions& options) {
  Key key(costs.wirings());
  key.add(cluster.devices);
  key.add(cluster.devices_per_node);
  key.add(options.flows);
  key.add(options.every_link);
  key.add(options.unfold);
  key.add(costs.colour_of_kind());
  for (uint32_t colour = 0; colour < costs.colours(); ++colour) {
    const std::vector<Lane>& lanes = costs.lanes(colour);
    key.add(costs.most_even(colour));
    key.add(std::ranges::count(lanes, 0.0, &Lane::volume));
    for (size_t l = 0; l < lanes.size(); ++l) {
      const Lane& lane = lanes[l];
      if (lane.volume > 0) continue;
      key.add(l);
      key.add(static_cast<uint8_t>(lane.kernel));
      key.add(static_cast<uint8_t>(lane.algorithm));
      key.add(static_cast<uint8_t>(lane.protocol));
      key.add(lane.limit);
    }
  }
  key.add(options.slow_ranks.size());
  for (const auto& [rank, factor] : options.slow_ranks) {
    key.add(rank);
    key.add(factor);
  }
  for (const LinkChange& change : options.changes) {
    key.add(change.time);
    key.add(change.link);
    key.add(change.factor);
  }
  return key;
}

Key shared_links_key(const std::shared_ptr<const Folding>& folding, const Costs& costs) {
  Key key(folding);
  for (uint32_t colour = 0; colour < costs.colours(); ++colour) {
    key.add(costs.lanes(colour).size());
    for (const Lane& lane : costs.lanes(colour)) key.add(lane.volume);
  }
  return key;
}

std::vector<double> slow_factors(const Plan& plan, std::span<const std::pair<uint32_t, double>> slow_ranks) {
  std::vector<double> factor;
  if (!slow_ranks.empty()) factor.assign(plan.mesh.ranks(), 1.0);
  for (const auto& [rank, value] : slow_ranks) factor[rank] = value;
  return factor;
}

size_t Folding::bytes() const {
  size_t words = 0;
  for (const auto* list : {&quotient.class_of, &quotient.representative, &quotient.cost_table, &quotient.meeting,
                           &quotient.meeting_size, &quotient.link_class, &quotient.link_representative, &table_ranks})
    words += list->size();
  return sizeof(Folding) + words * sizeof(uint32_t) + links.bytes();
}

}  // namespace pgram::sim
