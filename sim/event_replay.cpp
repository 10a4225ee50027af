// Calls that run as one: layers are alike, so that what one Call's tasks do, undisturbed, those of the next will do
// again. The first time they are simulated one by one and their times written down; later the Call is one event, with
// another for whoever waits for a task in the middle. When something from outside changes the device's speed or comes
// to the Call's links, the tasks go on one by one from where they are. Nothing in the results tells.
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

/// What is known of a rank's calls of a Body, found out when first asked.
template <bool kShares>
const ClosedBody& EventLoop<kShares>::look_at(uint32_t r, uint16_t body) {
  ClosedBody& result = calls_[r].bodies[body];
  if (std::exchange(result.known, true)) return result;
  const std::vector<Op>& ops = problem_.plan.bodies[body].ops;
  const uint16_t first = first_compute_[body];
  // Without compute, that of another call could run beside it, and would be slowed down by its collectives.
  if (problem_.plan.bodies[body].grouped || ops.size() < kFewestReplayed || first == ops.size()) return result;
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
    if (meeting == kNone || problem_.meeting_size[meeting] != 1 || instance.costs[cost].tail != 0) return result;
    if (!problem_.links || instance.transfers[cost].limit == 0) continue;
    for (const LinkUse& use : problem_.links->uses(epoch_, meeting, instance.transfers[cost].lane)) {
      const uint32_t other = links_[use.link].of_calls;
      if (problem_.steps || (other != kNone && other != r)) return result;
      result.links.push_back(use.link);
    }
  }
  for (uint32_t link : result.links) links_[link].of_calls = r;
  result.closed = true;
  return result;
}

/// The tasks that could run as one from the first compute task of a Call on, which can arrive now; false if they are
/// not closed.
template <bool kShares>
bool EventLoop<kShares>::find_part(StreamHead& compute, CallPart& part) {
  const uint32_t r = compute.task.rank;
  Rank& rank = ranks_[r];
  const StreamOrder::Visit& visit = *compute.visit;
  const ClosedBody& body = look_at(r, visit.body);
  if (!body.closed) return false;
  part.call = visit.call;
  part.body = visit.body;
  part.first = first_compute_[visit.body];
  part.count = static_cast<uint16_t>(bodies_[visit.body].ops.size());
  part.first_ticket = visit.first_ticket;

  const StreamHead* const streams = streams_beside(compute);
  bool ready = true;
  each_bit(body.streams, [&](uint32_t d) {
    ready &= streams[d].ticket >= visit.first_ticket + part.first;
    if (body.ops_from[d] == 0) return;
    ready &= !streams[d].arrived && streams[d].visit->call == visit.call && ops_left(streams[d]) == body.ops_from[d];
    part.streams |= 1u << d;
  });
  const auto ended = [&](const StreamOrder::Wait& wait) { return streams[wait.stream].unended > wait.ticket; };
  const StreamOrder::Wait* const waits = rank.waits + visit.first_wait;
  for (uint32_t i = 0; i < visit.num_waits; ++i) ready &= ended(waits[i]);
  const auto are_free = [&](const ClosedBody& of) {
    // Dates of flows are exact picoseconds up to 2^53.
    constexpr Picoseconds kExact = Picoseconds{1} << 52;
    return std::ranges::all_of(of.links, [&](uint32_t link) { return links_[link].flows == 0 && now_ < kExact; });
  };
  if (!ready || !are_free(body)) return false;
  if (visit.next) add_next(compute.visit[visit.next], r, part);
  return part.tasks() >= kFewestReplayed && (part.next == kNone || are_free(calls_[r].bodies[part.next_body])) &&
         !beyond_window(rank, part.last_ticket());
}

/// Tasks of the next call before its first compute task, if they wait for nobody outside of the part.
template <bool kShares>
void EventLoop<kShares>::add_next(const StreamOrder::Visit& next, uint32_t r, CallPart& part) {
  const uint16_t first_compute = first_compute_[next.body];
  part.waits.clear();
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
    part.waits.push_back({wait.op, wait.stream, wait.ticket - part.first_ticket});
  }
  if (!ready) return part.waits.clear();
  part.next = next.call;
  part.next_body = next.body;
  part.next_ticket = next.first_ticket;
  part.next_count = first_compute;
  part.streams |= body.streams_before;
}

