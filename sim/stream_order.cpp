#include "sim/stream_order.h"

#include <algorithm>

namespace pgram::sim {

std::vector<BodyStreams> streams_of_bodies(const Plan& plan) {
  std::vector<BodyStreams> result(plan.bodies.size());
  for (size_t b = 0; b < result.size(); ++b) {
    const Body& body = plan.bodies[b];
    BodyStreams& own = result[b];
    const auto ops = static_cast<uint16_t>(body.grouped ? std::min<size_t>(1, body.ops.size()) : body.ops.size());
    const auto stream_of = [&](uint16_t op) { return static_cast<uint8_t>(body.ops[op].stream); };
    for (uint16_t op = 0; op < ops; ++op) {
      own.streams.add(stream_of(op));
      ++own.first[stream_of(op) + 1];
    }
    for (uint8_t stream = 0; stream < kStreams; ++stream) own.first[stream + 1] += own.first[stream];
    std::array<uint16_t, kStreams + 1> next = own.first;
    own.ops.resize(ops);
    for (uint16_t op = 0; op < ops; ++op) own.ops[next[stream_of(op)]++] = op;
  }
  return result;
}

StreamOrder::StreamOrder(const Plan& plan, const std::vector<BodyStreams>& of_bodies, const Usage& usage,
                         uint32_t role) {
  const Program& program = plan.programs[role];
  const std::vector<uint16_t>& used_bodies = usage.bodies[role];
  StreamSet used;
  size_t num_visits = 0, num_own_waits = 0, num_ops = 0;
  for (uint16_t body : used_bodies) {
    num_visits += usage.calls[role][body] * size_t{of_bodies[body].streams.size()};
    num_own_waits += plan.bodies[body].waits.size();
    num_ops += plan.bodies[body].ops.size();
    used.add(of_bodies[body].streams);
  }
  streams.reserve(used.size());
  for (uint8_t stream : used) {
    dense[stream] = static_cast<uint8_t>(streams.size());
    streams.push_back({stream});
  }

  // What a call of each body needs, close together.
  struct Called {
    const BodyStreams* streams;
    const Op* ops;
    uint32_t first_op, num_ops;
  };
  const auto called = std::make_unique_for_overwrite<Called[]>(plan.bodies.size());  // those that are used
  bodies.reserve(used_bodies.size());
  own_waits.reserve(num_own_waits);
  ops.reserve(num_ops);
  for (uint16_t b : used_bodies) {
    const Body& body = plan.bodies[b];
    const auto first_op = static_cast<uint32_t>(ops.size()), first_own_wait = static_cast<uint32_t>(own_waits.size());
    bodies.push_back({b, first_op});
    called[b] = {&of_bodies[b], body.ops.data(), first_op, static_cast<uint32_t>(body.ops.size())};
    add_ops(body, of_bodies[b], usage.first_op[b], first_own_wait);
    for (uint16_t op : body.waits) own_waits.push_back({op, dense[static_cast<size_t>(body.ops[op].stream)]});
  }

  visits = std::make_unique_for_overwrite<Visit[]>(num_visits);
  waits = std::make_unique_for_overwrite<Wait[]>(program.syncs.size() + 1);
  struct Recorded {
    uint32_t ticket = kNoTicket;
    uint16_t stream = 0;
  };
  std::vector<Recorded> events(program.num_events);
  Recorded* const recorded = events.data();
  std::array<Visit*, kStreams> last{};  // of each stream
  uint32_t tasks = 0;
  Visit* visit = visits.get();
  Wait* wait = waits.get();
  const auto num_calls = static_cast<uint32_t>(program.calls.size());
  for (uint32_t c = 0; c < num_calls; ++c) {
    const Call call = program.calls[c];
    const Called& body = called[call.body];
    const Wait* const first_wait = wait;
    const Sync* const end = program.syncs.data() + call.first_sync + call.num_syncs;
    for (const Sync* next = end - call.num_syncs; next < end; ++next) {
      const Sync sync = *next;
      Recorded& event = recorded[sync.slot()];
      if (sync.records()) {
        event = {tasks + sync.op, dense[static_cast<size_t>(body.ops[sync.op].stream)]};
      } else {
        *wait = {event.ticket, sync.op, event.stream};
        wait += event.ticket != kNoTicket;
      }
    }
    const auto wait_of_call = static_cast<uint32_t>(first_wait - waits.get());
    const auto waits_of_call = static_cast<uint16_t>(wait - first_wait);
    for (const uint8_t stream : body.streams->streams) {
      visit->call = c;
      visit->first_ticket = tasks;
      visit->first_wait = wait_of_call;
      visit->next = 0;
      visit->first_op = body.first_op + body.streams->first[stream];
      visit->body = call.body;
      visit->num_waits = waits_of_call;
      if (Visit* const before = last[stream]) {
        before->next = static_cast<uint32_t>(visit - before);
      } else {
        streams[dense[stream]].first = static_cast<uint32_t>(visit - visits.get());
      }
      last[stream] = visit++;
    }
    tasks += body.num_ops;
  }
}

void StreamOrder::add_ops(const Body& body, const BodyStreams& of_body, uint32_t first_cost, uint32_t first_own_wait) {
  const auto add = [&](uint16_t index, bool last, bool first_compute) {
    const Op& op = body.ops[index];
    ops.push_back({0, 0, first_cost + index, first_own_wait + op.first_wait, index, op.comm, op.num_waits, op.kernel,
                   last, body.grouped, first_compute});
  };
  if (body.grouped) {
    for (uint16_t op = 0; op < body.ops.size(); ++op) add(op, true, op == 0 && body.ops[op].stream == Stream::compute);
    return;
  }
  for (const uint8_t stream : of_body.streams) {
    const uint16_t* const first = of_body.ops.data() + of_body.first[stream];
    const uint16_t* const end = of_body.ops.data() + of_body.first[stream + 1];
    const bool compute = stream == static_cast<uint8_t>(Stream::compute);
    for (const uint16_t* op = first; op < end; ++op) add(*op, op + 1 == end, compute && op == first);
  }
}

}  // namespace pgram::sim
