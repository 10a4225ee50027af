// Calls that run as one: layers are alike, so that what one Call's tasks do, undisturbed, those of the next will do
// again. The first time they are simulated one by one and their times written down; later the Call is one event. When
// something from outside changes the device's speed, or wants to know more than when all has ended, the tasks go on one
// by one from where they are. Nothing in the results tells.
#include <algorithm>
#include <bit>

#include "sim/event_loop.h"

namespace pgram::sim {
namespace {

template <typename F>
void each_bit(uint32_t bits, const F& f) {
  for (; bits; bits &= bits - 1) f(static_cast<uint32_t>(std::countr_zero(bits)));
}

}  // namespace

/// Whether calls of the Body can be closed.
template <bool kShares>
void EventLoop<kShares>::look_at(uint32_t r, uint16_t body, ClosedBody& closed) {
  closed.known = true;
  const Steps& steps = steps_[body];
  if (steps.grouped || steps.count < kFewestReplayed) return;
  // Else compute of another call could run beside it, and would be slowed down by its collectives.
  if (bodies_[body].first[static_cast<size_t>(Stream::compute) + 1] ==
      bodies_[body].first[static_cast<size_t>(Stream::compute)])
    return;
  const Instance& instance = *ranks_[r].instance;
  for (uint32_t i = 0; i < steps.count; ++i) {
    const Op& op = steps.ops[i];
    if (op.comm == kNoComm) continue;
    const uint32_t meeting = instance.meetings[op.comm], cost = steps.first_cost + i;
    if (meeting == kNone || problem_.meeting_size[meeting] != 1 || instance.costs[cost].tail != 0) return;
    if (!problem_.links || instance.transfers[cost].limit == 0) continue;
    for (const LinkUse& use : problem_.links->uses(epoch_, meeting, instance.transfers[cost].lane)) {
      const uint32_t other = links_[use.link].of_calls;
      if (problem_.steps || (other != kNone && other != r)) return;
      closed.links.push_back(use.link);
    }
  }
  for (uint32_t link : closed.links) links_[link].of_calls = r;
  closed.closed = true;
}

/// The streams of a rank that a Body is on, as bits.
template <bool kShares>
uint32_t EventLoop<kShares>::streams_of(const Rank& rank, uint16_t body) const {
  uint32_t bits = 0;
  for (uint8_t name : bodies_[body].streams) bits |= 1u << rank.order->dense[name];
  return bits;
}

/// Whether what the stream does after the call can begin only when the last task of the call has ended.
template <bool kShares>
bool EventLoop<kShares>::waits_for_end(const Rank& rank, const StreamHead& stream, const CallTimes& times,
                                       const StreamOrder::Visit& visit) const {
  if (stream.visit->next == kNoTicket) return true;
  const StreamOrder::Visit& next = rank.visits[stream.visit->next];
  const BodyStreams& body = bodies_[next.body];
  const uint16_t index = body.ops[body.first[stream.name]];
  const Op& op = steps_[next.body].ops[index];
  for (int i = 0; i < op.num_waits; ++i) {  // for a later task of a stream that is busy until the end
    if (times.late >> rank.order->dense[body.waits[op.first_wait + i].stream] & 1) return true;
  }
  for (uint32_t i = 0; i < next.num_waits; ++i) {
    const StreamOrder::Wait& wait = rank.waits[next.first_wait + i];
    const uint32_t of_call = wait.ticket - visit.first_ticket;
    if (wait.op != index || of_call >= times.ops.size()) continue;
    const uint8_t name = rank.order->streams[wait.stream].name;
    if (times.passed(bodies_[visit.body], name, of_call) == times.end) return true;
  }
  return false;
}

template <bool kShares>
bool EventLoop<kShares>::replay(uint32_t index) {
  const uint32_t r = streams_[index].rank;
  Rank& rank = ranks_[r];
  RankCalls& calls = calls_[r];
  const StreamOrder::Visit& visit = *streams_[index].visit;
  const Steps& steps = steps_[visit.body];
  if (calls.disturbed == visit.call) return false;
  ClosedBody& closed = calls.bodies[visit.body];
  if (!closed.known) look_at(r, visit.body, closed);
  if (!closed.closed) return false;

  StreamHead* const streams = streams_.data() + rank.first_stream;
  const uint32_t own = streams_of(rank, visit.body);
  bool ready = true;
  each_bit(own, [&](uint32_t d) {
    const StreamHead& stream = streams[d];
    const uint32_t ops = steps.streams->first[stream.name + 1] - steps.streams->first[stream.name];
    ready &= !stream.arrived && stream.visit->call == visit.call && stream.ops_left == ops;
  });
  const StreamOrder::Wait* const waits = rank.waits + visit.first_wait;
  for (uint32_t i = 0; i < visit.num_waits; ++i) ready &= streams[waits[i].stream].unended > waits[i].ticket;
  // Dates of flows are exact picoseconds up to 2^53.
  constexpr Picoseconds kExact = Picoseconds{1} << 52;
  for (uint32_t link : closed.links) ready &= links_[link].flows == 0 && now_ < kExact;
  if (!ready || beyond_window(rank, visit.first_ticket + steps.count - 1)) return false;

  calls.records = false;  // of a call before, some of whose tasks still run: it is not closed
  const double share = kShares && problem_.shared_sms ? sms_.taken(r) : 0;
  const auto known = memory_.find({rank.costs, visit.body, share});
  if (known == memory_.end()) {
    calls.records = true;
    calls.since = now_;
    calls.call = visit.call;
    calls.body = visit.body;
    calls.streams = own;
    calls.share = share;
    calls.left = steps.count;
    calls.times = {std::vector<CallTimes::Op>(steps.count), {}, 0, 0};
    return false;
  }
  const CallTimes& times = known->second;
  each_bit(own, [&](uint32_t d) {
    // Who waits from outside must wait until the end ...
    each_bit(streams[d].blocked & ~own, [&](uint32_t outside) {
      const uint32_t op = streams[outside].awaited - visit.first_ticket;
      if (op < steps.count && times.passed(*steps.streams, streams[d].name, op) != times.end) ready = false;
    });
    // ... and a stream that is free before must have nothing to do until then.
    ready &= times.late >> d & 1 || waits_for_end(rank, streams[d], times, visit);
  });
  if (!ready) return false;

  calls.replay = &times;
  calls.since = now_;
  calls.call = visit.call;
  calls.first_ticket = visit.first_ticket;
  calls.body = visit.body;
  calls.streams = own;
  each_bit(own, [&](uint32_t d) { streams[d].blocked &= static_cast<uint16_t>(~own); });
  push_other(now_ + times.end, Other::replay_ends, r);
  return true;
}

/// A task of the call, at the head of `stream`, has ended: the next one comes.
template <bool kShares>
void EventLoop<kShares>::pass_replayed(StreamHead& stream, const RankCalls& calls) {
  Rank& rank = ranks_[stream.rank];
  const CallTimes::Op& times = calls.replay->ops[*stream.op];
  const Picoseconds end = calls.since + times.end;
  Span*& span = rank.spans[static_cast<size_t>(&stream - &streams_[rank.first_stream])];
  if (span) {
    const Picoseconds begin = calls.since + times.begin;
    *span++ = make_span(*rank.instance, calls.call, *stream.op, stream.name, begin, begin, end);
  }
  ++ended_;
  last_end_ = std::max(last_end_, end);
  stream.done = std::max(stream.done, end);
  next_head(stream);
}

template <bool kShares>
void EventLoop<kShares>::end_replay(uint32_t r) {
  RankCalls& calls = calls_[r];
  if (!calls.replay || calls.since + calls.replay->end != now_) return;  // disturbed meanwhile
  const uint32_t first = ranks_[r].first_stream;
  each_bit(calls.streams, [&](uint32_t d) {
    StreamHead& stream = streams_[first + d];
    for (uint32_t ops = stream.ops_left; ops > 0; --ops) pass_replayed(stream, calls);
    stream.unended = stream.ticket;
  });
  calls.replay = nullptr;
  const uint32_t streams = calls.streams;
  each_bit(streams, [&](uint32_t d) { pass_ended(first + d, streams_[first + d].ticket); });
  each_bit(streams, [&](uint32_t d) { try_head(first + d); });
}

/// Goes on task by task. What ends at this very moment has not ended yet.
template <bool kShares>
void EventLoop<kShares>::disturb(uint32_t r) {
  RankCalls& calls = calls_[r];
  const Rank& rank = ranks_[r];
  const CallTimes& times = *calls.replay;
  const Steps& steps = steps_[calls.body];
  const Picoseconds passed = now_ - calls.since;
  calls.disturbed = calls.call;
  uint32_t computes = kNone;
  each_bit(calls.streams, [&](uint32_t d) {
    const uint32_t index = rank.first_stream + d;
    StreamHead& stream = streams_[index];
    const auto runs = [&] { return stream.ticket != kNoTicket && stream.visit->call == calls.call; };
    while (runs() && times.ops[*stream.op].end < passed) pass_replayed(stream, calls);
    stream.unended = stream.ticket;
    if (!runs() || times.ops[*stream.op].begin >= passed) return;
    Running& task = running_[index];
    set_up(task, stream, steps, *stream.op);
    stream.arrived = true;
    const CallTimes::Op& at = times.ops[*stream.op];
    task.arrival = calls.since + at.begin;
    begin_span(task, task.arrival);
    if (kShares && problem_.shared_sms && task.meeting == kNone && task.cost->hold > 0) {
      computes = index;
      return;
    }
    if (const TransferCost* transfer = kShares && problem_.shared_sms ? transfer_of(task) : nullptr)
      sms_.take(now_, r, transfer->sm_share);
    if (task.meeting != kNone && shares_links(task)) return go_on_as_flow(index);
    schedule_end(index, task.arrival, at.end - at.begin);
  });
  if (computes != kNone) {
    const uint16_t op = *streams_[computes].op;
    double left = static_cast<double>(running_[computes].cost->hold);
    Picoseconds at = times.ops[op].begin;
    for (const CallTimes::Slowed& slowed : times.slowed) {
      if (slowed.op != op || slowed.at >= passed) continue;
      left = slowed.left;
      at = slowed.at;
    }
    push_other(sms_.resume(calls.since + at, r, computes, left), Other::compute_may_end, r);
  }
  calls.replay = nullptr;
  each_bit(calls.streams, [&](uint32_t d) {
    if (!streams_[rank.first_stream + d].arrived) try_head(rank.first_stream + d);
  });
}

/// The transfer of a call that is no longer one: its latency or its bytes are on their way.
template <bool kShares>
void EventLoop<kShares>::go_on_as_flow(uint32_t index) {
  const Running& task = running_[index];
  const TransferCost& transfer = *transfer_of(task);
  const Picoseconds begin = task.arrival + transfer.latency;
  Flow& flow = flows_[task.meeting];
  flow.running.assign(1, index);
  if (begin >= now_) return push_other(begin, Other::flow_begins, task.meeting);
  const auto uses = problem_.links->uses(epoch_, task.meeting, transfer.lane);
  flow.flows = true;
  flow.alone_end = begin + std::llround(transfer.bytes / transfer.limit);
  for (const LinkUse& use : uses) ++links_[use.link].flows;
  network_.join(static_cast<double>(begin), task.meeting, transfer.bytes, transfer.limit, uses);
  if (problem_.first_span) contention_.begin(begin, task.meeting, task_of(task), uses);
}

template <bool kShares>
void EventLoop<kShares>::write_down_end(RankCalls& calls) {
  CallTimes& times = calls.times;
  const Rank& rank = ranks_[static_cast<size_t>(&calls - calls_.data())];
  for (const CallTimes::Op& op : times.ops) times.end = std::max(times.end, op.end);
  for (size_t i = 0; i < times.ops.size(); ++i) {
    if (times.ops[i].end == times.end)
      times.late |= 1u << rank.order->dense[static_cast<size_t>(steps_[calls.body].ops[i].stream)];
  }
  calls.records = false;
  memory_.try_emplace({rank.costs, calls.body, calls.share}, std::move(times));
}

template class EventLoop<false>;
template class EventLoop<true>;

}  // namespace pgram::sim