/// When a stream is past all its tasks up to the one at `place`, which may itself be on another stream.
template <bool kShares>
Picoseconds EventLoop<kShares>::passed(const CallPart& part, const CallTimes& times, uint8_t stream,
                                       uint32_t place) const {
  Picoseconds time = 0;
  const auto look = [&](uint16_t body, uint32_t first, uint32_t count, uint32_t base) {
    const BodyStreams& streams = bodies_[body];
    for (uint32_t i = streams.first[stream]; i < streams.first[stream + 1]; ++i) {
      const uint32_t op = streams.ops[i];
      if (op >= count || base + op > place) break;
      if (op >= first) time = times.ops[base + op].end;
    }
  };
  look(part.body, part.first, part.count, 0);
  if (part.next != kNone) look(part.next_body, 0, part.next_count, part.count);
  return time;
}

/// Whether what the stream does after the part can begin only when the last task of the part has ended.
template <bool kShares>
bool EventLoop<kShares>::waits_for_end(const Rank& rank, const StreamHead& stream, const CallPart& part,
                                       const CallTimes& times) const {
  const StreamHead* const streams = streams_.data() + rank.first_stream;
  const StreamOrder::Visit* visit = stream.visit;
  const StreamOp* op = stream.task.op;
  while (part.place(visit->call, op->op) != kNone) {
    if (!op->last) {
      ++op;
    } else if (visit->next) {
      visit += visit->next;
      op = rank.ops + visit->first_op;
    } else {
      return true;
    }
  }
  const auto until_end = [&](uint32_t other, uint32_t ticket) {
    if (const uint32_t place = part.place(ticket); place != kNone)
      return passed(part, times, streams[other].name, place) == times.end;
    // A later task of a stream that is busy until the end.
    return (times.late >> other & 1) && ticket >= streams[other].ticket;
  };
  for (int i = 0; i < op->num_waits; ++i) {
    const auto [before, other] = rank.own_waits[op->first_wait + i];
    if (until_end(other, visit->first_ticket + before)) return true;
  }
  for (uint32_t i = 0; i < visit->num_waits; ++i) {
    const StreamOrder::Wait& wait = rank.waits[visit->first_wait + i];
    if (wait.op == op->op && until_end(wait.stream, wait.ticket)) return true;
  }
  return false;
}

template <bool kShares>
uint32_t EventLoop<kShares>::ops_left(const StreamHead& stream) const {
  if (stream.ticket == kNoTicket) return 0;
  const BodyStreams& body = bodies_[stream.visit->body];
  const StreamOp* const first = ranks_[stream.task.rank].ops + stream.visit->first_op;
  return body.first[stream.name + 1] - body.first[stream.name] - static_cast<uint32_t>(stream.task.op - first);
}

template <bool kShares>
bool EventLoop<kShares>::replay(StreamHead& compute) {
  const uint32_t r = compute.task.rank;
  const Rank& rank = ranks_[r];
  RankCalls& calls = calls_[r];
  if (calls.disturbed == compute.visit->call) return false;
  CallPart part;
  if (!find_part(compute, part)) return false;

  calls.records = false;  // of a call before, some of whose tasks still run: it is not closed
  const double share = kShares && problem_.shared_sms ? sms_.taken(r) : 0;
  const auto known = memory_.find({rank.instance->costs, part.body, part.next_body, share});
  if (known == memory_.end()) {
    calls.records = true;
    calls.since = now_;
    calls.share = share;
    calls.left = part.tasks();
    calls.times = {std::vector<CallTimes::Op>(part.count + part.next_count), {}, part.waits, 0, 0};
    calls.part = std::move(part);
    return false;
  }
  const CallTimes& times = known->second;
  if (times.waits != part.waits) return false;
  StreamHead* const streams = streams_beside(compute);
  // Streams that are free before the end and may have something to do until then. Compute beside the part's collectives
  // would be slowed down by them.
  uint32_t early = 0;
  each_bit(part.streams, [&](uint32_t d) {
    if (!(times.late >> d & 1) && !waits_for_end(rank, streams[d], part, times)) early |= 1u << d;
  });
  if (early >> compute_of(rank) & 1) return false;

  each_bit(part.streams, [&](uint32_t d) {
    if (early >> d & 1) push_other(now_ + passed(part, times, streams[d].name, kNone), Other::replay_passes, r);
    streams[d].blocked &= static_cast<uint16_t>(~part.streams);
    each_bit(streams[d].blocked, [&](uint32_t outside) {
      const uint32_t place = part.place(streams[outside].awaited);
      const Picoseconds time = place == kNone ? times.end : passed(part, times, streams[d].name, place);
      if (time != times.end) push_other(now_ + time, Other::replay_passes, r);
    });
  });
  calls.replay = &times;
  calls.since = now_;
  calls.part = std::move(part);
  push_other(now_ + times.end, Other::replay_ends, r);
  return true;
}

