#include "sim/shared_links.h"

#include <algorithm>
#include <numeric>

namespace pgram::sim {

LinkClasses::LinkClasses(const PlanIndex& index, const Costs& costs, const Traffic& traffic, const Quotient& quotient,
                         std::span<const LinkChange> link_changes)
    : meetings(quotient.meeting_size.size()), epochs(traffic.epochs()) {
  const Groups& groups = index.groups();
  const size_t comms = index.plan().comms.size();
  // One link of each class says what every link of it carries.
  for (const uint32_t link : quotient.link_representative) {
    for (const uint32_t number : traffic.uses_of(link)) {
      const sim::Use& use = traffic.uses()[number];
      const uint32_t rank = groups.rank(use.group);
      const uint32_t meeting = quotient.meeting[quotient.class_of[rank] * comms + groups.comm(use.group)];
      uses.push_back(
          {use.share, static_cast<uint32_t>(capacities.size()), meeting, costs.colour(use.group), use.lane, use.epoch});
    }
    capacities.push_back(traffic.links()[link].capacity);
  }
  for (const LinkChange& change : link_changes) {
    const auto link = std::ranges::find(traffic.links(), change.link, &SharedLink::link);
    const bool down = change.factor == 0;
    if (link == traffic.links().end()) {
      if (down) changes.push_back({change.time, kNone, 0, true});
      continue;
    }
    const uint32_t of = quotient.link_class[link - traffic.links().begin()];
    changes.push_back({change.time, of, capacities[of] * change.factor, down});
  }
}

size_t LinkClasses::bytes() const {
  return capacities.size() * sizeof(double) + changes.size() * sizeof(Change) + uses.size() * sizeof(Use);
}

/// Calls `visit(lane, weight)` for what one use means.
template <class F>
static void each_lane(const LinkClasses::Use& use, const Costs& costs, F&& visit) {
  if (use.lane != kEvenLanes) {
    visit(use.lane, use.share);
    return;
  }
  const std::vector<Lane>& lanes = costs.lanes(use.colour);
  for (size_t lane = 0; lane < lanes.size(); ++lane) {
    if (lanes[lane].volume > 0) visit(lane, lanes[lane].volume * use.share);
  }
}

SharedLinks::SharedLinks(const LinkClasses& classes, const Costs& costs)
    : capacities(classes.capacities), changes(classes.changes), meetings_(classes.meetings) {
  for (const LinkClasses::Use& use : classes.uses) {
    each_lane(use, costs, [&](size_t lane, double) { lanes_ = std::max(lanes_, lane + 1); });
  }
  const auto place_of = [&](const LinkClasses::Use& use, size_t lane) {
    return (use.epoch * meetings_ + use.meeting) * lanes_ + lane;
  };
  first_.assign(classes.epochs * meetings_ * lanes_ + 1, 0);
  for (const LinkClasses::Use& use : classes.uses) {
    each_lane(use, costs, [&](size_t lane, double) { ++first_[place_of(use, lane) + 1]; });
  }
  std::partial_sum(first_.begin(), first_.end(), first_.begin());
  uses_.resize(first_.back());
  std::vector<uint32_t> next(first_.begin(), first_.end());
  for (const LinkClasses::Use& use : classes.uses) {
    each_lane(use, costs, [&](size_t lane, double weight) { uses_[next[place_of(use, lane)]++] = {use.link, weight}; });
  }
}

size_t SharedLinks::bytes() const {
  return capacities.size() * sizeof(double) + changes.size() * sizeof(Change) + uses_.size() * sizeof(LinkUse) +
         first_.size() * sizeof(uint32_t);
}

}  // namespace pgram::sim
