#include "sim/stream_order.h"

namespace pgram::sim {

std::vector<BodyStreams> streams_of_bodies(const Plan& plan) {
  std::vector<BodyStreams> result;
  result.reserve(plan.bodies.size());
  for (const Body& body : plan.bodies) {
    BodyStreams& own = result.emplace_back();
    const size_t ops = body.grouped ? std::min<size_t>(1, body.ops.size()) : body.ops.size();
    for (uint8_t stream = 0; stream < kStreams; ++stream) {
      own.first[stream] = static_cast<uint16_t>(own.ops.size());
      for (size_t op = 0; op < ops; ++op) {
        if (static_cast<uint8_t>(body.ops[op].stream) == stream) own.ops.push_back(static_cast<uint16_t>(op));
      }
      if (own.ops.size() > own.first[stream]) own.streams.push_back(stream);
    }
    own.first[kStreams] = static_cast<uint16_t>(own.ops.size());
    for (uint16_t op : body.waits) own.waits.push_back({op, static_cast<uint8_t>(body.ops[op].stream)});
  }
  return result;
}

StreamOrder::StreamOrder(const Plan& plan, const std::vector<BodyStreams>& bodies, const Program& program) {
  std::vector<uint32_t> uses(plan.bodies.size());
  for (const Call& call : program.calls) ++uses[call.body];
  std::array<bool, kStreams> used{};
  size_t num_visits = 0;
  for (size_t body = 0; body < uses.size(); ++body) {
    if (!uses[body]) continue;
    num_visits += uses[body] * bodies[body].streams.size();
    for (uint8_t stream : bodies[body].streams) used[stream] = true;
  }
  for (uint8_t stream = 0; stream < kStreams; ++stream) {
    if (!used[stream]) continue;
    dense[stream] = static_cast<uint8_t>(streams.size());
    streams.push_back({stream});
  }
  visits = std::make_unique_for_overwrite<Visit[]>(num_visits);
  waits = std::make_unique_for_overwrite<Wait[]>(program.syncs.size() + 1);
  struct Recorded {
    uint32_t ticket = kNoTicket;
    uint16_t stream = 0;
  };
  std::vector<Recorded> recorded(program.num_events);
  std::array<uint32_t*, kStreams> next{};  // where the number of each stream's next visit belongs
  for (Own& stream : streams) next[stream.name] = &stream.first;
  // By op of each body, dense.
  std::vector<std::vector<uint16_t>> stream_of(plan.bodies.size());
  for (size_t b = 0; b < plan.bodies.size(); ++b) {
    for (const Op& op : plan.bodies[b].ops) stream_of[b].push_back(dense[static_cast<size_t>(op.stream)]);
  }
  uint32_t tasks = 0;
  Visit* visit = visits.get();
  Wait* wait = waits.get();
  for (uint32_t c = 0; c < program.calls.size(); ++c) {
    const Call& call = program.calls[c];
    const uint16_t* const streams_of_ops = stream_of[call.body].data();
    const Wait* const first_wait = wait;
    const Sync* const syncs = program.syncs.data() + call.first_sync;
    const Sync* const end = syncs + call.num_syncs;
    for (const Sync* sync = syncs; sync < end; ++sync) {
      Recorded& event = recorded[sync->slot()];
      if (sync->records()) {
        event = {tasks + sync->op, streams_of_ops[sync->op]};
      } else {
        *wait = {event.ticket, sync->op, event.stream};
        wait += event.ticket != kNoTicket;
      }
    }
    for (uint8_t name : bodies[call.body].streams) {
      *visit = {c,         tasks,     static_cast<uint32_t>(first_wait - waits.get()),
                kNoTicket, call.body, static_cast<uint16_t>(wait - first_wait)};
      *next[name] = static_cast<uint32_t>(visit - visits.get());
      next[name] = &visit->next;
      ++visit;
    }
    tasks += static_cast<uint32_t>(stream_of[call.body].size());
  }
}

}  // namespace pgram::sim
