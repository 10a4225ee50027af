#include "core/timeline/role_order.h"

#include <algorithm>
#include <array>

namespace pgram {

RoleOrder::RoleOrder(const Plan& plan, const Program& program)
    : plan_(plan),
      program_(program),
      bodies_(plan.bodies.size()),
      awaited_(program.syncs.size(), kNobody),
      by_comm_(plan.comms.size()) {
  std::array<uint32_t, kStreams> last_on_stream;
  last_on_stream.fill(kNobody);
  std::vector<uint32_t> events(program.num_events, kNobody);
  uint32_t tasks = 0;
  for (const Call& call : program.calls) tasks += static_cast<uint32_t>(plan.bodies[call.body].ops.size());
  calls_.resize(tasks);
  places_.reserve(program.calls.size());
  uint32_t first = 0;
  for (uint32_t c = 0; c < program.calls.size(); ++c) {
    const Call& call = program.calls[c];
    const Body& body = plan.bodies[call.body];
    if (!bodies_[call.body].known) learn(call.body);
    const BodyOrder& order = bodies_[call.body];
    places_.push_back({first, static_cast<uint32_t>(before_.size()), static_cast<uint32_t>(turns_.size())});
    for (const Lane& lane : order.lanes) {
      uint32_t& last = last_on_stream[static_cast<size_t>(lane.stream)];
      before_.push_back(last);
      last = first + lane.ops.back();
    }
    for (const Group& group : order.groups) {
      std::vector<uint32_t>& turns = by_comm_[group.comm];
      turns_.push_back(static_cast<uint32_t>(turns.size()));
      for (const uint16_t op : group.ops) turns.push_back(first + op);
    }
    if (call.num_syncs > 0) place_syncs(call, body, first, events);
    std::fill_n(calls_.begin() + first, body.ops.size(), c);
    first += static_cast<uint32_t>(body.ops.size());
  }
}

void RoleOrder::learn(uint16_t index) {
  const Body& body = plan_.bodies[index];
  BodyOrder& order = bodies_[index];
  order.known = true;
  order.ops.resize(body.ops.size());
  for (uint16_t i = 0; i < body.ops.size(); ++i) {
    const Op& op = body.ops[i];
    OpOrder& own = order.ops[i];
    own.lane = static_cast<uint16_t>(std::ranges::find(order.lanes, op.stream, &Lane::stream) - order.lanes.begin());
    if (own.lane == order.lanes.size())
      order.lanes.push_back({op.stream, {}});
    else
      own.before = order.lanes[own.lane].ops.back();
    order.lanes[own.lane].ops.push_back(i);
    if (op.comm >= by_comm_.size()) continue;
    own.group = static_cast<uint16_t>(std::ranges::find(order.groups, op.comm, &Group::comm) - order.groups.begin());
    if (own.group == order.groups.size()) order.groups.push_back({op.comm, {}});
    own.turn = static_cast<uint16_t>(order.groups[own.group].ops.size());
    order.groups[own.group].ops.push_back(i);
  }
}

/// Of every op first what it waits for, then what it records; ascending by op.
void RoleOrder::place_syncs(const Call& call, const Body& body, uint32_t first, std::vector<uint32_t>& events) {
  const Sync* const syncs = program_.syncs.data();
  uint32_t s = call.first_sync;
  const uint32_t end = s + call.num_syncs;
  for (uint32_t next = 0; s < end && syncs[s].op >= next && syncs[s].op < body.ops.size(); ++next) {
    const uint16_t op = syncs[s].op;
    for (; s < end && syncs[s].op == op && !syncs[s].records(); ++s) awaited_[s] = events[syncs[s].slot()];
    for (; s < end && syncs[s].op == op; ++s) events[syncs[s].slot()] = first + op;
    next = op;
  }
}

uint32_t RoleOrder::turn(uint32_t task) const {
  const Place& place = places_[calls_[task]];
  const BodyOrder& body = bodies_[program_.calls[calls_[task]].body];
  const OpOrder& op = body.ops[task - place.first_task];
  return op.group == kNoGroup ? 0 : turns_[place.first_turn + op.group] + op.turn;
}

}  // namespace pgram
