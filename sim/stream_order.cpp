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
  std::array<uint32_t, kStreams> count{};
  for (size_t body = 0; body < uses.size(); ++body) {
    for (uint8_t stream : bodies[body].streams) count[stream] += uses[body];
  }
  for (uint8_t stream = 0; stream < kStreams; ++stream) {
    if (!count[stream]) continue;
    dense[stream] = static_cast<uint8_t>(streams.size());
    streams.push_back({stream, {}, {}});
    streams.back().visits.reserve(count[stream] + 1);
    streams.back().waits.reserve(count[stream]);
  }
  struct Recorded {
    uint32_t ticket = kNoTicket;
    uint16_t stream = 0;
  };
  std::vector<Recorded> recorded(program.num_events);
  uint32_t tasks = 0;
  for (uint32_t c = 0; c < program.calls.size(); ++c) {
    const Call& call = program.calls[c];
    const Body& body = plan.bodies[call.body];
    for (uint8_t name : bodies[call.body].streams) {
      Own& stream = streams[dense[name]];
      stream.visits.push_back({c, tasks, static_cast<uint32_t>(stream.waits.size()), call.body});
    }
    const Sync* const syncs = program.syncs.data() + call.first_sync;
    for (uint32_t i = 0; i < call.num_syncs; ++i) {
      const Sync& sync = syncs[i];
      const uint16_t stream = dense[static_cast<size_t>(body.ops[sync.op].stream)];
      Recorded& event = recorded[sync.slot()];
      if (sync.records()) {
        event = {tasks + sync.op, stream};
      } else if (event.ticket != kNoTicket) {
        streams[stream].waits.push_back({event.ticket, sync.op, event.stream});
      }
    }
    tasks += static_cast<uint32_t>(body.ops.size());
  }
  for (Own& stream : streams) stream.visits.push_back({0, tasks, static_cast<uint32_t>(stream.waits.size()), 0});
}

}  // namespace pgram::sim
