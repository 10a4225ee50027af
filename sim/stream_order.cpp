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
    uint8_t stream;  // dense: the only one, or kMany
  };
  constexpr uint8_t kMany = kStreams;
  const auto called = std::make_unique_for_overwrite<Called[]>(plan.bodies.size());  // those that are used
  bodies.reserve(used_bodies.size());
  own_waits.reserve(num_own_waits);
  ops.reserve(num_ops);
  for (uint16_t b : used_bodies) {
    const Body& body = plan.bodies[b];
    const StreamSet its = of_bodies[b].streams;
    const auto first_op = static_cast<uint32_t>(ops.size()), first_own_wait = static_cast<uint32_t>(own_waits.size());
    bodies.push_back({b, first_op});
    called[b] = {&of_bodies[b], body.ops.data(), first_op, static_cast<uint32_t>(body.ops.size()),
                 its.size() == 1 ? dense[*its.begin()] : kMany};
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
  Visit* const all_visits = visits.get();
  Wait* const all_waits = waits.get();
  // Of each stream: what says where its next visit is, counted from where.
  struct Link {
    uint32_t* place;
    uint32_t from;
  };
  std::array<Link, kStreams> links;
  for (size_t i = 0; i < streams.size(); ++i) links[i] = {&streams[i].first, 0};
  uint32_t tasks = 0, made = 0, num_waits = 0;
  const auto num_calls = static_cast<uint32_t>(program.calls.size());
  for (uint32_t c = 0; c < num_calls; ++c) {
    const Call& call = program.calls[c];
    const uint16_t b = call.body;
    const Called& body = called[b];
    const uint32_t first_wait = num_waits;
    const auto pass_syncs = [&](const auto& stream_of) {
      const Sync* const first = program.syncs.data() + call.first_sync;
      for (const Sync *next = first, *const end = first + call.num_syncs; next < end; ++next) {
        const Sync sync = *next;
        Recorded& event = recorded[sync.slot()];
        if (sync.records()) {
          event = {tasks + sync.op, stream_of(sync.op)};
        } else {
          all_waits[num_waits] = {event.ticket, sync.op, event.stream};
          num_waits += event.ticket != kNoTicket;
        }
      }
    };
    const auto visit = [&](uint8_t stream, uint32_t first_op) {
      Visit& added = all_visits[made];
      added.call = c;
      added.first_ticket = tasks;
      added.first_wait = first_wait;
      added.first_op = first_op;
      added.body = b;
      added.num_waits = static_cast<uint16_t>(num_waits - first_wait);
      Link& link = links[stream];
      *link.place = made - link.from;
      link = {&added.next, made++};
    };
    if (const uint8_t stream = body.stream; stream != kMany) {
      pass_syncs([&](uint16_t) { return stream; });
      visit(stream, body.first_op);
    } else {
      pass_syncs([&](uint16_t op) { return dense[static_cast<size_t>(body.ops[op].stream)]; });
      for (const uint8_t its : body.streams->streams) visit(dense[its], body.first_op + body.streams->first[its]);
    }
    tasks += body.num_ops;
  }
  for (size_t i = 0; i < streams.size(); ++i) *links[i].place = 0;
}

void StreamOrder::add_ops(const Body& body, const BodyStreams& of_body, uint32_t first_cost, uint32_t first_own_wait) {
  const auto computing = of_body.first[static_cast<size_t>(Stream::compute) + 1] > 0;
  const auto add = [&](uint16_t index, bool last, bool first_compute) {
    const Op& op = body.ops[index];
    ops.push_back({0, 0, first_cost + index, first_own_wait + op.first_wait, index, op.comm, op.num_waits, op.kernel,
                   last, body.grouped, first_compute || (index == 0 && computing)});
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
