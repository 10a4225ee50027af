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
      : ranks_(index.ranks()),
        traffic_(traffic),
        content_(index.groups().size()),
        colour_(index.groups().size(), kNone),
        seen_(index.groups().size()),
        links_(traffic.links().size()),
        of_link_(traffic.links().size()),
        num_uses_(traffic.uses()) {
    for (uint32_t rank = 0; rank < ranks_.ranks(); ++rank) {
      for (const uint32_t group : ranks_.of(rank)) {
        if (colour_[group] != kNone) continue;
        colour_[group] = costs.colour(group);
        used_.push_back(group);
      }
    }
    uses_.make(num_uses_);
    UseOfLink* next = uses_.data();
    for (uint32_t i = 0; i < links_.size(); ++i) {
      for (const Use& use : traffic.uses_of(i)) {
        constexpr uint64_t kOdd1 = 0x9e3779b97f4a7c15ull, kOdd2 = 0xc2b2ae3d27d4eb4full;
        const uint64_t lane = (uint64_t{use.epoch} << 16 | use.lane) * kOdd1;
        const uint64_t way = (std::bit_cast<uint64_t>(use.share) ^ lane) * kOdd2;
        *next++ = {(way ^ way >> 32) | 1, i, use.group};
      }
    }
  }

  std::vector<uint32_t> run(const std::vector<double>& factor) {
    std::vector<uint32_t> classes(ranks_.ranks());
    Numbering first, first_links;
    for (uint32_t rank = 0; rank < classes.size(); ++rank) {
      const uint64_t slow = factor.empty() ? 0 : std::bit_cast<uint64_t>(factor[rank]);
      classes[rank] = first.number(mix(mix(ranks_.at(rank)[2]) ^ slow));
    }
    for (uint32_t i = 0; i < links_.size(); ++i) {
      const SharedLink& link = traffic_.links()[i];
      links_[i] = first_links.number(mix(std::bit_cast<uint64_t>(link.capacity) ^ mix(link.changes)));
    }
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
  uint64_t content(uint32_t group) const { return content_[group]; }

 private:
  void add_ranks(const std::vector<uint32_t>& classes) {
    std::fill(content_.begin(), content_.end(), 0);
    for (uint32_t rank = 0; rank < classes.size(); ++rank) {
      const uint64_t own = mix(classes[rank] + 1);
      for (const uint32_t group : ranks_.of(rank)) content_[group] += own;
    }
  }

  uint32_t refine(std::vector<uint32_t>& classes) {
    add_ranks(classes);
    for (size_t i = 0; i < links_.size(); ++i) of_link_[i] = ~mix(links_[i] + 1);
    for (const UseOfLink& use : uses()) content_[use.group] += of_link_[use.link] * use.way;
    const uint32_t link_classes = refine_links();
    Numbering numbering;
    for (uint32_t rank = 0; rank < classes.size(); ++rank) {
      uint64_t hash = mix(classes[rank] + 1);
      for (const uint32_t group : ranks_.of(rank)) hash = std::rotl(hash, 23) * 0x9e3779b97f4a7c15ull + seen_[group];
      classes[rank] = numbering.number(mix(hash));
    }
    return numbering.count() + link_classes;
  }

  /// Also how ranks see their groups.
  uint32_t refine_links() {
    for (const uint32_t group : used_) seen_[group] = mix(content_[group] + colour_[group]);
    std::fill(of_link_.begin(), of_link_.end(), 0);  // its users, whatever their order
    for (const UseOfLink& use : uses()) of_link_[use.link] += seen_[use.group] * use.way;
    Numbering numbering;
    for (size_t i = 0; i < links_.size(); ++i) links_[i] = numbering.number(mix(mix(links_[i] + 1) ^ of_link_[i]));
    return numbering.count();
  }

  struct UseOfLink {
    uint64_t way = 0;  // a hash of how it is used, odd: products with it are as different as what it multiplies
    uint32_t link = 0, group = 0;
  };
  std::span<const UseOfLink> uses() const { return {uses_.data(), num_uses_}; }

  const RankGroups& ranks_;
  const Traffic& traffic_;
  std::vector<uint64_t> content_;  // per group: sum of its members' and links' mixed classes, whatever their order
  std::vector<uint32_t> colour_;   // per group, of those that are used
  std::vector<uint64_t> seen_;     // per group: its content and colour
  std::vector<uint32_t> used_;     // groups
  std::vector<uint32_t> links_;    // class per link of the traffic
  std::vector<uint64_t> of_link_;  // per link, while classes are found
  Room<UseOfLink> uses_;
  size_t num_uses_;
};

/// Classes that meet in a communicator, from a key per group that is equal where they meet.
template <typename Key>
void find_meetings(const PlanIndex& index, Quotient& q, const Key& key) {
  const RankGroups& ranks = index.ranks();
  const size_t comms = index.plan().comms.size();
  std::vector<uint32_t> users(index.groups().size());
  for (uint32_t rank = 0; rank < ranks.ranks(); ++rank) {
    for (const uint32_t group : ranks.of(rank)) ++users[group];
  }
  Numbering places;
  q.meeting.assign(q.representative.size() * comms, kNone);
  for (size_t c = 0; c < q.representative.size(); ++c) {
    const uint32_t rank = q.representative[c];
    const uint16_t* next_comm = index.usage().comms[ranks.at(rank)[2]].data();
    for (const uint32_t group : ranks.of(rank)) {
      const uint16_t comm = *next_comm++;
      const uint32_t place = places.number(mix(key(group) + comm));
      if (place == q.meeting_size.size()) {
        // A member whose program never comes here makes the others wait for ever, as it would in reality.
        q.meeting_size.push_back(users[group] < group_size(index.plan(), comm) ? 1 : 0);
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
