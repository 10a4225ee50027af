#include "cuda_backend/nccl_groups.h"

#include <algorithm>
#include <array>
#include <map>

namespace pgram {

NcclGroups::NcclGroups(const Plan& plan) : plan_(plan), of_comm_(plan.comms.size(), -1) {
  std::map<std::pair<uint16_t, uint32_t>, Stream> streams;  // a channel's, by its end
  for (uint32_t role = 0; role < plan.programs.size(); ++role) {
    for (const Call& call : plan.programs[role].calls) {
      for (const Op& op : plan.bodies[call.body].ops) {
        if (op.comm == kNoComm) continue;
        uses_.emplace(op.comm, role);
        streams[{op.comm, role}] = op.stream;
      }
    }
  }
  std::map<std::array<uint32_t, 4>, int> channels;  // lower role, upper role, their streams
  for (uint16_t comm = 0; comm < plan.comms.size(); ++comm) {
    const Communicator& group = plan.comms[comm];
    const auto first_use = uses_.lower_bound({comm, 0});
    if (first_use == uses_.end() || first_use->first != comm) continue;
    int& index = of_comm_[comm];
    if (group.directed) {
      const uint32_t low = std::min(group.source, group.target), high = std::max(group.source, group.target);
      const auto stream = [&](uint32_t role) { return static_cast<uint32_t>(streams[{comm, role}]); };
      const auto [found, added] =
          channels.try_emplace({low, high, stream(low), stream(high)}, static_cast<int>(first_.size()));
      index = found->second;
      if (!added) continue;
    }
    index = static_cast<int>(first_.size());
    first_.push_back(comm);
  }
}

NcclGroups::Place NcclGroups::place(size_t group, uint32_t rank) const {
  const uint16_t comm = first_[group];
  std::vector<uint32_t> ranks = members(plan_, comm, rank);
  if (ranks.empty() || !used(comm, plan_.role(rank))) return {};
  // Both directions of a pair of stages may share it, so the order must not depend on the direction.
  if (plan_.comms[comm].directed) std::sort(ranks.begin(), ranks.end());
  const auto here = std::find(ranks.begin(), ranks.end(), rank);
  return {static_cast<int>(ranks.front()), static_cast<int>(here - ranks.begin())};
}

}  // namespace pgram
