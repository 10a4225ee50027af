// Groups of ranks that communicate: what a Plan's communicators become on its mesh.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "core/plan/plan.h"

namespace pgram::sim {

constexpr uint32_t kNone = ~0u;

/// What the ranks of each role use, and where each Body's ops lie in a cost table.
struct Usage {
  std::vector<std::vector<uint16_t>> comms;   ///< per role, ascending
  std::vector<std::vector<uint16_t>> bodies;  ///< per role, ascending
  std::vector<std::vector<uint32_t>> calls;   ///< per role, of each Body: how many
  std::vector<uint32_t> first_op;             ///< per body; one past the end: ops of all bodies
};
Usage find_usage(const Plan&);

/// Every group that some rank uses, numbered as they come up when rank after rank goes through its communicators.
class Groups {
 public:
  Groups(const Plan&, const Usage&);

  uint32_t size() const { return static_cast<uint32_t>(groups_.size()); }
  /// Of all ranks together, each as often as ranks use it.
  size_t all() const { return of_ranks_.size(); }
  uint32_t ranks() const { return static_cast<uint32_t>(roles_.size()); }
  uint32_t role(uint32_t rank) const { return roles_[rank]; }
  /// A rank's groups: as many as Usage::comms of its role, in their order.
  std::span<const uint32_t> of(uint32_t rank) const {
    return std::span(of_ranks_).subspan(first_[rank], first_[rank + 1] - first_[rank]);
  }

  uint16_t comm(uint32_t group) const { return groups_[group].comm; }
  /// The lowest that uses it.
  uint32_t rank(uint32_t group) const { return groups_[group].rank; }
  /// How many ranks use it: fewer than its members, if the program of some never comes to it.
  uint32_t users(uint32_t group) const { return groups_[group].users; }
  /// In the order in which they are wired: a ring goes through its devices in their own order, a channel from its
  /// source to its target.
  std::span<const uint32_t> members(uint32_t group) const {
    return std::span(members_).subspan(groups_[group].first_member, groups_[group].num_members);
  }

 private:
  struct Group {
    uint32_t rank = 0, users = 0, first_member = 0, num_members = 0;
    uint16_t comm = 0;
  };

  std::vector<uint32_t> roles_, first_, of_ranks_;  // by rank
  std::vector<Group> groups_;
  std::vector<uint32_t> members_;
};

}  // namespace pgram::sim
