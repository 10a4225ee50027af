#include "sim/groups.h"

#include <algorithm>
#include <array>
#include <utility>

namespace pgram::sim {

Usage find_usage(const Plan& plan) {
  Usage usage;
  const size_t num_bodies = plan.bodies.size();
  usage.first_op.reserve(num_bodies + 1);
  usage.first_op.push_back(0);
  for (const Body& body : plan.bodies) {
    usage.first_op.push_back(usage.first_op.back() + static_cast<uint32_t>(body.ops.size()));
  }
  std::vector<uint16_t> comms_of_bodies;  // of each body once: roles share bodies
  std::vector<uint32_t> first_comm{0};
  first_comm.reserve(num_bodies + 1);
  std::vector<uint32_t> seen(plan.comms.size(), kNone);  // the last body, or later the last role, that uses it
  for (uint32_t b = 0; b < num_bodies; ++b) {
    for (const Op& op : plan.bodies[b].ops) {
      if (op.comm != kNoComm && std::exchange(seen[op.comm], b) != b) comms_of_bodies.push_back(op.comm);
    }
    first_comm.push_back(static_cast<uint32_t>(comms_of_bodies.size()));
  }
  seen.assign(plan.comms.size(), kNone);
  usage.calls.reserve(plan.programs.size());
  usage.bodies.reserve(plan.programs.size());
  usage.comms.reserve(plan.programs.size());
  std::vector<uint16_t> found;
  for (uint32_t role = 0; role < plan.programs.size(); ++role) {
    uint32_t* const calls = usage.calls.emplace_back(num_bodies).data();
    for (const Call& call : plan.programs[role].calls) ++calls[call.body];
    found.clear();
    for (size_t b = 0; b < num_bodies; ++b) {
      if (calls[b] != 0) found.push_back(static_cast<uint16_t>(b));
    }
    usage.bodies.push_back(found);
    found.clear();
    for (const uint16_t b : usage.bodies.back()) {
      for (uint32_t i = first_comm[b]; i < first_comm[b + 1]; ++i) {
        const uint16_t comm = comms_of_bodies[i];
        if (std::exchange(seen[comm], role) != role) found.push_back(comm);
      }
    }
    std::ranges::sort(found);
    usage.comms.push_back(found);
  }
  return usage;
}

namespace {

using Coordinates = std::array<uint32_t, kMeshAxes>;

/// A number for every group of every communicator, be it used or not. A group is what the coordinates say that a
/// communicator does not span; a channel's group is its two ends.
class Places {
 public:
  explicit Places(const Plan& plan) : plan_(plan) {
    for (int axis = 0; axis < kMeshAxes; ++axis) rank_stride_[axis] = plan.mesh.stride(axis);
    for (const Communicator& comm : plan.comms) {
      Numbering& n = numbering_.emplace_back();
      n.first = size_;
      const AxisMask spans = comm.directed ? kPp : comm.axes;
      uint32_t count = 1;
      for (int axis = 0; axis < kMeshAxes; ++axis) {
        if (spans >> axis & 1) continue;
        n.stride[axis] = count;
        count *= plan.mesh.size[axis];
      }
      size_ += count;
    }
  }

  uint32_t size() const { return size_; }
  uint32_t of(uint16_t comm, const Coordinates& at) const {
    const Numbering& n = numbering_[comm];
    return n.first + at[0] * n.stride[0] + at[1] * n.stride[1] + at[2] * n.stride[2];
  }

  /// Adds the ranks of the group that holds `at`.
  void add_members(uint16_t index, const Coordinates& at, std::vector<uint32_t>& ranks) const {
    const Communicator& comm = plan_.comms[index];
    if (comm.directed) {
      const uint32_t base = at[0] * rank_stride_[0] + at[1] * rank_stride_[1];
      ranks.push_back(base + comm.source * rank_stride_[2]);
      ranks.push_back(base + comm.target * rank_stride_[2]);
      return;
    }
    const auto first = static_cast<ptrdiff_t>(ranks.size());
    const auto range = [&](int axis) {
      return comm.axes >> axis & 1 ? std::pair(0u, plan_.mesh.size[axis]) : std::pair(at[axis], at[axis] + 1);
    };
    const auto add_role = [&](uint32_t role) {
      const auto [tp_first, tp_last] = range(0);
      const auto [dp_first, dp_last] = range(1);
      for (uint32_t dp = dp_first; dp < dp_last; ++dp) {
        for (uint32_t tp = tp_first; tp < tp_last; ++tp) {
          ranks.push_back(tp * rank_stride_[0] + dp * rank_stride_[1] + role * rank_stride_[2]);
        }
      }
    };
    if (comm.axes & kPp && !comm.roles.empty()) {
      for (uint16_t role : comm.roles) add_role(role);
    } else {
      const auto [first_role, last_role] = range(2);
      for (uint32_t role = first_role; role < last_role; ++role) add_role(role);
    }
    if (!std::is_sorted(ranks.begin() + first, ranks.end())) std::sort(ranks.begin() + first, ranks.end());
  }

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

}  // namespace

Groups::Groups(const Plan& plan, const Usage& usage) {
  const Places places(plan);
  std::vector<uint32_t> known(places.size(), kNone);
  const uint32_t ranks = plan.mesh.ranks();
  roles_.reserve(ranks);
  first_.reserve(ranks + 1);
  first_.push_back(0);
  Coordinates at{};
  for (uint32_t rank = 0; rank < ranks; ++rank) {
    roles_.push_back(at[2]);
    for (const uint16_t comm : usage.comms[at[2]]) {
      uint32_t& group = known[places.of(comm, at)];
      if (group == kNone) {
        group = size();
        const auto first = static_cast<uint32_t>(members_.size());
        places.add_members(comm, at, members_);
        groups_.push_back({rank, 0, first, static_cast<uint32_t>(members_.size()) - first, comm});
      }
      ++groups_[group].users;
      of_ranks_.push_back(group);
    }
    first_.push_back(static_cast<uint32_t>(of_ranks_.size()));
    for (const uint8_t axis : plan.mesh.order) {  // the next rank's
      if (++at[axis] < plan.mesh.size[axis]) break;
      at[axis] = 0;
    }
  }
}

}  // namespace pgram::sim
