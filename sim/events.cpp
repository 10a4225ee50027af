// Engine 2: a discrete-event loop. Every stream of a rank has its own place in the program; the task at its head is
// issued once it is within the launch window, ready when its stream is free and what it waits for has ended, starts
// when its partners are there, and then runs for its cost or for its share of the cores.
#include <algorithm>
#include <bit>
#include <limits>
#include <utility>

#include "sim/event_loop.h"

namespace pgram::sim {

/// Not where a task's time depends on its name, or a link's use on the time.
static bool runs_calls_as_one(const Problem& problem) {
  if (problem.task_by_task || problem.shared_cores || problem.jitter.sigma > 0 ||
      (problem.links && !problem.links->changes.empty()))
    return false;
  return problem.index.streams().num_closable > 0;
}

template <bool kShares>
EventLoop<kShares>::EventLoop(const Problem& problem)
    : problem_(problem),
      index_(problem.index.streams()),
      bodies_(index_.bodies.data()),
      first_compute_(index_.first_compute.data()),
      closable_(index_.closable.data()),
      num_closable_(index_.num_closable),
      group_(index_.largest_group),
      flows_(problem.links ? problem.meeting_size.size() : 0),
      cores_(problem.shared_cores),
      network_(problem.links ? problem.links->capacities : std::vector<double>(),
               problem.steps ? StepRuns::kSameDate : 0),
      contention_(problem.links && problem.first_span ? flows_.size() : 0,
                  problem.links ? problem.links->capacities.size() : 0),
      sms_(problem.shared_sms ? problem.instances.size() : 0) {
  uint32_t waiting = 0;
  for (uint32_t size : problem.meeting_size) {
    Meeting& meeting = meetings_.emplace_back();
    meeting.needed = size;
    if (size <= meeting.waiting.size()) continue;
    meeting.waiting[0] = waiting;
    waiting += size;
  }
  waiting_.resize(waiting);
  ranks_.reserve(problem.instances.size());
  for (const Instance& instance : problem.instances) add_rank(instance);
  due_.resize(streams_.size());
  group_tasks_.resize(streams_.size() * group_);
  if (group_) groups_.resize(streams_.size());
  for (uint32_t i = 0; i < group_tasks_.size(); ++i) group_tasks_[i] = streams_[i / group_].task;
  if (problem.shared_cores) partners_.resize(streams_.size() + group_tasks_.size(), kNone);
  if (kShares && runs_calls_as_one(problem)) {
    calls_.resize(ranks_.size());
    for (size_t rank = 0; rank < ranks_.size(); ++rank) ranks_[rank].calls = &calls_[rank];
    unlike_.resize(index_.bodies.size());
    closed_bodies_.resize(ranks_.size() * num_closable_);
  }
  // No flow is alone where a link may change under it, nor where it is to be seen what all of them do.
  if (problem.links && problem.links->changes.empty() && !problem.steps && !problem.task_by_task)
    links_.resize(problem.links->capacities.size());
}

template <bool kShares>
Outcome EventLoop<kShares>::run() {
  for (uint32_t i = 0; problem_.links && i < problem_.links->changes.size(); ++i)
    push_other(problem_.links->changes[i].time, Other::link_changes, i);
  for (StreamHead& stream : streams_) try_head(stream);
  do {
    while (num_due_) free_stream(streams_[due_[--num_due_]]);
  } while (next_event());
  Outcome outcome;
  for (const StreamHead& stream : streams_) outcome.makespan = std::max(outcome.makespan, stream.done);
  outcome.tasks = ended_;
  std::ranges::stable_sort(held_back_, {}, &Contention::span);
  outcome.contention = std::move(held_back_);
  size_t alike = 0;
  for (const RankCalls& calls : calls_) alike += calls.ended.size();
  outcome.alike.reserve(alike);
  for (const RankCalls& calls : calls_)
    outcome.alike.insert(outcome.alike.end(), calls.ended.begin(), calls.ended.end());
  const bool finished = std::ranges::all_of(streams_, [](const StreamHead& s) { return s.unended == kNoTicket; });
  if (!finished && !network_.idle()) {
    outcome.error = "links that are down or have no bandwidth hold up transfers for ever";
  } else if (!finished) {
    outcome.error = deadlock_text(problem_, stuck());
  }
  return outcome;
}

template <bool kShares>
void EventLoop<kShares>::add_rank(const Instance& instance) {
  const uint32_t index = static_cast<uint32_t>(ranks_.size());
  Rank& rank = ranks_.emplace_back();
  rank.instance = &instance;
  rank.order = &index_.orders[problem_.plan.role(instance.rank)];
  std::vector<StreamOp>& ops = ops_[{instance.costs, rank.order}];
  if (ops.empty()) {
    ops = rank.order->ops;
    for (StreamOp& op : ops) {
      op.hold = instance.costs[op.cost].hold;
      op.tail = instance.costs[op.cost].tail;
    }
  }
  rank.ops = ops.data();
  rank.first_stream = static_cast<uint32_t>(streams_.size());
  rank.meetings = instance.meetings;
  rank.waits = rank.order->waits.get();
  rank.own_waits = rank.order->own_waits.data();
  for (const StreamOrder::Own& own : rank.order->streams) {
    const auto place = static_cast<uint32_t>(streams_.size());
    StreamHead& stream = streams_.emplace_back();
    stream.task = {nullptr, instance.spans[own.name], place, index};
    stream.name = own.name;
    stream.dense = static_cast<uint8_t>(place - rank.first_stream);
    stream.visit = rank.order->visits.get() + own.first;
    enter(stream);
    stream.unended = stream.ticket;
  }
}

template <bool kShares>
void EventLoop<kShares>::enter(StreamHead& stream) {
  // Every stream reads at another place: too many at once for the processor to look ahead.
  __builtin_prefetch(stream.visit + 8);
  __builtin_prefetch(ranks_[stream.task.rank].waits + stream.visit->first_wait + 16);
  stream.task.op = ranks_[stream.task.rank].ops + stream.visit->first_op;
  stream.ticket = stream.visit->first_ticket + stream.task.op->op;
}

template <bool kShares>
void EventLoop<kShares>::next_head(StreamHead& stream) {
  stream.waits_met = 0;
  if (!stream.task.op->last) {
    ++stream.task.op;
    stream.ticket = stream.visit->first_ticket + stream.task.op->op;
  } else if (stream.visit->next) {
    stream.visit += stream.visit->next;
    enter(stream);
  } else {
    stream.ticket = kNoTicket;
  }
}

template <bool kShares>
void EventLoop<kShares>::try_head(StreamHead& stream) {
  if (stream.ticket == kNoTicket) return;
  Rank& rank = ranks_[stream.task.rank];
  const RankCalls* const calls = calls_of(stream.task.rank);
  if constexpr (kShares) {
    // Already runs, as one with others or, where these were just disturbed, alone.
    if (calls && stream.arrived) return;
    if (calls && calls->replay && calls->part.streams >> stream.dense & 1) return go_on_behind(stream);
  }
  StreamHead* const streams = streams_beside(stream);
  const auto must_wait = [&](uint32_t other, uint32_t ticket) {
    if (streams[other].unended > ticket) return false;
    if constexpr (kShares) {
      if (calls && calls->replay && calls->part.streams >> other & 1 && has_passed(streams[other], ticket))
        return false;
    }
    await(stream, streams[other], ticket);
    return true;
  };
  if (beyond_window(rank, stream.ticket)) {
    for (uint32_t other = 0; other < rank.num_streams(); ++other) {
      if (must_wait(other, stream.ticket - problem_.launch_window)) return;
    }
  }
  const StreamOrder::Visit& visit = *stream.visit;
  const StreamOp& op = *stream.task.op;
  for (; stream.waits_met < op.num_waits; ++stream.waits_met) {
    const auto [before, other] = rank.own_waits[op.first_wait + stream.waits_met];
    if (must_wait(other, visit.first_ticket + before)) return;
  }
  const StreamOrder::Wait* const waits = rank.waits + visit.first_wait;
  for (uint32_t i = stream.waits_met - op.num_waits; i < visit.num_waits; ++i) {
    if (waits[i].op != op.op || !must_wait(waits[i].stream, waits[i].ticket)) continue;
    // Met when it is tried again, unless that is for another reason.
    stream.waits_met = static_cast<uint16_t>(op.num_waits + i + (kShares ? 0 : 1));
    return;
  }
  arrive(stream);
}

/// Whether a task is not issued yet.
template <bool kShares>
bool EventLoop<kShares>::beyond_window(Rank& rank, uint32_t ticket) const {
  if (ticket - rank.oldest < problem_.launch_window) return false;
  const StreamHead* const streams = streams_.data() + rank.first_stream;
  rank.oldest = kNoTicket;
  for (uint32_t i = 0; i < rank.num_streams(); ++i) rank.oldest = std::min(rank.oldest, streams[i].unended);
  return ticket - rank.oldest >= problem_.launch_window;
}

template <bool kShares>
void EventLoop<kShares>::pass_ended(StreamHead& stream, uint32_t ticket) {
  stream.unended = ticket;
  if (stream.wake >= ticket) return;
  stream.wake = kNoTicket;
  StreamHead* const streams = streams_beside(stream);
  uint32_t ready = 0;
  for (uint32_t waiting = stream.blocked; waiting; waiting &= waiting - 1) {
    const uint32_t awaited = streams[std::countr_zero(waiting)].awaited;
    if (awaited < ticket) {
      ready |= waiting & -waiting;
    } else {
      stream.wake = std::min(stream.wake, awaited);
    }
  }
  stream.blocked &= static_cast<uint16_t>(~ready);
  for (; ready; ready &= ready - 1) try_head(streams[std::countr_zero(ready)]);
}

template <bool kShares>
void EventLoop<kShares>::arrive(StreamHead& stream) {
  if constexpr (kShares) {
    if (stream.task.op->opens && calls_of(stream.task.rank) && replay(stream)) return;
    stream.arrived = true;
  }
  if (stream.task.op->grouped) return arrive_group(stream);
  set_up(stream.task);
  if constexpr (kShares) take_sms(stream.task, 1);
  if (stream.task.op->comm == kNoComm) {
    start(stream.task.stream, stream.task);
  } else {
    meet(stream.task.stream, stream.task);
  }
}

template <bool kShares>
void EventLoop<kShares>::arrive_group(StreamHead& stream) {
  const uint32_t first = stream.task.stream * group_;
  Running* const tasks = group_tasks_.data() + first;
  const auto count = static_cast<uint32_t>(body_of(*stream.visit).ops.size());
  groups_[stream.task.stream].left = count;
  for (uint32_t i = 0; i < count; ++i) {
    tasks[i].op = stream.task.op + i;
    tasks[i].span = stream.task.span ? stream.task.span + i : nullptr;
    set_up(tasks[i]);
  }
  if constexpr (kShares) take_sms(tasks[0], 1);
  for (uint32_t i = 0; i < count; ++i) meet(static_cast<uint32_t>(streams_.size()) + first + i, tasks[i]);
}

template <bool kShares>
void EventLoop<kShares>::set_up(const Running& task) {
  if (task.span) {
    const StreamHead& stream = streams_[task.stream];
    *task.span = make_span(*ranks_[task.rank].instance, stream.visit->call, task.op->op, stream.name, now_, now_, now_);
  }
  if (RankCalls* const calls = calls_of(task.rank); calls && calls->records) {
    if (const uint32_t place = place_in(calls->part, task); place != kNone)
      calls->records->ops[place].begin = now_ - calls->since;
  }
}

template <bool kShares>
void EventLoop<kShares>::meet(uint32_t index, const Running& task) {
  const uint32_t place = place_of(task);
  Meeting& meeting = meetings_[place];
  uint32_t* const waiting = waiting_at(meeting);
  waiting[meeting.come++] = index;
  if (meeting.come < meeting.needed) return;
  meeting.come = 0;
  if constexpr (kShares) {
    if (shares_links(place, task)) return start_flow(place);
    if (is_point_to_point(task.op->kernel) && meeting.needed == 2) pair_up(waiting);
  }
  for (uint32_t i = 0; i < meeting.needed; ++i) start(waiting[i], running(waiting[i]));
}

template <bool kShares>
void EventLoop<kShares>::start(uint32_t index, const Running& task) {
  begin_span(task);
  if (!kShares) return schedule_end(task, now_, task.op->hold);
  const bool computes = task.op->comm == kNoComm;
  const Picoseconds work = problem_.shared_cores ? cost_of(task).work : 0;
  if (work == 0) {
    const Picoseconds hold = computes && problem_.jitter.sigma > 0 ? jittered(task) : task.op->hold;
    if (computes && problem_.shared_sms && hold > 0) {
      push_other(sms_.start(now_, task.rank, index, hold), Other::compute_may_end, task.rank);
    } else {
      schedule_end(task, now_, hold);
    }
  } else if (task.op->kernel == Kernel::send && partners_[index] != kNone) {
    return;  // ends with its receiver
  } else {
    cores_.start(now_, index, work, computes ? problem_.cores_per_rank : 1);
  }
}

template <bool kShares>
void EventLoop<kShares>::schedule_end(const Running& task, Picoseconds time, Picoseconds hold) {
  StreamHead& stream = streams_[task.stream];
  Picoseconds free = time + hold;
  const Picoseconds end = free + task.op->tail;
  if (task.span) task.span->end = end;
  ++ended_;
  stream.done = std::max(stream.done, end);
  if (RankCalls* const calls = calls_of(task.rank); calls && calls->records) {
    if (const uint32_t place = place_in(calls->part, task); place != kNone)
      calls->records->ops[place].end = end - calls->since;
  }
  if (task.op->grouped) {
    Group& group = groups_[task.stream];
    free = group.free = std::max(group.free, free);
    if (--group.left) return;
  }
  if (free > now_) {
    events_.push({free, uint64_t{task.stream} << 2 | kFreed});
  } else {
    due_[num_due_++] = task.stream;
  }
}

template <bool kShares>
bool EventLoop<kShares>::next_event() {
  if constexpr (kShares) {
    // Everything of this moment comes before rates are worked out.
    if (!network_.idle() && (events_.empty() || events_.next_time() > now_)) {
      const Picoseconds end = next_flow_end();
      if (events_.empty() ? end != std::numeric_limits<Picoseconds>::max() : end < events_.next_time()) {
        now_ = end;
        const uint32_t flow = network_.finish(static_cast<double>(now_));
        if (flow < flows_.size()) {
          flow_done(flow);
        } else {
          steps_went_on(problem_.steps->end(now_, flow, network_));
        }
        return true;
      }
    }
    if (!cores_.idle() && (events_.empty() || cores_.next_end() < events_.next_time())) {
      now_ = cores_.next_end();
      work_done(cores_.finish());
      return true;
    }
  }
  if (events_.empty()) return false;
  const auto [time, what] = events_.pop();
  now_ = time;
  if ((what & 3) == kFreed) {
    due_[num_due_++] = static_cast<uint32_t>(what >> 2);
  } else if ((what & 3) == kEnded) {
    StreamHead& stream = streams_[what >> 34];
    // Later tasks may have ended at this very moment too.
    if (const auto ticket = static_cast<uint32_t>(what >> 2); ticket > stream.unended) pass_ended(stream, ticket);
  } else if constexpr (kShares) {
    happen_other(static_cast<Other>(what >> 2 & 7), static_cast<uint32_t>(what >> 5));
  }
  return true;
}

template <bool kShares>
void EventLoop<kShares>::happen_other(Other other, uint32_t index) {
  switch (other) {
    case Other::flow_begins:
      return begin_flow(index);
    case Other::flow_may_end:
      if (flows_[index].alone && flows_[index].alone_end == now_) flow_done(index);
      return;
    case Other::compute_may_end:
      if (sms_.ends(now_, index)) schedule_end(running(sms_.finish(index)), now_, 0);
      return;
    case Other::link_changes:
      return link_changes(index);
    case Other::replay_passes:
      return pass_some(index);
    case Other::replay_ends:
      return end_replay(index);
    case Other::step_begins:
      return steps_went_on(problem_.steps->begin(now_, index, network_));
  }
}

template <bool kShares>
void EventLoop<kShares>::free_stream(StreamHead& stream) {
  const uint32_t index = stream.task.stream;
  if constexpr (kShares) {
    take_sms(stream.task, -1);
    if (RankCalls* const calls = calls_of(stream.task.rank); calls && calls->records && is_part(stream, calls->part)) {
      if (--calls->left == 0) write_down_end(*calls);
    }
  }
  if constexpr (kShares) stream.arrived = false;
  if (stream.task.span) stream.task.span += stream.task.op->grouped ? body_of(*stream.visit).ops.size() : 1;
  next_head(stream);
  if (stream.done <= now_) {
    pass_ended(stream, stream.ticket);
  } else {
    events_.push({stream.done, uint64_t{index} << 34 | uint64_t{stream.ticket} << 2 | kEnded});
  }
  try_head(stream);
}

template <bool kShares>
std::vector<Stuck> EventLoop<kShares>::stuck() {
  std::vector<Stuck> result;
  for (Meeting& meeting : meetings_) {
    for (uint32_t i = 0; i < meeting.come; ++i) {
      const Running& task = running(waiting_at(meeting)[i]);
      result.push_back({task_of(task), task.op->comm});
    }
  }
  std::sort(result.begin(), result.end(), [](const Stuck& a, const Stuck& b) { return a.task < b.task; });
  return result;
}

template class EventLoop<true>;

Outcome run_events(const Problem& problem) {
  const bool shares = problem.links || problem.shared_sms || problem.shared_cores || problem.jitter.sigma > 0 ||
                      runs_calls_as_one(problem);
  return shares ? EventLoop<true>(problem).run() : EventLoop<false>(problem).run();
}

}  // namespace pgram::sim
