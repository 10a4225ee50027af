// Where the messages of a StepProgram go: the links between two places of it on a cluster.
#pragma once
#include <span>
#include <vector>

#include "sim/collectives/steps.h"

namespace pgram::sim {

/// InputError unless the group's devices are all in the cluster, each once, and at least two.
void check_group(std::span<const uint32_t> group, const Cluster&);

class PlaceRoutes {
 public:
  /// `switches`: places beyond the members, one for each node. InputError where a node has no switch that all members
  /// in it hang on, or only one member.
  PlaceRoutes(std::span<const uint32_t> group, const GroupNodes&, uint32_t switches, const Cluster&);

  /// Valid until the next call.
  const std::vector<uint32_t>& links(uint32_t source, uint32_t target);
  bool is_switch(uint32_t place) const { return place >= group_.size(); }

 private:
  std::span<const uint32_t> group_;
  const Cluster& cluster_;
  std::vector<uint32_t> up_, down_;  ///< of each member, if there are switches
  std::vector<uint32_t> links_;
};

}  // namespace pgram::sim
