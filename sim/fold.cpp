#include "sim/fold.h"

#include <algorithm>
#include <bit>
#include <unordered_map>
#include <utility>

#include "sim/hash.h"

namespace pgram::sim {
namespace {

/// Gives equal hashes one number, counting up from 0 in order of first appearance. Open addressing: with few classes
/// the table stays in the cache.
class Numbering {
 public:
  explicit Numbering(size_t most) : slots_(std::bit_ceil(2 * most + 2)) {}

  uint32_t number(uint64_t hash) {
    const size_t mask = slots_.size() - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
      Slot& slot = slots_[i];
      if (slot.number == kNone) slot = {hash, count_++};
      if (slot.hash == hash) return slot.number;
    }
  }
  uint32_t count() const { return count_; }

 private:
  struct Slot {
    uint64_t hash = 0;
    uint32_t number = kNone;
  };
  std::vector<Slot> slots_;
  uint32_t count_ = 0;
};

class Refinement {
 public:
  Refinement(const Plan& plan, const Usage& usage, const Groups& groups, const Costs& costs, const Traffic& traffic)
      : usage_(usage),
        groups_(groups),
        costs_(costs),
        traffic_(traffic),
        at_(plan.mesh.ranks()),
        content_(groups.size()),
        links_(traffic.links().size()),
        as_user_(groups.size()) {
    std::vector<char> seen(groups.size());
    for (uint32_t rank = 0; rank < at_.size(); ++rank) at_[rank] = plan.mesh.coordinates(rank);
    for (uint32_t i = 0; i < links_.size(); ++i) {
      for (const Use& use : traffic.uses_of(i)) {
        ways_.push_back(mix(std::bit_cast<uint64_t>(use.weight) ^ mix(uint64_t{use.epoch} << 16 | use.lane)));
        if (std::exchange(seen[use.group], 1) == 0) users_.push_back(use.group);
      }
    }
  }

  std::vector<uint32_t> run(const std::vector<double>& factor) {
    std::vector<uint32_t> classes(at_.size());
    Numbering first(at_.size()), first_links(links_.size());
    for (uint32_t rank = 0; rank < at_.size(); ++rank) {
      const uint64_t slow = factor.empty() ? 0 : std::bit_cast<uint64_t>(factor[rank]);
      classes[rank] = first.number(mix(mix(at_[rank][2]) ^ slow));
    }
    for (size_t i = 0; i < links_.size(); ++i) {
      const SharedLink& link = traffic_.links()[i];
      links_[i] = first_links.number(mix(std::bit_cast<uint64_t>(link.capacity) ^ mix(link.changes)));
    }
    // Each round splits classes, never joins them: when their number stands still, they are stable.
    for (uint32_t count = first.count() + first_links.count(), before = 0; count != before;) {
      before = count;
      count = refine(classes);
    }
    return classes;
  }

  const std::vector<uint32_t>& link_classes() const { return links_; }

  /// Hash of the classes in a group, as of the last round.
  uint64_t content(uint16_t comm, uint32_t rank) const { return content_[groups_.of(comm, at_[rank])]; }

 private:
  uint32_t refine(std::vector<uint32_t>& classes) {
    std::fill(content_.begin(), content_.end(), 0);
    for (uint32_t rank = 0; rank < at_.size(); ++rank) {
      const uint64_t own = mix(classes[rank] + 1);
      for (uint16_t comm : usage_.comms[at_[rank][2]]) content_[groups_.of(comm, at_[rank])] += own;
    }
    auto way = ways_.begin();
    for (uint32_t i = 0; i < links_.size(); ++i) {
      const uint64_t own = ~mix(links_[i] + 1);
      for (const Use& use : traffic_.uses_of(i)) content_[use.group] += mix(own ^ *way++);
    }
    const uint32_t link_classes = refine_links();
    Numbering numbering(at_.size());
    for (uint32_t rank = 0; rank < at_.size(); ++rank) {
      uint64_t hash = mix(classes[rank] + 1);
      for (uint16_t comm : usage_.comms[at_[rank][2]]) {
        const uint32_t group = groups_.of(comm, at_[rank]);
        hash = mix(hash ^ content_[group]) + costs_.colour(group);
      }
      classes[rank] = numbering.number(hash);
    }
    return numbering.count() + link_classes;
  }

