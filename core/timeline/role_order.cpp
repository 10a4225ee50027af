#include "core/timeline/role_order.h"

#include <array>
#include <numeric>

namespace pgram {

RoleOrder::RoleOrder(const Plan& plan, const BodyOrders& bodies, const Program& program)
    : bodies_(bodies),
      program_(program),
      ops_(bodies.ops().data()),
      awaited_(program.syncs.size(), kNobody),
      first_of_comm_(plan.comms.size() + 1),
      own_stream_(plan.comms.size()) {
  make_room(plan);
  std::array<LaneOrder, kStreams> next_lane;
  next_lane.fill({0, kNobody.call});
  std::array<uint16_t, kStreams> comm_on;  // the one of all tasks so far
  comm_on.fill(kNoComm);
  std::vector<RoleTask> events(program.num_events, kNobody);
  std::vector<uint32_t> met(plan.comms.size(), 0), next = first_of_comm_;
  LaneOrder* lane = lanes_.data();
  uint32_t* turn = turns_.data();
  for (uint32_t c = 0; c < program.calls.size(); ++c) {
    const Call& call = program.calls[c];
    const BodyOrders::BodyOrder& body = bodies.of(call.body);
    calls_[c] = {size_, body.first_op, static_cast<uint32_t>(lane - lanes_.data()),
                 static_cast<uint32_t>(turn - turns_.data())};
    for (const BodyOrders::Lane& own : bodies.lanes(call.body)) {
      LaneOrder& after = next_lane[static_cast<size_t>(own.stream)];
      uint16_t& comm = comm_on[static_cast<size_t>(own.stream)];
      comm = after.place == 0 || comm == own.comm ? own.comm : kNoComm;
      *lane++ = after;
      after = {after.place + own.num_ops, c};
    }
    uint32_t at = 0;
    for (const BodyOrders::Group& group : bodies.groups(call.body)) {
      meetings_[next[group.comm]++] = {c, met[group.comm], at++};
      *turn++ = met[group.comm];
      met[group.comm] += group.num_ops;
    }
    // Of every op first what it waits for, then what it records; ascending by op.
    uint32_t op = 0;
    for (uint32_t s = call.first_sync; s < call.first_sync + call.num_syncs; ++s) {
      const Sync sync = program.syncs[s];
      if (sync.op < op || sync.op >= body.num_ops) break;
      op = sync.op;
      if (sync.records())
        events[sync.slot()] = {c, sync.op};
      else
        awaited_[s] = events[sync.slot()];
    }
    size_ += body.num_ops;
  }
  for (size_t stream = 0; stream < next_lane.size(); ++stream) {
    tasks_on_[stream] = next_lane[stream].place;
    const uint16_t comm = comm_on[stream];
    if (comm < met.size() && met[comm] == tasks_on_[stream]) own_stream_[comm] = static_cast<Stream>(stream);
  }
}

void RoleOrder::make_room(const Plan& plan) {
  std::vector<uint32_t> calls_of(plan.bodies.size(), 0);
  for (const Call& call : program_.calls) ++calls_of[call.body];
  size_t lanes = 0;
  for (uint16_t body = 0; body < calls_of.size(); ++body) {
    if (calls_of[body] == 0) continue;
    lanes += calls_of[body] * bodies_.lanes(body).size();
    for (const BodyOrders::Group& group : bodies_.groups(body)) first_of_comm_[group.comm + 1u] += calls_of[body];
  }
  std::partial_sum(first_of_comm_.begin(), first_of_comm_.end(), first_of_comm_.begin());
  calls_.resize(program_.calls.size());
  lanes_.resize(lanes);
  turns_.resize(first_of_comm_.back());
  meetings_.resize(first_of_comm_.back());
}

PlanOrder::PlanOrder(const Plan& plan) : bodies_(plan) {
  roles_.reserve(plan.programs.size());
  for (const Program& program : plan.programs) roles_.emplace_back(plan, bodies_, program);
}

}  // namespace pgram
