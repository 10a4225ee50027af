// Calls that run as one: layers are alike, so that what one Call's tasks do, undisturbed, those of the next will do
// again. The first time they are simulated one by one and their times written down; later the Call is one event,
// together with those after it that begin when it ends, as far as their times are known too. event_calls.cpp has what
// happens while they run. Nothing in the results tells.
#include <algorithm>
#include <bit>
#include <span>

#include "sim/event_loop.h"

namespace pgram::sim {

template <bool kShares>
void EventLoop<kShares>::look_at(uint32_t r, uint16_t body, ClosedBody& result) {
  result.known = true;
  const std::vector<Op>& ops = problem_.plan.bodies[body].ops;
  const uint16_t first = first_compute_[body];
  result.num_ops = static_cast<uint16_t>(ops.size());
  result.first_compute = first;
  const Rank& rank = ranks_[r];
  const Instance& instance = *rank.instance;
  for (uint32_t i = 0; i < ops.size(); ++i) {
    const Op& op = ops[i];
    const uint32_t stream = rank.order->dense[static_cast<size_t>(op.stream)];
    result.streams |= 1u << stream;
    if (i < first) {
      result.streams_before |= 1u << stream;
    } else {
      ++result.ops_from[stream];
    }
    if (op.comm == kNoComm) continue;
    const uint32_t meeting = instance.meetings[op.comm], cost = problem_.first_op[body] + i;
    if (meeting == kNone || problem_.meeting_size[meeting] != 1 || instance.costs[cost].tail != 0) return;
    if (!problem_.links || instance.transfers[cost].limit == 0) continue;
    if (problem_.steps) return;
    for (const LinkUse& use : problem_.links->uses(epoch_, meeting, instance.transfers[cost].lane)) {
      // Transfers of two streams may meet, and then neither is alone.
      const uint32_t head = rank.first_stream + stream, other = links_[use.link].of_calls;
      if (other != kNone && other != head) return;
      links_[use.link].of_calls = head;
      result.links.push_back(use.link);
    }
  }
  find_alike(r, body, result);
  result.closed = true;
}

/// Whose times its calls of the Body share, and which of its streams wait for its compute.
template <bool kShares>
void EventLoop<kShares>::find_alike(uint32_t r, uint16_t body, ClosedBody& result) {
  const Rank& rank = ranks_[r];
  std::vector<uint32_t>& unlike = unlike_[body];
  const auto alike = std::ranges::find_if(
      unlike, [&](uint32_t other) { return cost_alike(*rank.instance, *ranks_[other].instance, body); });
  result.costs = alike == unlike.end() ? unlike.emplace_back(r) : *alike;

  const auto used = std::ranges::lower_bound(rank.order->bodies, body, {}, &StreamOrder::Used::body);
  const BodyStreams& streams = bodies_[body];
  // Visits of a call lie in the order of its streams, and nothing comes before compute.
  static_assert(static_cast<int>(Stream::compute) == 0);
  int8_t beside = 0;
  for (uint8_t name : streams.streams) {
    const uint32_t d = rank.order->dense[name];
    result.beside[d] = beside++;
    result.first_from[d] = used->first_op + streams.first[name + 1] - result.ops_from[d];
    if (result.ops_from[d] == 0) continue;
    const StreamOp& op = rank.ops[result.first_from[d]];
    const StreamOrder::OwnWait* const waits = rank.own_waits + op.first_wait;
    if (std::any_of(waits, waits + op.num_waits, [&](const auto& wait) { return wait.stream == kCompute; }))
      result.gated |= 1u << d;
  }
  result.may_be_whole = may_be_whole(rank, result);
}

/// Whether a call that begins with its first op begins nothing but the ops before its first compute op before that.
template <bool kShares>
bool EventLoop<kShares>::may_be_whole(const Rank& rank, const ClosedBody& body) {
  // What is not gated begins with compute at the earliest, if it comes on the stream of all that compute waits for.
  if (!std::has_single_bit(body.streams_before)) return false;
  bool whole = true;
  each_bit(body.streams & ~body.gated & ~body.streams_before & ~(1u << kCompute),
           [&](uint32_t d) { whole &= body.ops_from[d] == 0; });
  const StreamOp& compute = rank.ops[body.first_from[kCompute]];
  const std::span waits(rank.own_waits + compute.first_wait, compute.num_waits);
  const uint16_t last_before = rank.ops[body.first_from[std::countr_zero(body.streams_before)] - 1].op;
  return whole && std::ranges::find(waits, last_before, &StreamOrder::OwnWait::op) != waits.end();
}

/// Whether the tasks of a Body take the same on both, alone on their links.
template <bool kShares>
bool EventLoop<kShares>::cost_alike(const Instance& a, const Instance& b, uint16_t body) const {
  const std::vector<Op>& ops = problem_.plan.bodies[body].ops;
  // 0: it shares no links.
  const auto rate_on_links = [&](const Instance& instance, uint16_t comm, const TransferCost& transfer) {
    if (transfer.limit == 0 || !problem_.links) return 0.0;
    const auto uses = problem_.links->uses(epoch_, instance.meetings[comm], transfer.lane);
    return uses.empty() ? 0.0 : network_.rate_alone(transfer.limit, uses);
  };
  for (size_t i = 0; i < ops.size(); ++i) {
    const size_t cost = problem_.first_op[body] + i;
    if (a.costs[cost] != b.costs[cost]) return false;
    if (ops[i].comm == kNoComm || !a.transfers) continue;
    const TransferCost &x = a.transfers[cost], &y = b.transfers[cost];
    if (x.sm_share != y.sm_share || x.bytes != y.bytes || x.latency != y.latency ||
        rate_on_links(a, ops[i].comm, x) != rate_on_links(b, ops[i].comm, y))
      return false;
  }
  return true;
}

template <bool kShares>
bool EventLoop<kShares>::are_free(const ClosedBody& body) const {
  return std::ranges::all_of(body.links, [&](uint32_t link) { return links_[link].flows == 0 && now_ < kExactDates; });
}

/// The tasks that could run as one from the first task of a Call, or its first compute task, on, which can arrive now;
/// false if they are not closed.
template <bool kShares>
bool EventLoop<kShares>::find_part(const StreamHead& opening, CallPart& part) {
  const uint32_t r = opening.task.rank;
  Rank& rank = ranks_[r];
  const ClosedBody& body = look_at(r, opening.visit->body);
  if (!body.closed) return false;
  const StreamOrder::Visit& visit = opening.visit[-body.beside[opening.dense]];
  part = CallPart(visit, body, opening.task.op->op == 0);
  if (part.first != body.first_compute && !body.may_be_whole) return false;

  const StreamHead* const streams = streams_.data() + rank.first_stream;
  bool ready = true;
  each_bit(body.streams, [&](uint32_t d) {
    uint32_t first = body.first_from[d];
    if (part.first == 0) {
      first = (&visit)[body.beside[d]].first_op;
    } else if (body.ops_from[d] == 0) {
      ready &= streams[d].ticket >= visit.first_ticket + part.first;
      return;
    }
    ready &= !streams[d].arrived && streams[d].ticket == visit.first_ticket + rank.ops[first].op;
    part.streams |= 1u << d;
  });
  const auto ended = [&](const StreamOrder::Wait& wait) { return streams[wait.stream].unended > wait.ticket; };
  const StreamOrder::Wait* const waits = rank.waits + visit.first_wait;
  for (uint32_t i = 0; i < visit.num_waits; ++i) ready &= ended(waits[i]);
  if (!ready || !are_free(body)) return false;
  part_waits_.clear();
  if (visit.next) add_next((&visit)[visit.next], r, part);
  return part.tasks() >= kFewestReplayed && (part.next == kNone || are_free(closed_body(r, part.next_body))) &&
         !beyond_window(rank, part.last_ticket());
}

/// Tasks of the next call before its first compute task, if they wait for nobody outside of the part.
template <bool kShares>
void EventLoop<kShares>::add_next(const StreamOrder::Visit& next, uint32_t r, CallPart& part) {
  const uint16_t first_compute = first_compute_[next.body];
  if (first_compute == 0) return;
  const Rank& rank = ranks_[r];
  const ClosedBody& body = look_at(r, next.body);
  if (!body.closed) return;
  const StreamHead* const streams = streams_.data() + rank.first_stream;
  bool ready = true;
  each_bit(body.streams_before, [&](uint32_t d) {
    const StreamHead& stream = streams[d];
    if (part.streams >> d & 1) {
      ready &= stream.visit->next && stream.visit[stream.visit->next].call == next.call;
    } else {
      ready &= !stream.arrived && stream.ticket != kNoTicket && stream.visit->call == next.call &&
               stream.task.op == rank.ops + stream.visit->first_op;
    }
  });
  const StreamOrder::Wait* const waits = rank.waits + next.first_wait;
  for (uint32_t i = 0; i < next.num_waits && ready; ++i) {
    const StreamOrder::Wait& wait = waits[i];
    if (wait.op >= first_compute || streams[wait.stream].unended > wait.ticket) continue;
    ready = part.place(wait.ticket) != kNone;
    part_waits_.push_back({wait.op, wait.ticket - part.first_ticket});
  }
  if (!ready) return part_waits_.clear();
  part.add(next, body);
  part.streams |= body.streams_before;
}

template <bool kShares>
CallTimes::Key EventLoop<kShares>::key_of(uint32_t r, const CallPart& part, double share) {
  CallTimes::Key key{closed_body(r, part.body).costs, kNone, part.next_body, part.first == 0, share};
  if (part.next != kNone) key.next_costs = closed_body(r, part.next_body).costs;
  return key;
}

/// Null: not known yet.
template <bool kShares>
const CallTimes* EventLoop<kShares>::find_times(uint32_t r, const CallPart& part, double share) {
  const CallTimes::Key key = key_of(r, part, share);
  for (const CallTimes& times : closed_body(key.costs, part.body).times) {
    if (times.key == key) return &times;
  }
  return nullptr;
}

template <bool kShares>
bool EventLoop<kShares>::replay(StreamHead& opening) {
  const uint32_t r = opening.task.rank;
  RankCalls& calls = calls_[r];
  if (calls.disturbed == opening.visit->call) return false;
  if (calls.records && place_in(calls.part, opening.task) != kNone) return false;  // to be told when it is over
  CallPart part;
  if (!find_part(opening, part)) return false;

  calls.records = nullptr;  // of a call before, some of whose tasks still run: it is not closed
  const double share = kShares && problem_.shared_sms ? sms_.taken(r) : 0;
  const CallTimes* const known = find_times(r, part, share);
  calls.part = part;
  calls.since = now_;
  if (!known) {
    calls.left = part.tasks();
    calls.records = std::make_unique<CallTimes>();
    calls.records->key = key_of(r, part, share);
    calls.records->ops.resize(part.count + part.next_count);
    calls.records->waits = part_waits_;
    return false;
  }
  if (known->waits != part_waits_) return false;
  StreamHead* const streams = streams_beside(opening);
  // Compute beside the part's collectives would be slowed down by them.
  if (const StreamHead& compute = streams[kCompute];
      !known->is_late(compute.name) && !waits_for_end(compute, part, *known))
    return false;

  calls.replay = known;
  add_parts(r, *known, share);
  push_other(calls.until, Other::replay_ends, r);

  // Streams that are free before the end and may have something to do until then, and those whose tasks others wait
  // for.
  const RankCalls::Timed& last = calls.parts.back();
  calls.held_up = 0;
  each_bit(part.streams, [&](uint32_t d) {
    StreamHead& stream = streams[d];
    const Head after = head_after(stream, last.part, *last.times);
    calls.after[d] = after.visit ? after.visit->first_ticket + after.op->op : kNoTicket;
    stream.blocked &= static_cast<uint16_t>(~part.streams);
    if (after.visit && !last.times->is_late(stream.name) &&
        !waits_for_end(ranks_[r], *after.visit, *after.op, last.part, *last.times) && !is_held_up(stream, after))
      push_other(free_at(calls, stream), Other::replay_passes, r);
    if (!stream.blocked || stream.wake >= calls.after[d]) return;
    stream.wake = kNoTicket;
    each_bit(stream.blocked, [&](uint32_t outside) {
      const uint32_t awaited = streams[outside].awaited;
      stream.wake = std::min(stream.wake, awaited);
      const Picoseconds time = passes_at(calls, stream, awaited);
      if (time != calls.until) push_other(time, Other::replay_passes, r);
    });
  });
  return true;
}

template <bool kShares>
void EventLoop<kShares>::write_down_end(RankCalls& calls) {
  CallTimes& times = *calls.records;
  const CallPart& part = calls.part;
  for (const CallTimes::Op& op : times.ops) times.end = std::max(times.end, op.end);
  for (size_t stream = 0; stream < kStreams; ++stream) {
    CallTimes::Row& row = times.rows[stream];
    row.first = static_cast<uint16_t>(times.spans.size());
    const auto add = [&](uint16_t body, uint32_t first, uint32_t count, uint32_t base) {
      const BodyStreams& streams = bodies_[body];
      for (uint32_t i = streams.first[stream]; i < streams.first[stream + 1]; ++i) {
        const uint16_t op = streams.ops[i];
        if (op < first || op >= count) continue;
        const CallTimes::Op& at = times.ops[base + op];
        times.spans.push_back(make_span({}, 0, op, static_cast<uint8_t>(stream), at.begin, at.begin, at.end));
        if (at.end == times.end) times.late |= 1u << stream;
      }
    };
    add(part.body, part.first, part.count, 0);
    row.own = static_cast<uint16_t>(times.spans.size() - row.first);
    const BodyStreams& own = bodies_[part.body];
    row.skip = static_cast<uint16_t>(own.first[stream + 1] - own.first[stream] - row.own);
    if (part.next != kNone) add(part.next_body, 0, part.next_count, part.count);
    row.count = static_cast<uint16_t>(times.spans.size() - row.first);
  }
  std::forward_list<CallTimes>& known = closed_body(times.key.costs, part.body).times;
  // Another rank may have written it down meanwhile.
  if (std::ranges::find(known, times.key, &CallTimes::key) == known.end()) {
    times.number = num_times_++;
    known.push_front(std::move(times));
  }
  calls.records = nullptr;
}

template class EventLoop<true>;

}  // namespace pgram::sim
