// What happens while calls run as one: whoever waits for a task in the middle is woken, and when something from outside
// changes the device's speed or comes to the calls' links, the tasks go on one by one from where they are.
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>

#include "sim/event_loop.h"

namespace pgram::sim {

/// Copies spans of a part that began at `since`. Its op, stream and waiting go with the rank and call as 16 bytes: one
/// by one they would take three times as long.
static Span* write(Span* to, std::span<const Span> known, uint32_t rank, uint32_t call, Picoseconds since) {
  for (const Span& span : known) {
    std::memcpy(static_cast<void*>(to), &span, offsetof(Span, start));
    to->rank = rank;
    to->call = call;
    to->start = span.start + since;
    to++->end = span.end + since;
  }
  return to;
}

/// The stream's tasks of the part that end before `elapsed`, counted from its beginning, have ended: the next one
/// comes.
template <bool kShares>
void EventLoop<kShares>::pass(StreamHead& stream, const RankCalls& calls, Picoseconds elapsed) {
  const CallPart& part = calls.part;
  const CallTimes::Row& row = calls.replay->rows[stream.name];
  if (row.count == 0 || stream.ticket == kNoTicket) return;
  const Rank& rank = ranks_[stream.task.rank];
  const StreamOrder::Visit* visit = stream.visit;
  const StreamOp* op = stream.task.op;
  uint32_t begin = static_cast<uint32_t>(op - (rank.ops + visit->first_op));
  if (visit->call == part.call) {
    begin -= row.skip;
  } else if (visit->call == part.next) {
    begin += row.own;
  } else {
    return;
  }
  const Span* const spans = calls.replay->spans.data() + row.first;
  uint32_t end = begin;
  if (elapsed > calls.replay->end) {
    end = row.count;
  } else {
    while (end < row.count && spans[end].end < elapsed) ++end;
  }
  if (end <= begin) return;

  const uint32_t own = std::clamp<uint32_t>(row.own, begin, end);
  if (stream.task.span) {
    const uint32_t named = rank.instance->rank;
    Span*& written = stream.task.span;
    written = write(written, {spans + begin, spans + own}, named, part.call, calls.since);
    if (end > own) written = write(written, {spans + own, spans + end}, named, part.next, calls.since);
  }
  ended_ += end - begin;
  stream.done = std::max(stream.done, calls.since + spans[end - 1].end);
  stream.waits_met = 0;
  bool has_more = true;
  const auto leave_call = [&] {
    has_more = visit->next != 0;
    visit += visit->next;
    op = rank.ops + visit->first_op;
  };
  if (end < row.own) {
    op += end - begin;
  } else if (begin < row.own) {
    leave_call();
  }
  if (end > own) {
    op += end - own;
    if (op[-1].last) leave_call();
  }
  stream.visit = visit;
  stream.task.op = op;
  stream.ticket = has_more ? visit->first_ticket + op->op : kNoTicket;
}

/// All tasks of the part have ended.
template <bool kShares>
void EventLoop<kShares>::end_part(uint32_t r) {
  RankCalls& calls = calls_[r];
  each_bit(calls.part.streams, [&](uint32_t d) {
    StreamHead& stream = streams_[ranks_[r].first_stream + d];
    pass(stream, calls, calls.replay->end + 1);
    stream.unended = stream.ticket;
  });
  if (!problem_.first_span) return;
  const Instance& instance = *ranks_[r].instance;
  if (calls.ended.empty()) calls.ended.reserve(instance.program->calls.size());
  calls.ended.push_back({instance.rank, calls.part.call, calls.replay->number});
}

/// The part has ended, and another begins.
template <bool kShares>
void EventLoop<kShares>::begin_next_part(uint32_t r) {
  RankCalls& calls = calls_[r];
  end_part(r);
  const RankCalls::Timed& next = calls.parts[++calls.at];
  calls.since = next.begin;
  calls.replay = next.times;
  calls.part = next.part;
}

/// Somebody waits for a task in the middle, or for its stream: what has ended is passed, and streams that are past the
/// last part go on.
template <bool kShares>
void EventLoop<kShares>::pass_some(uint32_t r) {
  RankCalls& calls = calls_[r];
  if (!calls.replay) return;  // disturbed meanwhile
  if (calls.until <= now_) return end_replay(r);
  const Rank& rank = ranks_[r];
  StreamHead* const of_rank = streams_.data() + rank.first_stream;
  const uint32_t streams = calls.part.streams;
  while (calls.since + calls.replay->end <= now_) begin_next_part(r);
  const bool is_last = calls.at_last();
  each_bit(streams, [&](uint32_t d) {
    StreamHead& stream = of_rank[d];
    pass(stream, calls, now_ - calls.since + 1);
    stream.unended = stream.ticket;
    if (is_last && !is_part(stream, calls.part) && d != kCompute) calls.part.streams &= ~(1u << d);
  });
  const uint32_t free = streams & ~calls.part.streams;
  each_bit(streams, [&](uint32_t d) { pass_ended(of_rank[d], of_rank[d].ticket); });
  each_bit(free, [&](uint32_t d) { try_head(of_rank[d]); });
}

/// Whether a stream of calls that run as one is past a task, which is found out here. If not it will be seen to in
/// time.
template <bool kShares>
bool EventLoop<kShares>::has_passed(const StreamHead& stream, uint32_t ticket) {
  const uint32_t r = stream.task.rank;
  const RankCalls& calls = calls_[r];
  while (calls.replay && calls.part.streams >> stream.dense & 1) {
    if (const Picoseconds time = passes_at(calls, stream, ticket); time > now_) {
      if (time != calls.until) push_other(time, Other::replay_passes, r);
      return false;
    }
    pass_some(r);
    if (stream.unended > ticket) return true;
  }
  return false;
}

/// What held up the stream has ended.
template <bool kShares>
void EventLoop<kShares>::go_on_behind(StreamHead& stream) {
  RankCalls& calls = calls_[stream.task.rank];
  const uint32_t bit = 1u << stream.dense;
  if (!(calls.held_up & bit)) return;
  calls.held_up &= ~bit;
  const RankCalls::Timed& last = calls.parts.back();
  if (is_held_up(stream, head_after(stream, last.part, *last.times))) return;
  if (const Picoseconds time = free_at(calls, stream); time > now_) {
    push_other(time, Other::replay_passes, stream.task.rank);
  } else {
    pass_some(stream.task.rank);
  }
}

template <bool kShares>
void EventLoop<kShares>::end_replay(uint32_t r) {
  RankCalls& calls = calls_[r];
  if (!calls.replay || calls.until != now_) return;  // over, or disturbed meanwhile
  const uint32_t first = ranks_[r].first_stream, streams = calls.part.streams;
  while (!calls.at_last()) begin_next_part(r);
  end_part(r);
  calls.replay = nullptr;
  each_bit(streams, [&](uint32_t d) { pass_ended(streams_[first + d], streams_[first + d].ticket); });
  each_bit(streams, [&](uint32_t d) { try_head(streams_[first + d]); });
}

/// Goes on task by task. What ends at this very moment has not ended yet.
template <bool kShares>
void EventLoop<kShares>::disturb(uint32_t r) {
  RankCalls& calls = calls_[r];
  const Rank& rank = ranks_[r];
  while (calls.since + calls.replay->end < now_) begin_next_part(r);
  const CallTimes& times = *calls.replay;
  const Picoseconds elapsed = now_ - calls.since;
  calls.disturbed = calls.part.call;
  uint32_t computes = kNone;
  each_bit(calls.part.streams, [&](uint32_t d) {
    const uint32_t index = rank.first_stream + d;
    StreamHead& stream = streams_[index];
    pass(stream, calls, elapsed);
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
  const Picoseconds begin = arrival + transfer_of(task)->latency;
  meetings_[place].waiting[0] = task.stream;
  if (begin >= now_) return push_other(begin, Other::flow_begins, place);
  Flow& flow = look_at_transfer(place, task);
  flow.flows = true;
  flow.begin = begin;
  flow.alone_end = begin + flow.takes;
  for (const LinkUse& use : flow.uses) ++links_[use.link].flows;
  if (!runs_alone(place)) join_network(place);
}

template class EventLoop<true>;

}  // namespace pgram::sim