  uint32_t refine_links() {
    for (const uint32_t group : users_) as_user_[group] = mix(content_[group] ^ mix(uint64_t{costs_.colour(group)}));
    Numbering numbering(links_.size());
    auto way = ways_.begin();
    for (uint32_t i = 0; i < links_.size(); ++i) {
      uint64_t users = 0;  // whatever their order
      for (const Use& use : traffic_.uses_of(i)) users += mix(as_user_[use.group] ^ *way++);
      links_[i] = numbering.number(mix(mix(links_[i] + 1) ^ users));
    }
    return numbering.count();
  }

  const Usage& usage_;
  const Groups& groups_;
  const Costs& costs_;
  const Traffic& traffic_;
  std::vector<Groups::Coordinates> at_;  // per rank
  std::vector<uint64_t> content_;  // per group: sum of its members' and links' mixed classes, whatever their order
  std::vector<uint32_t> links_;    // class per link of the traffic
  std::vector<uint64_t> ways_;     // how it is used: of each use, link after link
  std::vector<uint32_t> users_;    // groups that use links
  std::vector<uint64_t> as_user_;  // per group that does: its content and colour
};

/// Classes that meet in a communicator, from a key per (class, communicator) that is equal where they meet.
template <typename Key>
void find_meetings(const Plan& plan, const Usage& usage, const Groups& groups, Quotient& q, const Key& key) {
  const size_t comms = plan.comms.size();
  std::vector<uint32_t> users(groups.size());
  for (uint32_t rank = 0; rank < plan.mesh.ranks(); ++rank) {
    const auto at = plan.mesh.coordinates(rank);
    for (uint16_t comm : usage.comms[at[2]]) ++users[groups.of(comm, at)];
  }
  std::vector<std::unordered_map<uint64_t, uint32_t>> places(comms);
  q.meeting.assign(q.representative.size() * comms, kNone);
  for (size_t c = 0; c < q.representative.size(); ++c) {
    const uint32_t rank = q.representative[c];
    const auto at = plan.mesh.coordinates(rank);
    for (uint16_t comm : usage.comms[at[2]]) {
      const auto [place, is_new] =
          places[comm].try_emplace(key(comm, rank), static_cast<uint32_t>(q.meeting_size.size()));
      if (is_new) {
        // A member whose program never comes here makes the others wait for ever, as it would in reality.
        q.meeting_size.push_back(users[groups.of(comm, at)] < group_size(plan, comm) ? 1 : 0);
      }
      q.meeting[c * comms + comm] = place->second;
      ++q.meeting_size[place->second];
    }
  }
}

}  // namespace

Quotient fold(const Plan& plan, const Usage& usage, const Groups& groups, const Costs& costs, const Traffic& traffic,
              const std::vector<double>& factor) {
  Quotient q;
  Refinement refinement(plan, usage, groups, costs, traffic);
  q.class_of = refinement.run(factor);
  for (uint32_t rank = 0; rank < q.class_of.size(); ++rank) {
    if (q.class_of[rank] == q.representative.size()) q.representative.push_back(rank);
  }
  for (uint32_t c = 0; c < q.representative.size(); ++c) q.cost_table.push_back(c);
  find_meetings(plan, usage, groups, q, [&](uint16_t comm, uint32_t rank) { return refinement.content(comm, rank); });
  q.link_class = refinement.link_classes();
  for (uint32_t i = 0; i < q.link_class.size(); ++i) {
    if (q.link_class[i] == q.link_representative.size()) q.link_representative.push_back(i);
  }
  return q;
}

Quotient unfold(const Plan& plan, const Usage& usage, const Groups& groups, const Traffic& traffic,
                const Quotient& folded) {
  Quotient q;
  q.cost_table = folded.class_of;
  for (uint32_t rank = 0; rank < folded.class_of.size(); ++rank) {
    q.class_of.push_back(rank);
    q.representative.push_back(rank);
  }
  find_meetings(plan, usage, groups, q,
                [&](uint16_t comm, uint32_t rank) { return groups.of(comm, plan.mesh.coordinates(rank)); });
  for (uint32_t i = 0; i < traffic.links().size(); ++i) {
    q.link_class.push_back(i);
    q.link_representative.push_back(i);
  }
  return q;
}

}  // namespace pgram::sim
