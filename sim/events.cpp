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
  return std::ranges::any_of(problem.plan.bodies, [](const Body& b) { return b.ops.size() >= kFewestReplayed; });
}

template <bool kShares>
EventLoop<kShares>::EventLoop(const Problem& problem)
    : problem_(problem),
      bodies_(streams_of_bodies(problem.plan)),
      flows_(problem.links ? problem.meeting_size.size() : 0),
      cores_(problem.shared_cores),
      network_(problem.links ? problem.links->capacities : std::vector<double>(),
               problem.steps ? StepRuns::kSameDate : 0),
      contention_(problem.links && problem.first_span ? flows_.size() : 0,
                  problem.links ? problem.links->capacities.size() : 0),
      sms_(problem.shared_sms ? problem.instances.size() : 0) {
  for (size_t b = 0; b < problem.plan.bodies.size(); ++b) {
    const Body& body = problem.plan.bodies[b];
    const auto count = static_cast<uint32_t>(body.ops.size());
    const auto compute = std::ranges::find(body.ops, Stream::compute, &Op::stream);
    steps_.push_back({body.ops.data(), &bodies_[b], count, problem.first_op[b], body.grouped,
                      static_cast<uint16_t>(compute - body.ops.begin())});
  }
  uint32_t waiting = 0;
  for (uint32_t size : problem.meeting_size) {
    meetings_.push_back({0, size, 0, waiting});
    waiting += size;
  }
  waiting_.resize(waiting);
  ranks_.reserve(problem.instances.size());
  for (const Instance& instance : problem.instances) add_rank(instance);
  const uint32_t group = largest_group(problem.plan);
  running_.resize(streams_.size() * (1 + group));
  for (size_t i = 0; i < running_.size(); ++i) {
    Running& task = running_[i];
    task.stream = static_cast<uint32_t>(i < streams_.size() ? i : (i - streams_.size()) / group);
    task.rank = streams_[task.stream].rank;
    task.grouped = i >= streams_.size();
  }
  group_ = group;
  if (kShares && runs_calls_as_one(problem)) {
    calls_.resize(ranks_.size());
    for (RankCalls& calls : calls_) calls.bodies.resize(bodies_.size());
    if (problem.links) links_.resize(problem.links->capacities.size());
  }
}

template <bool kShares>
Outcome EventLoop<kShares>::run() {
  for (uint32_t i = 0; problem_.links && i < problem_.links->changes.size(); ++i)
    push_other(problem_.links->changes[i].time, Other::link_changes, i);
  for (uint32_t stream = 0; stream < streams_.size(); ++stream) try_head(stream);
  while (next_event()) continue;
  Outcome outcome;
  outcome.makespan = last_end_;
  outcome.tasks = ended_;
  std::ranges::stable_sort(held_back_, {}, &Contention::span);
  outcome.contention = std::move(held_back_);
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
  Rank& rank = ranks_.emplace_back();
  rank.instance = &instance;
  rank.order = &orders_.try_emplace(instance.program, problem_.plan, bodies_, *instance.program).first->second;
  rank.first_stream = static_cast<uint32_t>(streams_.size());
  rank.num_streams = static_cast<uint32_t>(rank.order->streams.size());
  rank.costs = instance.costs;
  rank.meetings = instance.meetings;
  rank.visits = rank.order->visits.get();
  rank.waits = rank.order->waits.get();
  for (const StreamOrder::Own& own : rank.order->streams) {
    StreamHead& stream = streams_.emplace_back();
    stream.rank = static_cast<uint32_t>(ranks_.size() - 1);
    stream.name = own.name;
    stream.visit = rank.visits + own.first;
    enter(stream);
    stream.unended = stream.ticket;
    rank.spans[streams_.size() - 1 - rank.first_stream] = instance.spans[own.name];
  }
}

template <bool kShares>
void EventLoop<kShares>::enter(StreamHead& stream) {
  const BodyStreams& body = bodies_[stream.visit->body];
  stream.op = body.ops.data() + body.first[stream.name];
  stream.ops_left = static_cast<uint16_t>(body.first[stream.name + 1] - body.first[stream.name]);
  stream.ticket = stream.visit->first_ticket + *stream.op;
}

template <bool kShares>
void EventLoop<kShares>::next_head(StreamHead& stream) {
  if (--stream.ops_left) {
    ++stream.op;
    stream.ticket = stream.visit->first_ticket + *stream.op;
  } else if (stream.visit->next != kNoTicket) {
    stream.visit = ranks_[stream.rank].visits + stream.visit->next;
    enter(stream);
  } else {
    stream.ticket = kNoTicket;
  }
}

