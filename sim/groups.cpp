#include "sim/groups.h"

#include <algorithm>
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

Groups::Groups(const Plan& plan) : plan_(plan) {
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

void Groups::members(uint16_t index, const Coordinates& at, std::vector<uint32_t>& ranks) const {
  const Communicator& comm = plan_.comms[index];
  if (comm.directed) {
    const uint32_t base = at[0] * rank_stride_[0] + at[1] * rank_stride_[1];
    ranks.resize(2);
    ranks[0] = base + comm.source * rank_stride_[2];
    ranks[1] = base + comm.target * rank_stride_[2];
    return;
  }
  ranks.clear();
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
    const auto [first, last] = range(2);
    for (uint32_t role = first; role < last; ++role) add_role(role);
  }
}

RankGroups::RankGroups(const Plan& plan, const Usage& usage, const Groups& groups) {
  const uint32_t ranks = plan.mesh.ranks();
  at_.reserve(ranks);
  first_.reserve(ranks + 1);
  first_.push_back(0);
  Groups::Coordinates at{};
  for (uint32_t rank = 0; rank < ranks; ++rank) {
    at_.push_back(at);
    first_.push_back(first_.back() + static_cast<uint32_t>(usage.comms[at[2]].size()));
    for (const uint8_t axis : plan.mesh.order) {  // the next rank's
      if (++at[axis] < plan.mesh.size[axis]) break;
      at[axis] = 0;
    }
  }
  groups_.resize(first_.back());
  uint32_t* group = groups_.data();
  for (const Groups::Coordinates& place : at_) {
    for (const uint16_t comm : usage.comms[place[2]]) *group++ = groups.of(comm, place);
  }
}

}  // namespace pgram::sim
