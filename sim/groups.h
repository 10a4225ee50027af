// Groups of ranks that communicate: what a Plan's communicators become on its mesh, numbered densely.
#pragma once
#include <array>
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

/// Every group of every communicator has one number below size(). A group is what the coordinates say that a
/// communicator does not span; a channel's group is its two ends.
class Groups {
 public:
  using Coordinates = std::array<uint32_t, kMeshAxes>;

  explicit Groups(const Plan&);

  uint32_t size() const { return size_; }
  uint32_t of(uint16_t comm, const Coordinates& at) const {
    const Numbering& n = numbering_[comm];
    return n.first + at[0] * n.stride[0] + at[1] * n.stride[1] + at[2] * n.stride[2];
  }
  /// Ranks of the group that holds `at`, in the order of core/plan's members().
  void members(uint16_t comm, const Coordinates& at, std::vector<uint32_t>& ranks) const;

 private:
  struct Numbering {
    uint32_t first = 0;
    Coordinates stride{};  // 0 along the axes that the communicator spans
  };

  const Plan& plan_;
  Coordinates rank_stride_{};
  std::vector<Numbering> numbering_;
  uint32_t size_ = 0;
};

/// Every rank's groups, for those who go through all of them.
class RankGroups {
 public:
  RankGroups(const Plan&, const Usage&, const Groups&);

  uint32_t ranks() const { return static_cast<uint32_t>(at_.size()); }
  /// Of all ranks.
  size_t all() const { return groups_.size(); }
  const Groups::Coordinates& at(uint32_t rank) const { return at_[rank]; }
  /// As many as Usage::comms of the rank's role, in their order.
  std::span<const uint32_t> of(uint32_t rank) const {
    return std::span(groups_).subspan(first_[rank], first_[rank + 1] - first_[rank]);
  }

 private:
  std::vector<Groups::Coordinates> at_;  // per rank
  std::vector<uint32_t> first_, groups_;
};

}  // namespace pgram::sim
