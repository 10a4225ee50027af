// Traffic: which links the transfers of a Plan use, and which of these can ever run full.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "core/cluster/cluster.h"
#include "sim/bottlenecks.h"
#include "sim/costs.h"
#include "sim/link_facts.h"
#include "sim/plan_index.h"
#include "sim/room.h"

namespace pgram::sim {

/// How one group uses links: bytes over each of them per byte of the operation, or of those that kEvenLanes have on
/// their route or rings.
struct Use {
  double share = 0;
  uint32_t group = 0;
  uint16_t lane = 0;   ///< of the group's lanes (see Costs)
  uint16_t epoch = 0;  ///< how often links had gone down
};
/// All lanes of the group that have a volume: a send has one route, and where devices are wired to one another, a
/// ring's wires carry every even load.
constexpr uint16_t kEvenLanes = 0xffff;

/// The cluster as it is in each epoch (see Traffic).
std::vector<Cluster> epochs_of(const Cluster&, std::span<const LinkChange>);

/// Every group moves one operation at a time in each direction of its streams, so that the most that a link can be
/// asked for is known beforehand. Links that can carry all of it at once never hold anything back and are left out, as
/// are those whose every byte passes other links that let no more through (an uplink as wide as the NICs below it).
/// What is left decides: transfers that use none of it take the time that they take alone.
class Traffic {
 public:
  /// Nothing is shared.
  Traffic() = default;
  /// `changes`, in order of time: links that will get slower count with their least capacity, and stay. Each that takes
  /// a link down begins an epoch, in which routes go around all that are down. InputError where there is no way.
  /// `every_link`: all count, link i of the cluster being the i-th, unless nothing is sent that may share any.
  Traffic(const PlanIndex&, const Costs&, const Cluster&, std::span<const LinkChange> changes, bool every_link,
          LinkFacts&);

  bool empty() const { return links_.empty(); }
  uint32_t epochs() const { return epochs_; }
  const std::vector<SharedLink>& links() const { return links_; }
  /// Each is of a number of links, some of which may have been left out.
  const std::vector<Use>& uses() const { return uses_; }
  /// Indices into uses(), in their order; one may come several times.
  std::span<const uint32_t> uses_of(uint32_t link) const {
    return {of_links_.data() + first_use_[link], first_use_[link + 1] - first_use_[link]};
  }

 private:
  std::vector<SharedLink> links_;
  std::vector<Use> uses_;
  std::vector<uint32_t> first_use_;
  Room<uint32_t> of_links_;  // uses by link
  uint32_t epochs_ = 1;
};

}  // namespace pgram::sim
