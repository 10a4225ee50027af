#include "sim/fold.h"

#include <algorithm>
#include <bit>
#include <span>
#include <utility>

#include "sim/hash.h"
#include "sim/numbering.h"
#include "sim/room.h"

namespace pgram::sim {
namespace {

class Refinement {
 public:
  Refinement(const PlanIndex& index, const Costs& costs, const Traffic& traffic)
      : groups_(index.groups()), traffic_(traffic), links_(traffic.links().size()) {
    colour_.reserve(groups_.size());
    for (uint32_t group = 0; group < groups_.size(); ++group) colour_.push_back(costs.colour(group));
    content_.make(groups_.size());
    seen_.make(groups_.size());
    way_.reserve(traffic.uses().size());
    for (const Use& use : traffic.uses()) {
      constexpr uint64_t kOdd1 = 0x9e3779b97f4a7c15ull, kOdd2 = 0xc2b2ae3d27d4eb4full;
      const uint64_t lane = (uint64_t{use.epoch} << 16 | use.lane) * kOdd1;
      const uint64_t way = (std::bit_cast<uint64_t>(use.share) ^ lane) * kOdd2;
      way_.push_back((way ^ way >> 32) | 1);
    }
    of_use_.make(way_.size());
  }

  std::vector<uint32_t> run(const std::vector<double>& factor) {
    std::vector<uint32_t> classes(groups_.ranks());
    Numbering first;
    for (uint32_t rank = 0; rank < classes.size(); ++rank) {
      const uint64_t slow = factor.empty() ? 0 : std::bit_cast<uint64_t>(factor[rank]);
      classes[rank] = first.number(mix(mix(groups_.role(rank)) ^ slow));
    }
    number_capacities();
    // What a group is to its ranks tells links apart before a round; most often one round shows that this was all.
    add_ranks(classes);
    uint32_t count = first.count() + refine_links(), before = 0;
    // Each round splits classes, never joins them: when their number stands still, they are stable.
    while (count != before) {
      before = count;
      count = refine(classes);
    }
    return classes;
  }

  const std::vector<uint32_t>& link_classes() const { return links_; }

  /// Hash of the classes in a group, as of the last round.
  uint64_t content(uint32_t group) const { return content_.data()[group]; }

 private:
  void number_capacities() {
    const std::vector<SharedLink>& links = traffic_.links();
    Numbering numbering;
    for (size_t i = 0; i < links.size(); ++i) {
      const bool again =
          i > 0 && links[i].capacity == links[i - 1].capacity && links[i].changes == links[i - 1].changes;
      links_[i] = again ? links_[i - 1]
                        : numbering.number(mix(std::bit_cast<uint64_t>(links[i].capacity) ^ mix(links[i].changes)));
    }
  }

  void add_ranks(const std::vector<uint32_t>& classes) {
    uint64_t* const content = content_.data();
    std::fill_n(content, groups_.size(), 0);
    for (uint32_t rank = 0; rank < classes.size(); ++rank) {
      const uint64_t own = mix(classes[rank] + 1);
      for (const uint32_t group : groups_.of(rank)) content[group] += own;
    }
  }

  void add_links() {
    uint64_t* const of_use = of_use_.data();
    std::fill_n(of_use, way_.size(), 0);
    for (uint32_t i = 0; i < links_.size(); ++i) {
      const uint64_t own = ~mix(links_[i] + 1);
      for (const uint32_t use : traffic_.uses_of(i)) of_use[use] += own;
    }
    for (size_t use = 0; use < way_.size(); ++use)
      content_.data()[traffic_.uses()[use].group] += of_use[use] * way_[use];
  }

  uint32_t refine(std::vector<uint32_t>& classes) {
    add_ranks(classes);
    add_links();
    const uint32_t link_classes = refine_links();
    const uint64_t* const seen = seen_.data();
    Numbering numbering;
    for (uint32_t rank = 0; rank < classes.size(); ++rank) {
      uint64_t hash = mix(classes[rank] + 1);
      for (const uint32_t group : groups_.of(rank)) hash = std::rotl(hash, 23) * 0x9e3779b97f4a7c15ull + seen[group];
      classes[rank] = numbering.number(mix(hash));
    }
    return numbering.count() + link_classes;
  }