/// The stream's tasks of the part that end before `elapsed`, counted from its beginning, have ended: the next one
/// comes.
template <bool kShares>
void EventLoop<kShares>::pass_replayed(StreamHead& stream, const RankCalls& calls, Picoseconds elapsed) {
  if (!is_part(stream, calls.part)) return;
  const CallPart& part = calls.part;
  const StreamOp* const ops = ranks_[stream.task.rank].ops;
  const Instance& instance = *ranks_[stream.task.rank].instance;
  const StreamOrder::Visit* visit = stream.visit;
  const StreamOp* op = stream.task.op;
  Span* span = stream.task.span;
  const CallTimes::Op* times = calls.replay->ops.data() + (visit->call == part.call ? 0 : part.count);
  Picoseconds end = -1;
  bool over = false;
  while (!over && times[op->op].end < elapsed) {
    end = std::max(end, times[op->op].end);
    if (span) {
      const Picoseconds begin = calls.since + times[op->op].begin;
      *span++ = make_span(instance, visit->call, op->op, stream.name, begin, begin, calls.since + times[op->op].end);
    }
    ++ended_;
    if (!op->last) {
      ++op;
      over = visit->call == part.next && op->op >= part.next_count;
    } else if (!visit->next) {
      stream.ticket = kNoTicket;
      over = true;
    } else {
      visit += visit->next;
      op = ops + visit->first_op;
      times = calls.replay->ops.data() + part.count;
      over = visit->call != part.next || op->op >= part.next_count;
    }
  }
  if (end < 0) return;
  stream.done = std::max(stream.done, calls.since + end);
  last_end_ = std::max(last_end_, stream.done);
  stream.waits_met = 0;
  stream.visit = visit;
  stream.task.op = op;
  stream.task.span = span;
  if (stream.ticket != kNoTicket) stream.ticket = visit->first_ticket + op->op;
}

/// Somebody waits for a task in the middle of the part, or for its stream: what has ended is passed, and streams that
/// are past the part go on.
template <bool kShares>
void EventLoop<kShares>::pass_some(uint32_t r) {
  RankCalls& calls = calls_[r];
  if (!calls.replay) return;  // disturbed meanwhile
  if (calls.since + calls.replay->end <= now_) return end_replay(r);
  const Rank& rank = ranks_[r];
  StreamHead* const of_rank = streams_.data() + rank.first_stream;
  const uint32_t streams = calls.part.streams;
  each_bit(streams, [&](uint32_t d) {
    StreamHead& stream = of_rank[d];
    pass_replayed(stream, calls, now_ - calls.since + 1);
    stream.unended = stream.ticket;
    if (!is_part(stream, calls.part) && d != compute_of(rank)) calls.part.streams &= ~(1u << d);
  });
  const uint32_t free = streams & ~calls.part.streams;
  each_bit(streams, [&](uint32_t d) { pass_ended(of_rank[d], of_rank[d].ticket); });
  each_bit(free, [&](uint32_t d) { try_head(of_rank[d]); });
}

template <bool kShares>
void EventLoop<kShares>::end_replay(uint32_t r) {
  RankCalls& calls = calls_[r];
  if (!calls.replay || calls.since + calls.replay->end != now_) return;  // over, or disturbed meanwhile
  const uint32_t first = ranks_[r].first_stream;
  each_bit(calls.part.streams, [&](uint32_t d) {
    StreamHead& stream = streams_[first + d];
    pass_replayed(stream, calls, calls.replay->end + 1);
    stream.unended = stream.ticket;
  });
  calls.replay = nullptr;
  const uint32_t streams = calls.part.streams;
  each_bit(streams, [&](uint32_t d) { pass_ended(streams_[first + d], streams_[first + d].ticket); });
  each_bit(streams, [&](uint32_t d) { try_head(streams_[first + d]); });
}