template <bool kShares>
void EventLoop<kShares>::try_head(uint32_t index) {
  StreamHead& stream = streams_[index];
  if (stream.ticket == kNoTicket) return;
  Rank& rank = ranks_[stream.rank];
  const uint32_t self = index - rank.first_stream;
  const RankCalls* const calls = !kShares || calls_.empty() ? nullptr : &calls_[stream.rank];
  // Already runs, as one with others or, where these were just disturbed, alone.
  if (calls && (stream.arrived || (calls->replay && calls->part.streams >> self & 1))) return;
  StreamHead* const streams = streams_.data() + rank.first_stream;
  const auto must_wait = [&](uint32_t other, uint32_t ticket) {
    if (streams[other].unended > ticket) return false;
    while (calls && calls->replay && calls->part.streams >> other & 1) {
      const uint32_t place = calls->part.place(ticket);
      const Picoseconds end = calls->replay->end;
      const Picoseconds time = place == kNone ? end : passed(calls->part, *calls->replay, streams[other].name, place);
      if (calls->since + time > now_) {
        if (time != end) push_other(calls->since + time, Other::replay_passes, stream.rank);
        break;
      }
      pass_some(stream.rank);
      if (streams[other].unended > ticket) return false;
    }
    stream.awaited = ticket;
    streams[other].blocked |= static_cast<uint16_t>(1u << self);
    streams[other].wake = std::min(streams[other].wake, ticket);
    return true;
  };
  if (beyond_window(rank, stream.ticket)) {
    for (uint32_t other = 0; other < rank.num_streams; ++other) {
      if (must_wait(other, stream.ticket - problem_.launch_window)) return;
    }
  }
  const StreamOrder::Visit& visit = *stream.visit;
  const Steps& steps = steps_[visit.body];
  const uint32_t op_index = *stream.op;
  const Op& op = steps.ops[op_index];
  for (int i = 0; i < op.num_waits; ++i) {
    const auto [before, name] = steps.streams->waits[op.first_wait + i];
    if (must_wait(rank.order->dense[name], visit.first_ticket + before)) return;
  }
  const StreamOrder::Wait* const waits = rank.waits + visit.first_wait;
  for (uint32_t i = 0; i < visit.num_waits; ++i) {
    if (waits[i].op == op_index && must_wait(waits[i].stream, waits[i].ticket)) return;
  }
  arrive(index, steps);
}

/// Whether a task is not issued yet.
template <bool kShares>
bool EventLoop<kShares>::beyond_window(Rank& rank, uint32_t ticket) const {
  if (ticket - rank.oldest < problem_.launch_window) return false;
  const StreamHead* const streams = streams_.data() + rank.first_stream;
  rank.oldest = kNoTicket;
  for (uint32_t i = 0; i < rank.num_streams; ++i) rank.oldest = std::min(rank.oldest, streams[i].unended);
  return ticket - rank.oldest >= problem_.launch_window;
}

template <bool kShares>
void EventLoop<kShares>::pass_ended(uint32_t index, uint32_t ticket) {
  StreamHead& stream = streams_[index];
  stream.unended = ticket;
  if (stream.wake >= ticket) return;
  stream.wake = kNoTicket;
  const uint32_t first = ranks_[stream.rank].first_stream;
  for (uint32_t waiting = std::exchange(stream.blocked, uint16_t{0}); waiting; waiting &= waiting - 1)
    try_head(first + static_cast<uint32_t>(std::countr_zero(waiting)));
}

template <bool kShares>
void EventLoop<kShares>::arrive(uint32_t index, const Steps& steps) {
  if (kShares && !calls_.empty() && *streams_[index].op == steps.first_compute && steps.count > 1 && replay(index))
    return;
  streams_[index].arrived = true;
  if (steps.grouped) return arrive_group(index, steps);
  set_up(running_[index], streams_[index], steps, *streams_[index].op);
  const Running& task = running_[index];
  if (kShares && problem_.shared_sms) {
    if (const TransferCost* transfer = transfer_of(task)) take_sms(task, transfer->sm_share);
  }
  if (task.meeting == kNone) {
    start(index, now_);
  } else {
    meet(index);
  }
}

template <bool kShares>
void EventLoop<kShares>::arrive_group(uint32_t index, const Steps& steps) {
  const uint32_t first = static_cast<uint32_t>(streams_.size()) + index * group_;
  streams_[index].group_left = static_cast<uint16_t>(steps.count);
  for (uint32_t i = 0; i < steps.count; ++i) set_up(running_[first + i], streams_[index], steps, i);
  if (kShares && problem_.shared_sms) {
    if (const TransferCost* transfer = transfer_of(running_[first])) take_sms(running_[first], transfer->sm_share);
  }
  for (uint32_t i = 0; i < steps.count; ++i) meet(first + i);
}