  /// Also how ranks see their groups.
  uint32_t refine_links() {
    uint64_t* const seen = seen_.data();
    uint64_t* const of_use = of_use_.data();
    for (size_t group = 0; group < colour_.size(); ++group) seen[group] = mix(content_.data()[group] + colour_[group]);
    for (size_t use = 0; use < way_.size(); ++use) of_use[use] = seen[traffic_.uses()[use].group] * way_[use];
    Numbering numbering;
    for (uint32_t i = 0; i < links_.size(); ++i) {
      uint64_t users = 0;  // whatever their order
      for (const uint32_t use : traffic_.uses_of(i)) users += of_use[use];
      links_[i] = numbering.number(mix(mix(links_[i] + 1) ^ users));
    }
    return numbering.count();
  }

  const Groups& groups_;
  const Traffic& traffic_;
  std::vector<uint32_t> colour_;  // per group
  Room<uint64_t> content_;        // per group: sum of its members' and links' mixed classes, whatever their order
  Room<uint64_t> seen_;           // per group: its content and colour
  std::vector<uint32_t> links_;   // class per link of the traffic
  std::vector<uint64_t> way_;  // per use, a hash of how; odd: products with it are as different as what it multiplies
  Room<uint64_t> of_use_;      // per use, while classes are found
};

/// Classes that meet in a communicator, from a key per group that is equal where they meet.
template <typename Key>
void find_meetings(const PlanIndex& index, Quotient& q, const Key& key) {
  const Groups& groups = index.groups();
  const size_t comms = index.plan().comms.size();
  Numbering places;
  q.meeting.assign(q.representative.size() * comms, kNone);
  for (size_t c = 0; c < q.representative.size(); ++c) {
    const uint32_t rank = q.representative[c];
    for (const uint32_t group : groups.of(rank)) {
      const uint16_t comm = groups.comm(group);
      const uint32_t place = places.number(mix(key(group) + comm));
      if (place == q.meeting_size.size()) {
        // A member whose program never comes here makes the others wait for ever, as it would in reality.
        q.meeting_size.push_back(groups.users(group) < groups.members(group).size() ? 1 : 0);
      }
      q.meeting[c * comms + comm] = place;
      ++q.meeting_size[place];
    }
  }
}

}  // namespace

Quotient fold(const PlanIndex& index, const Costs& costs, const Traffic& traffic, const std::vector<double>& factor) {
  Quotient q;
  Refinement refinement(index, costs, traffic);
  q.class_of = refinement.run(factor);
  for (uint32_t rank = 0; rank < q.class_of.size(); ++rank) {
    if (q.class_of[rank] == q.representative.size()) q.representative.push_back(rank);
  }
  for (uint32_t c = 0; c < q.representative.size(); ++c) q.cost_table.push_back(c);
  find_meetings(index, q, [&](uint32_t group) { return refinement.content(group); });
  q.link_class = refinement.link_classes();
  for (uint32_t i = 0; i < q.link_class.size(); ++i) {
    if (q.link_class[i] == q.link_representative.size()) q.link_representative.push_back(i);
  }
  return q;
}

Quotient unfold(const PlanIndex& index, const Traffic& traffic, const Quotient& folded) {
  Quotient q;
  q.cost_table = folded.class_of;
  for (uint32_t rank = 0; rank < folded.class_of.size(); ++rank) {
    q.class_of.push_back(rank);
    q.representative.push_back(rank);
  }
  find_meetings(index, q, [](uint32_t group) { return mix(group); });
  for (uint32_t i = 0; i < traffic.links().size(); ++i) {
    q.link_class.push_back(i);
    q.link_representative.push_back(i);
  }
  return q;
}

}  // namespace pgram::sim
