#include "sim/shared_links.h"

#include <algorithm>
#include <numeric>

namespace pgram::sim {

SharedLinks::SharedLinks(const Plan& plan, const Traffic& traffic, const Quotient& quotient,
                         std::span<const LinkChange> link_changes)
    : meetings_(quotient.meeting_size.size()) {
  const size_t comms = plan.comms.size();
  for (uint32_t i = 0; i < traffic.links().size(); ++i) {
    for (const Use& use : traffic.uses_of(i)) lanes_ = std::max<size_t>(lanes_, use.lane + size_t{1});
  }
  const auto place_of = [&](const Use& use) {
    const uint32_t rank = traffic.rank_of(use.group);
    const uint32_t meeting = quotient.meeting[quotient.class_of[rank] * comms + traffic.comm_of(use.group)];
    return (size_t{use.epoch} * meetings_ + meeting) * lanes_ + use.lane;
  };
  // One link of each class says what every link of it carries.
  first_.assign(traffic.epochs() * meetings_ * lanes_ + 1, 0);
  for (uint32_t link : quotient.link_representative) {
    capacities.push_back(traffic.links()[link].capacity);
    for (const Use& use : traffic.uses_of(link)) ++first_[place_of(use) + 1];
  }
  std::partial_sum(first_.begin(), first_.end(), first_.begin());
  uses_.resize(first_.back());
  std::vector<uint32_t> next(first_.begin(), first_.end());
  for (uint32_t c = 0; c < quotient.link_representative.size(); ++c) {
    for (const Use& use : traffic.uses_of(quotient.link_representative[c])) {
      uses_[next[place_of(use)]++] = {c, use.weight};
    }
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

}  // namespace pgram::sim