template <bool kShares>
void EventLoop<kShares>::set_up(Running& task, const StreamHead& stream, const Steps& steps, uint32_t op_index) {
  Rank& rank = ranks_[stream.rank];
  const Op& op = steps.ops[op_index];
  task.arrival = now_;
  task.cost = rank.costs + steps.first_cost + op_index;
  task.call = stream.visit->call;
  task.op = static_cast<uint16_t>(op_index);
  task.kernel = op.kernel;
  task.meeting = op.comm == kNoComm ? kNone : rank.meetings[op.comm];
  task.partner = kNone;
  Span*& span = rank.spans[task.stream - rank.first_stream];
  if (span) task.span = span++;
  if (kShares && !calls_.empty() && calls_[stream.rank].records) {
    RankCalls& calls = calls_[stream.rank];
    if (const uint32_t place = calls.part.place(task.call, task.op); place != kNone)
      calls.times.ops[place].begin = now_ - calls.since;
  }
}

template <bool kShares>
void EventLoop<kShares>::meet(uint32_t index) {
  const Running& task = running_[index];
  Meeting& meeting = meetings_[task.meeting];
  meeting.latest = meeting.come == 0 ? task.arrival : std::max(meeting.latest, task.arrival);
  uint32_t* const waiting = waiting_.data() + meeting.first_waiting;
  waiting[meeting.come++] = index;
  if (meeting.come < meeting.needed) return;
  meeting.come = 0;
  if (kShares && shares_links(task)) return start_flow(task.meeting);
  if (kShares && is_point_to_point(task.kernel) && meeting.needed == 2) pair_up(waiting);
  for (uint32_t i = 0; i < meeting.needed; ++i) start(waiting[i], meeting.latest);
}

template <bool kShares>
void EventLoop<kShares>::take_sms(const Running& task, double share) {
  if (share == 0) return;
  const uint32_t rank = task.rank;
  RankCalls* const calls = !kShares || calls_.empty() ? nullptr : &calls_[rank];
  while (calls && calls->replay) disturb(rank);  // what follows may run as one too
  if (calls && calls->records && calls->part.place(task.call, task.op) == kNone) calls->records = false;
  const Picoseconds end = sms_.take(now_, rank, share);
  if (end < 0) return;
  push_other(end, Other::compute_may_end, rank);
  if (calls && calls->records)
    calls->times.slowed.push_back({running_[sms_.task(rank)].op, now_ - calls->since, sms_.left(rank)});
}

template <bool kShares>
void EventLoop<kShares>::pair_up(const uint32_t* waiting) {
  if (!problem_.shared_cores) return;
  const bool first_receives = running_[waiting[0]].kernel == Kernel::recv;
  const uint32_t receiver = waiting[first_receives ? 0 : 1];
  const uint32_t sender = waiting[first_receives ? 1 : 0];
  running_[receiver].partner = sender;
  running_[sender].partner = receiver;
}

template <bool kShares>
void EventLoop<kShares>::start(uint32_t index, Picoseconds time) {
  const Running& task = running_[index];
  begin_span(task, time);
  if (!kShares) return schedule_end(index, time, task.cost->hold);
  if (!problem_.shared_cores || task.cost->work == 0) {
    const bool computes = task.meeting == kNone;
    const Picoseconds hold = computes && problem_.jitter.sigma > 0 ? jittered(task) : task.cost->hold;
    if (computes && problem_.shared_sms && hold > 0) {
      push_other(sms_.start(time, task.rank, index, hold), Other::compute_may_end, task.rank);
    } else {
      schedule_end(index, time, hold);
    }
  } else if (task.kernel == Kernel::send && task.partner != kNone) {
    return;  // ends with its receiver
  } else {
    const bool computes = !is_communication(task.kernel);
    cores_.start(time, index, task.cost->work, computes ? problem_.cores_per_rank : 1);
  }
}

