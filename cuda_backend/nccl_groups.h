// Which communicators NCCL has to make for a Plan, and where a rank stands in them.
#pragma once
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include "core/plan/plan.h"

namespace pgram {

/// A communicator stays on one stream at each of its ranks, and what is issued as one group must be on one. So every
/// group of the Plan is a communicator of its own, except that the channels between two stages whose ends lie on the
/// same streams (both directions, where exchanges are paired) share one.
class NcclGroups {
 public:
  explicit NcclGroups(const Plan&);

  /// By NCCL communicator: the first of the Plan's that it serves. In the Plan's order; the unused are left out.
  const std::vector<uint16_t>& first() const { return first_; }
  /// Index of the NCCL communicator of one of the Plan's; -1: no role uses it.
  int of(uint16_t comm) const { return of_comm_[comm]; }

  struct Place {
    int colour = -1;  ///< the same for the members of a group, different between groups; -1: not a member
    int key = 0;      ///< the rank's number within its group
  };
  Place place(size_t group, uint32_t rank) const;

 private:
  bool used(uint16_t comm, uint32_t role) const { return uses_.contains({comm, role}); }

  const Plan& plan_;
  std::set<std::pair<uint16_t, uint32_t>> uses_;  ///< communicator, role
  std::vector<uint16_t> first_;
  std::vector<int> of_comm_;
};

}  // namespace pgram
