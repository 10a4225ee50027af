#include "sim/groups.h"

#include <algorithm>

namespace pgram::sim {

Usage find_usage(const Plan& plan) {
  Usage usage;
  usage.first_op.push_back(0);
  for (const Body& body : plan.bodies) {
    usage.first_op.push_back(usage.first_op.back() + static_cast<uint32_t>(body.ops.size()));
  }
  std::vector<uint16_t> comms_of_bodies;  // of each body once: roles share bodies
  std::vector<uint32_t> first_comm{0};
  for (const Body& body : plan.bodies) {
    for (const Op& op : body.ops) {
      const auto own = comms_of_bodies.begin() + first_comm.back();
      if (op.comm != kNoComm && std::find(own, comms_of_bodies.end(), op.comm) == comms_of_bodies.end())
        comms_of_bodies.push_back(op.comm);
    }
    first_comm.push_back(static_cast<uint32_t>(comms_of_bodies.size()));
  }
  for (const Program& program : plan.programs) {
    std::vector<uint32_t>& calls = usage.calls.emplace_back(plan.bodies.size());
    std::vector<uint16_t>& bodies = usage.bodies.emplace_back();
    for (const Call& call : program.calls) {
      if (calls[call.body]++ == 0) bodies.push_back(call.body);
    }
    std::ranges::sort(bodies);
    std::vector<uint16_t>& comms = usage.comms.emplace_back();
    for (const uint16_t b : bodies) {
      comms.insert(comms.end(), comms_of_bodies.begin() + first_comm[b], comms_of_bodies.begin() + first_comm[b + 1]);
    }
    std::ranges::sort(comms);
    const auto again = std::ranges::unique(comms);
    comms.erase(again.begin(), again.end());
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
  ranks.clear();
  if (comm.directed) {
    const uint32_t base = at[0] * rank_stride_[0] + at[1] * rank_stride_[1];
    ranks.push_back(base + comm.source * rank_stride_[2]);
    ranks.push_back(base + comm.target * rank_stride_[2]);
    return;
  }
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

}  // namespace pgram::sim
