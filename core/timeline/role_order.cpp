#include "core/timeline/role_order.h"

#include <algorithm>
#include <array>
#include <numeric>

namespace pgram {

RoleOrder::RoleOrder(const Plan& plan, const BodyOrders& bodies, const Program& program)
    : plan_(plan),
      bodies_(bodies),
      program_(program),
      ops_(bodies.ops().data()),
      awaited_(program.syncs.size(), kNobody),
      first_of_comm_(plan.comms.size() + 1) {
  count();
  std::array<RoleTask, kStreams> last_on_stream;
  last_on_stream.fill(kNobody);
  std::vector<RoleTask> events(program.num_events, kNobody);
  std::vector<uint32_t> met(plan.comms.size(), 0), next = first_of_comm_;
  RoleTask* before = before_.data();
  uint32_t* turn = turns_.data();
  for (uint32_t c = 0; c < program.calls.size(); ++c) {
    const Call& call = program.calls[c];
    const BodyOrders::BodyOrder& body = bodies.of(call.body);
    calls_[c] = {size_, body.first_op, static_cast<uint32_t>(before - before_.data()),
                 static_cast<uint32_t>(turn - turns_.data())};
    for (const BodyOrders::Lane& lane : bodies.lanes(call.body)) {
      RoleTask& last = last_on_stream[static_cast<size_t>(lane.stream)];
      *before++ = last;
      last = {c, lane.last_op};
    }
    uint32_t at = 0;
    for (const BodyOrders::Group& group : bodies.groups(call.body)) {
      meetings_[next[group.comm]++] = {c, met[group.comm], at++};
      *turn++ = met[group.comm];
      met[group.comm] += group.num_ops;
    }
    if (call.num_syncs > 0) place_syncs(c, events);
    size_ += body.num_ops;
  }
}

/// Makes room.
void RoleOrder::count() {
  size_t lanes = 0, meetings = 0;
  for (const Call& call : program_.calls) {
    lanes += bodies_.of(call.body).num_lanes;
    for (const BodyOrders::Group& group : bodies_.groups(call.body)) {
      ++first_of_comm_[group.comm + 1u];
      ++meetings;
    }
  }
  std::partial_sum(first_of_comm_.begin(), first_of_comm_.end(), first_of_comm_.begin());
  calls_.resize(program_.calls.size());
  before_.resize(lanes);
  turns_.resize(meetings);
  meetings_.resize(meetings);
}

/// Of every op first what it waits for, then what it records; ascending by op.
void RoleOrder::place_syncs(uint32_t c, std::vector<RoleTask>& events) {
  const Call& call = program_.calls[c];
  const size_t ops = bodies_.of(call.body).num_ops;
  const Sync* const syncs = program_.syncs.data();
  uint32_t s = call.first_sync;
  const uint32_t end = s + call.num_syncs;
  for (uint32_t next = 0; s < end && syncs[s].op >= next && syncs[s].op < ops; ++next) {
    const uint16_t op = syncs[s].op;
    for (; s < end && syncs[s].op == op && !syncs[s].records(); ++s) awaited_[s] = events[syncs[s].slot()];
    for (; s < end && syncs[s].op == op; ++s) events[syncs[s].slot()] = {c, op};
    next = op;
  }
}

uint32_t RoleOrder::turn(RoleTask task) const {
  const OpOrder& own = op(task);
  return own.group == BodyOrders::kNone ? 0 : turns_[calls_[task.call].first_meeting + own.group] + own.turn;
}

std::optional<RoleTask> RoleOrder::at_turn(uint16_t comm, uint32_t turn) const {
  const Meeting *first = meetings_.data() + first_of_comm_[comm], *end = meetings_.data() + first_of_comm_[comm + 1u];
  if (first == end) return std::nullopt;
  const Meeting* at = first + std::min<ptrdiff_t>(turn, end - first - 1);  // where each call has one operation
  if (at->turn > turn || (at + 1 < end && at[1].turn <= turn))
    at = std::partition_point(first, end, [&](const Meeting& meeting) { return meeting.turn <= turn; }) - 1;
  const Meeting& meeting = *at;
  const auto ops = bodies_.ops_of(bodies_.groups(program_.calls[meeting.call].body)[meeting.group]);
  if (turn - meeting.turn >= ops.size()) return std::nullopt;
  return RoleTask{meeting.call, ops[turn - meeting.turn]};
}

PlanOrder::PlanOrder(const Plan& plan) : bodies_(plan) {
  roles_.reserve(plan.programs.size());
  for (const Program& program : plan.programs) roles_.emplace_back(plan, bodies_, program);
}

}  // namespace pgram
