// Parts of calls that run as one: what belongs to them, what follows them at once, and when their tasks end.
#include <algorithm>

#include "sim/event_loop.h"

namespace pgram::sim {

template <bool kShares>
Picoseconds EventLoop<kShares>::passes_at(const RankCalls& calls, const StreamHead& stream, uint32_t ticket) const {
  if (ticket >= calls.after[stream.dense]) return calls.until;
  auto timed = calls.parts.end();
  do {
    --timed;
  } while (timed != calls.parts.begin() + static_cast<ptrdiff_t>(calls.at) &&
           timed->part.first_ticket + timed->part.first > ticket);
  const CallTimes& times = *timed->times;
  const CallPart& part = timed->part;
  uint32_t place = part.place(ticket);
  const CallTimes::Row& row = times.rows[stream.name];
  if (place == kNone && row.count > row.own && ticket < part.next_ticket)
    place = part.count - 1u;  // of a call in between: past it when those of the next call come
  // The task may be on another stream; mostly it is one of the last.
  const Span* const spans = times.spans.data() + row.first;
  uint32_t ended = row.count;
  while (ended && spans[ended - 1].op + (ended <= row.own ? 0u : part.count) > place) --ended;
  return timed->begin + (ended ? spans[ended - 1].end : 0);
}

/// The part of the call right after that of `before`, which begins when `before` has ended; false if it is not closed
/// then, or a stream could go on before.
template <bool kShares>
bool EventLoop<kShares>::follows(const StreamOrder::Visit& visit, uint32_t r, const RankCalls::Timed& last,
                                 CallPart& part) {
  const CallPart& before = last.part;
  const CallTimes& times = *last.times;
  const ClosedBody& body = look_at(r, visit.body);
  if (!body.closed || body.streams != before.streams) return false;
  if (before.body != visit.body && !are_free(body)) return false;
  Rank& rank = ranks_[r];
  const StreamHead* const streams = streams_.data() + rank.first_stream;
  part = CallPart(visit, body, false);
  part.streams = before.streams;
  if (part.first > 0 && before.next == kNone) return false;
  bool ready = true;
  each_bit(part.streams & ~body.gated, [&](uint32_t d) {
    if (times.is_late(streams[d].name) || d == kCompute) return;
    ready &= body.ops_from[d] && waits_for_end(rank, visit, rank.ops[body.first_from[d]], before, times);
  });
  const uint32_t begin = calls_[r].part.first_ticket + calls_[r].part.first;
  const StreamOrder::Wait* const waits = rank.waits + visit.first_wait;
  for (uint32_t i = 0; i < visit.num_waits && ready; ++i)
    ready = waits[i].op < part.first || waits[i].ticket >= begin || streams[waits[i].stream].unended > waits[i].ticket;
  if (!ready) return false;
  part_waits_.clear();
  if (visit.next && !next_follows(r, (&visit)[visit.next], part)) return false;
  return part.tasks() >= kFewestReplayed;
}

/// Adds the next call's tasks before its first compute task to a part that follows another. Where other calls come in
/// between, as a receive that the next call waits for, these tasks are left to come by themselves behind the parts.
template <bool kShares>
bool EventLoop<kShares>::next_follows(uint32_t r, const StreamOrder::Visit& next, CallPart& part) {
  if (first_compute_[next.body] == 0 || next.call != part.call + 1) return true;
  const ClosedBody& body = look_at(r, next.body);
  if (!body.closed || (body.streams_before & ~part.streams)) return false;
  if (next.body != part.body && !are_free(body)) return false;
  part.add(next, body);
  const Rank& rank = ranks_[r];
  const StreamHead* const streams = streams_.data() + rank.first_stream;
  const uint32_t begin = calls_[r].part.first_ticket + calls_[r].part.first;
  const StreamOrder::Wait* const waits = rank.waits + next.first_wait;
  for (uint32_t i = 0; i < next.num_waits; ++i) {
    const StreamOrder::Wait& wait = waits[i];
    if (wait.op >= part.next_count) continue;
    if (part.place(wait.ticket) != kNone) {
      part_waits_.push_back({wait.op, wait.ticket - part.first_ticket});
    } else if (wait.ticket < begin && streams[wait.stream].unended <= wait.ticket) {
      return false;
    }
  }
  return true;
}

/// Parts that follow at once and whose times are known.
template <bool kShares>
void EventLoop<kShares>::add_parts(uint32_t r, const CallTimes& first, double share) {
  RankCalls& calls = calls_[r];
  calls.parts.assign(1, {calls.part, &first, now_});
  calls.at = 0;
  calls.until = now_ + first.end;
  // Adjacent calls: a stream that both have tasks for goes from one to the other.
  const auto adjacent = [](const StreamOrder::Visit& visit) {
    const StreamOrder::Visit* const next = &visit + visit.next;
    return next->call == visit.call + 1 ? next : nullptr;
  };
  const StreamOrder::Visit* visit = adjacent(*calls.part.visit);
  if (!visit) return;
  const Rank& rank = ranks_[r];
  // Whether a task is not issued yet when its call begins, and all before that on the part's streams has ended.
  const auto beyond_window_then = [&](uint32_t ticket, uint32_t first_ticket) {
    if (ticket - rank.oldest < problem_.launch_window) return false;
    uint32_t oldest = first_ticket;
    for (uint32_t d = 0; d < rank.num_streams(); ++d) {
      const uint32_t unended = streams_[rank.first_stream + d].unended;
      if (!(calls.part.streams >> d & 1)) oldest = std::min(oldest, unended);
    }
    return ticket - oldest >= problem_.launch_window;
  };
  CallPart next;
  for (; visit && follows(*visit, r, calls.parts.back(), next); visit = adjacent(*visit)) {
    if (beyond_window_then(next.last_ticket(), visit->first_ticket)) return;
    const CallTimes* const known = find_times(r, next, share);
    if (!known || known->waits != part_waits_) return;
    if (visit->next && !known->is_late(static_cast<uint8_t>(Stream::compute))) {
      const StreamOrder::Visit& later = visit[visit->next];
      if (!waits_for_end(rank, later, rank.ops[later.first_op], next, *known)) return;
    }
    calls.parts.push_back({next, known, calls.until});
    calls.until += known->end;
  }
}

/// What a stream, which is at a task of the part or of those before it, does after the part.
template <bool kShares>
typename EventLoop<kShares>::Head EventLoop<kShares>::head_after(const StreamHead& stream, const CallPart& part,
                                                                 const CallTimes& times) const {
  if (stream.ticket == kNoTicket) return {};
  const StreamOp* const ops = ranks_[stream.task.rank].ops;
  const StreamOrder::Visit* visit = stream.visit;
  const ClosedBody& body = closed_body(stream.task.rank, part.body);
  if (body.streams >> stream.dense & 1) {
    visit = part.visit + body.beside[stream.dense];
    if (!visit->next) return {};
    visit += visit->next;
  }
  const CallTimes::Row& row = times.rows[stream.name];
  const StreamOp* op = ops + visit->first_op;
  if (visit->call != part.next || row.count == row.own) return {visit, op};
  op += row.count - row.own;
  if (!op[-1].last) return {visit, op};
  if (!visit->next) return {};
  visit += visit->next;
  return {visit, ops + visit->first_op};
}

/// Whether what the stream does after the part can begin only when the last task of the part has ended.
template <bool kShares>
bool EventLoop<kShares>::waits_for_end(const StreamHead& stream, const CallPart& part, const CallTimes& times) const {
  const Head next = head_after(stream, part, times);
  return !next.visit || waits_for_end(ranks_[stream.task.rank], *next.visit, *next.op, part, times);
}

template <bool kShares>
bool EventLoop<kShares>::waits_for_end(const Rank& rank, const StreamOrder::Visit& visit, const StreamOp& op,
                                       const CallPart& part, const CallTimes& times) const {
  const StreamHead* const streams = streams_.data() + rank.first_stream;
  return waits_for_any(rank, visit, op, [&](uint32_t other, uint32_t ticket) {
    if (const uint32_t place = part.place(ticket); place != kNone) return times.ops[place].end == times.end;
    // A later task of a stream that is busy until the end.
    return times.is_late(streams[other].name) && ticket >= part.first_ticket + part.first;
  });
}

/// Whether what the stream does after the parts waits for a task of a stream outside of them, whose end then tries it.
template <bool kShares>
bool EventLoop<kShares>::is_held_up(StreamHead& stream, const Head& after) {
  RankCalls& calls = calls_[stream.task.rank];
  StreamHead* const streams = streams_beside(stream);
  return waits_for_any(ranks_[stream.task.rank], *after.visit, *after.op, [&](uint32_t other, uint32_t ticket) {
    if (calls.part.streams >> other & 1 || streams[other].unended > ticket) return false;
    await(stream, streams[other], ticket);
    calls.held_up |= 1u << stream.dense;
    return true;
  });
}

template class EventLoop<true>;

}  // namespace pgram::sim
