#include "core/timeline/role_order.h"

#include <array>

namespace pgram {

RoleOrder::RoleOrder(const Plan& plan, const Program& program) : by_comm_(plan.comms.size()) {
  constexpr uint32_t kNobody = ~0u;
  std::array<uint32_t, kStreams> last_on_stream;
  last_on_stream.fill(kNobody);
  std::vector<uint32_t> events(program.num_events, kNobody);
  first_predecessor_.push_back(0);
  for (uint32_t c = 0; c < program.calls.size(); ++c) {
    const Call& call = program.calls[c];
    const Body& body = plan.bodies[call.body];
    const uint32_t first = size();
    first_task_.push_back(first);
    const Sync* sync = program.syncs.data() + call.first_sync;
    const Sync* const syncs_end = sync + call.num_syncs;
    std::vector<uint32_t> group;  // what a grouped body's ops wait for: all of them the same
    for (uint16_t i = 0; i < body.ops.size(); ++i) {
      const Op& op = body.ops[i];
      const size_t begin = predecessors_.size();
      uint32_t& last = last_on_stream[static_cast<size_t>(op.stream)];
      if (body.grouped && i > 0) {
        predecessors_.insert(predecessors_.end(), group.begin(), group.end());
      } else if (last != kNobody) {
        predecessors_.push_back(last);
      }
      for (int w = 0; w < op.num_waits; ++w) predecessors_.push_back(first + body.waits[op.first_wait + w]);
      for (; sync < syncs_end && sync->op == i && !sync->records(); ++sync) {
        if (events[sync->slot()] != kNobody) predecessors_.push_back(events[sync->slot()]);
      }
      if (body.grouped && i == 0)
        group.assign(predecessors_.begin() + static_cast<ptrdiff_t>(begin), predecessors_.end());
      for (; sync < syncs_end && sync->op == i; ++sync) events[sync->slot()] = first + i;
      last = first + i;
      uint32_t turn = 0;
      if (op.comm < by_comm_.size()) {
        turn = static_cast<uint32_t>(by_comm_[op.comm].size());
        by_comm_[op.comm].push_back(first + i);
      }
      turns_.push_back(turn);
      places_.push_back({c, i});
      first_predecessor_.push_back(predecessors_.size());
    }
  }
}

}  // namespace pgram
