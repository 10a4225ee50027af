// What a topology says of its links, asked for once: simulations of many layouts look at the same links.
#pragma once
#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/cluster/cluster.h"

namespace pgram::sim {

struct LinkFact {
  double capacity = -1;  ///< bytes per picosecond
  Topology::LinkEnds ends;
};

class LinkFacts {
 public:
  /// Forgets what it knew of another topology.
  void look_at(const std::shared_ptr<const Topology>& topology) {
    if (topology == topology_) return;
    topology_ = topology;
    facts_.assign(topology->num_links(), {});
    vertices_ = 0;
  }
  const LinkFact& of(uint32_t link) {
    LinkFact& fact = facts_[link];
    if (fact.capacity < 0) find(link, fact);
    return fact;
  }
  /// Of a link that was asked for.
  const LinkFact& known(uint32_t link) const { return facts_[link]; }
  /// More than any vertex at an end of what it was asked for.
  uint32_t vertices() const { return vertices_; }
  /// Keeps nothing that takes more.
  void keep_at_most(size_t bytes) {
    if (facts_.size() * sizeof(LinkFact) > bytes) *this = {};
  }

 private:
  void find(uint32_t link, LinkFact& fact) {
    fact = {topology_->link(link).bytes_per_second / kPicosecondsPerSecond, topology_->ends(link)};
    vertices_ = std::max({vertices_, fact.ends.from + 1, fact.ends.to + 1});
  }

  std::shared_ptr<const Topology> topology_;
  std::vector<LinkFact> facts_;
  uint32_t vertices_ = 0;
};

}  // namespace pgram::sim
