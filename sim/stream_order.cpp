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
  }
  return result;
}

StreamOrder::StreamOrder(const Plan& plan, const std::vector<BodyStreams>& of_bodies, const Usage& usage,
                         uint32_t role) {
  const Program& program = plan.programs[role];
  const std::vector<uint16_t>& used_bodies = usage.bodies[role];
  std::array<bool, kStreams> used{};
  size_t num_visits = 0;
  for (uint16_t body : used_bodies) {
    num_visits += usage.calls[role][body] * of_bodies[body].streams.size();
    for (uint8_t stream : of_bodies[body].streams) used[stream] = true;
  }
  for (uint8_t stream = 0; stream < kStreams; ++stream) {
    if (!used[stream]) continue;
    dense[stream] = static_cast<uint8_t>(streams.size());
    streams.push_back({stream});
  }

  // What a call of each body needs, close together.
  struct Part {
    uint32_t stream, first_op;
  };
  struct Called {
    const uint8_t* streams_of_ops = nullptr;
    uint32_t num_ops = 0;
    uint32_t first_part = 0, num_parts = 0;
  };
  std::vector<Called> called(plan.bodies.size());
  std::vector<Part> parts;
  std::vector<uint8_t> streams_of_ops;
  size_t most_ops = 0;
  for (uint16_t b : used_bodies) most_ops += plan.bodies[b].ops.size();
  streams_of_ops.reserve(most_ops);
  for (uint16_t b : used_bodies) {
    const Body& body = plan.bodies[b];
    bodies.push_back({b, num_ops, static_cast<uint32_t>(own_waits.size())});
    called[b] = {streams_of_ops.data() + num_ops, static_cast<uint32_t>(body.ops.size()),
                 static_cast<uint32_t>(parts.size()), static_cast<uint32_t>(of_bodies[b].streams.size())};
    for (uint8_t stream : of_bodies[b].streams) parts.push_back({dense[stream], num_ops + of_bodies[b].first[stream]});
    for (const Op& op : body.ops) streams_of_ops.push_back(dense[static_cast<size_t>(op.stream)]);
    for (uint16_t op : body.waits) own_waits.push_back({op, dense[static_cast<size_t>(body.ops[op].stream)]});
    num_ops += static_cast<uint32_t>(body.ops.size());
  }

  visits = std::make_unique_for_overwrite<Visit[]>(num_visits);
  waits = std::make_unique_for_overwrite<Wait[]>(program.syncs.size() + 1);
  struct Recorded {
    uint32_t ticket = kNoTicket;
    uint16_t stream = 0;
  };
  std::vector<Recorded> recorded(program.num_events);
  std::array<Visit*, kStreams> last{};  // of each stream
  uint32_t tasks = 0;
  Visit* visit = visits.get();
  Wait* wait = waits.get();
  for (uint32_t c = 0; c < program.calls.size(); ++c) {
    const Call& call = program.calls[c];
    const Called& body = called[call.body];
    const Wait* const first_wait = wait;
    const Sync* const syncs = program.syncs.data() + call.first_sync;
    const Sync* const end = syncs + call.num_syncs;
    for (const Sync* sync = syncs; sync < end; ++sync) {
      Recorded& event = recorded[sync->slot()];
      if (sync->records()) {
        event = {tasks + sync->op, body.streams_of_ops[sync->op]};
      } else {
        *wait = {event.ticket, sync->op, event.stream};
        wait += event.ticket != kNoTicket;
      }
    }
    for (const Part* part = parts.data() + body.first_part; part < parts.data() + body.first_part + body.num_parts;
         ++part) {
      *visit = {c,
                tasks,
                static_cast<uint32_t>(first_wait - waits.get()),
                0,
                part->first_op,
                call.body,
                static_cast<uint16_t>(wait - first_wait)};
      Visit*& before = last[part->stream];
      if (before) {
        before->next = static_cast<uint32_t>(visit - before);
      } else {
        streams[part->stream].first = static_cast<uint32_t>(visit - visits.get());
      }
      before = visit++;
    }
    tasks += body.num_ops;
  }
}

std::vector<StreamOp> stream_ops(const Plan& plan, const std::vector<BodyStreams>& of_bodies, const StreamOrder& order,
                                 const OpCost* costs, const std::vector<uint32_t>& first_op) {
  std::vector<StreamOp> result;
  result.reserve(order.num_ops);
  for (const StreamOrder::Used& used : order.bodies) {
    const Body& body = plan.bodies[used.body];
    const BodyStreams& streams = of_bodies[used.body];
    for (size_t i = 0; i < body.ops.size(); ++i) {
      const uint16_t index = body.grouped ? static_cast<uint16_t>(i) : streams.ops[i];
      const Op& op = body.ops[index];
      const size_t stream = static_cast<size_t>(op.stream);
      StreamOp& own = result.emplace_back();
      own.cost = first_op[used.body] + index;
      own.hold = costs[own.cost].hold;
      own.tail = costs[own.cost].tail;
      own.first_wait = used.first_own_wait + op.first_wait;
      own.num_waits = op.num_waits;
      own.op = index;
      own.comm = op.comm;
      own.kernel = op.kernel;
      own.last = body.grouped || i + 1 == streams.first[stream + 1];
      own.grouped = body.grouped;
      own.first_compute = op.stream == Stream::compute && i == streams.first[stream];
    }
  }
  return result;
}

}  // namespace pgram::sim