/// Goes on task by task. What ends at this very moment has not ended yet.
template <bool kShares>
void EventLoop<kShares>::disturb(uint32_t r) {
  RankCalls& calls = calls_[r];
  const Rank& rank = ranks_[r];
  const CallTimes& times = *calls.replay;
  const Picoseconds elapsed = now_ - calls.since;
  calls.disturbed = calls.part.call;
  uint32_t computes = kNone;
  each_bit(calls.part.streams, [&](uint32_t d) {
    const uint32_t index = rank.first_stream + d;
    StreamHead& stream = streams_[index];
    pass_replayed(stream, calls, elapsed);
    stream.unended = stream.ticket;
    if (!is_part(stream, calls.part) || times_of(stream, calls).begin >= elapsed) return;
    const Running& task = stream.task;
    const uint32_t call = stream.visit->call;
    const auto [begin, end] = times_of(stream, calls);
    const Picoseconds arrival = calls.since + begin;
    stream.arrived = true;
    if (task.span) *task.span = make_span(*rank.instance, call, task.op->op, stream.name, arrival, arrival, arrival);
    const bool is_compute = task.op->comm == kNoComm;
    if (kShares && problem_.shared_sms && is_compute && task.op->hold > 0) {
      computes = index;
      return;
    }
    if (const TransferCost* transfer = kShares && problem_.shared_sms ? transfer_of(task) : nullptr)
      sms_.take(now_, r, transfer->sm_share);
    if (!is_compute && shares_links(place_of(task), task)) return go_on_as_flow(task, arrival);
    schedule_end(task, arrival, end - begin);
  });
  if (computes != kNone) {
    const StreamOp& computed = *streams_[computes].task.op;
    const uint16_t op = computed.op;
    double left = static_cast<double>(computed.hold);
    Picoseconds at = times.ops[op].begin;
    for (const CallTimes::Slowed& slowed : times.slowed) {
      if (slowed.op != op || slowed.at > elapsed) continue;
      left = slowed.left;
      at = slowed.at;
    }
    push_other(sms_.resume(calls.since + at, r, computes, left), Other::compute_may_end, r);
  }
  calls.replay = nullptr;
  each_bit(calls.part.streams, [&](uint32_t d) {
    if (!streams_[rank.first_stream + d].arrived) try_head(streams_[rank.first_stream + d]);
  });
}

/// The transfer of a call that is no longer one: its latency or its bytes are on their way.
template <bool kShares>
void EventLoop<kShares>::go_on_as_flow(const Running& task, Picoseconds arrival) {
  const uint32_t place = place_of(task);
  const TransferCost& transfer = *transfer_of(task);
  const Picoseconds begin = arrival + transfer.latency;
  Flow& flow = flows_[place];
  flow.running.assign(1, task.stream);
  if (begin >= now_) return push_other(begin, Other::flow_begins, place);
  const auto uses = problem_.links->uses(epoch_, place, transfer.lane);
  flow.flows = true;
  flow.alone_end = begin + std::llround(transfer.bytes / transfer.limit);
  for (const LinkUse& use : uses) ++links_[use.link].flows;
  network_.join(static_cast<double>(begin), place, transfer.bytes, transfer.limit, uses);
  if (problem_.first_span) contention_.begin(begin, place, task_of(task), uses);
}

template <bool kShares>
void EventLoop<kShares>::write_down_end(RankCalls& calls) {
  CallTimes& times = calls.times;
  const Rank& rank = ranks_[static_cast<size_t>(&calls - calls_.data())];
  for (const CallTimes::Op& op : times.ops) times.end = std::max(times.end, op.end);
  for (size_t i = 0; i < times.ops.size(); ++i) {
    const bool of_next = i >= calls.part.count;
    const Body& body = problem_.plan.bodies[of_next ? calls.part.next_body : calls.part.body];
    const Op& op = body.ops[of_next ? i - calls.part.count : i];
    if (times.ops[i].end == times.end) times.late |= 1u << rank.order->dense[static_cast<size_t>(op.stream)];
  }
  calls.records = false;
  memory_.try_emplace({rank.instance->costs, calls.part.body, calls.part.next_body, calls.share}, std::move(times));
}

template class EventLoop<true>;

}  // namespace pgram::sim