template <bool kShares>
void EventLoop<kShares>::schedule_end(uint32_t index, Picoseconds time, Picoseconds hold) {
  const Running& task = running_[index];
  StreamHead& stream = streams_[task.stream];
  Picoseconds free = time + hold;
  const Picoseconds end = free + task.cost->tail;
  if (task.span) task.span->end = end;
  ++ended_;
  stream.done = problem_.ends_in_order ? end : std::max(stream.done, end);
  if (kShares && !calls_.empty() && calls_[task.rank].records) {
    RankCalls& calls = calls_[task.rank];
    const uint32_t place = calls.part.place(task.call, task.op);
    if (place != kNone) calls.times.ops[place].end = end - calls.since;
  }
  if (task.grouped) {
    free = stream.group_free = std::max(stream.group_free, free);
    if (--stream.group_left) return;
  }
  push(free, uint64_t{task.stream} << 2 | kFreed);
}

template <bool kShares>
bool EventLoop<kShares>::next_event() {
  if (!due_.empty()) {
    const uint64_t what = due_.back();
    due_.pop_back();
    happen(what);
    return true;
  }
  // Everything of this moment comes before rates are worked out.
  if (kShares && !network_.idle() && (events_.empty() || events_.next().time > now_)) {
    const Picoseconds end = next_flow_end();
    if (events_.empty() ? end != std::numeric_limits<Picoseconds>::max() : end < events_.next().time) {
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
  if (kShares && !cores_.idle() && (events_.empty() || cores_.next_end() < events_.next().time)) {
    now_ = cores_.next_end();
    work_done(cores_.finish());
    return true;
  }
  if (events_.empty()) return false;
  const Event event = events_.pop();
  now_ = event.time;
  happen(event.what);
  return true;
}

template <bool kShares>
void EventLoop<kShares>::happen(uint64_t what) {
  if ((what & 3) == kFreed) {
    free_stream(static_cast<uint32_t>(what >> 2));
  } else if ((what & 3) == kEnded) {
    pass_ended(static_cast<uint32_t>(what >> 34), static_cast<uint32_t>(what >> 2));
  } else {
    happen_other(static_cast<Other>(what >> 2 & 7), static_cast<uint32_t>(what >> 5));
  }
}

template <bool kShares>
void EventLoop<kShares>::happen_other(Other other, uint32_t index) {
  switch (other) {
    case Other::flow_begins:
      return begin_flow(index);
    case Other::compute_may_end:
      if (sms_.ends(now_, index)) schedule_end(sms_.finish(index), now_, 0);
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
void EventLoop<kShares>::work_done(uint32_t index) {
  const Running& task = running_[index];
  const uint32_t partner = task.partner;
  schedule_end(index, now_, task.cost->hold - task.cost->work);
  if (partner != kNone) schedule_end(partner, now_, running_[partner].cost->hold - running_[partner].cost->work);
}

template <bool kShares>
void EventLoop<kShares>::free_stream(uint32_t index) {
  StreamHead& stream = streams_[index];
  if (kShares && problem_.shared_sms) {
    const bool grouped = steps_[stream.visit->body].grouped;
    const Running& task = running_[grouped ? streams_.size() + index * group_ : index];
    if (const TransferCost* transfer = transfer_of(task)) take_sms(task, -transfer->sm_share);
  }
  last_end_ = std::max(last_end_, stream.done);
  stream.arrived = false;
  if (kShares && !calls_.empty() && calls_[stream.rank].records && is_part(stream, calls_[stream.rank].part)) {
    if (--calls_[stream.rank].left == 0) write_down_end(calls_[stream.rank]);
  }
  next_head(stream);
  if (stream.done <= now_) {
    pass_ended(index, stream.ticket);
  } else {
    events_.push({stream.done, uint64_t{index} << 34 | uint64_t{stream.ticket} << 2 | kEnded});
  }
  try_head(index);
}

template <bool kShares>
std::vector<Stuck> EventLoop<kShares>::stuck() const {
  std::vector<Stuck> result;
  for (const Meeting& meeting : meetings_) {
    for (uint32_t i = 0; i < meeting.come; ++i) {
      const Running& task = running_[waiting_[meeting.first_waiting + i]];
      const Instance& instance = *ranks_[task.rank].instance;
      const Call& call = instance.program->calls[task.call];
      result.push_back({{instance.rank, task.call, task.op}, problem_.plan.bodies[call.body].ops[task.op].comm});
    }
  }
  std::sort(result.begin(), result.end(), [](const Stuck& a, const Stuck& b) { return a.task < b.task; });
  return result;
}

template class EventLoop<false>;
template class EventLoop<true>;

Outcome run_events(const Problem& problem) {
  const bool shares = problem.links || problem.shared_sms || problem.shared_cores || problem.jitter.sigma > 0 ||
                      runs_calls_as_one(problem);
  return shares ? EventLoop<true>(problem).run() : EventLoop<false>(problem).run();
}

}  // namespace pgram::sim
