// Engine 2: a discrete-event loop. Every stream of a rank has its own place in the program; the task at its head is
// issued once it is within the launch window, ready when its stream is free and what it waits for has ended, starts
// when its partners are there, and then runs for its cost or for its share of the cores.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <map>
#include <vector>

#include "sim/contention.h"
#include "sim/core_sharing.h"
#include "sim/deadlock.h"
#include "sim/event_queue.h"
#include "sim/jitter.h"
#include "sim/network/flow_network.h"
#include "sim/problem.h"
#include "sim/running_tasks.h"
#include "sim/sm_sharing.h"

namespace pgram::sim {
namespace {

/// kShares: links, SMs or cores are shared, or there is jitter. Most plans have none of it, and then no task pays for
/// asking.
template <bool kShares>
class EventLoop {
 public:
  explicit EventLoop(const Problem& problem)
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
      steps_.push_back(
          {body.ops.data(), &bodies_[b], static_cast<uint32_t>(body.ops.size()), problem.first_op[b], body.grouped});
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
  }

  Outcome run() {
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

 private:
  void add_rank(const Instance& instance) {
    Rank& rank = ranks_.emplace_back();
    rank.instance = &instance;
    rank.order = &orders_.try_emplace(instance.program, problem_.plan, bodies_, *instance.program).first->second;
    rank.first_stream = static_cast<uint32_t>(streams_.size());
    rank.num_streams = static_cast<uint32_t>(rank.order->streams.size());
    rank.wake.fill(kNoTicket);
    for (const StreamOrder::Own& own : rank.order->streams) {
      StreamHead& stream = streams_.emplace_back();
      stream.rank = static_cast<uint32_t>(ranks_.size() - 1);
      stream.name = own.name;
      stream.visit = rank.order->visits.data() + own.first;
      enter(stream);
      stream.unended = stream.ticket;
      rank.spans[streams_.size() - 1 - rank.first_stream] = instance.spans[own.name];
    }
  }

  // --- streams

  /// The first op of the visit is at the stream's head.
  void enter(StreamHead& stream) {
    const BodyStreams& body = bodies_[stream.visit->body];
    stream.op = body.ops.data() + body.first[stream.name];
    stream.ops_left = static_cast<uint16_t>(body.first[stream.name + 1] - body.first[stream.name]);
    stream.ticket = stream.visit->first_ticket + *stream.op;
  }

  void next_head(StreamHead& stream) {
    if (--stream.ops_left) {
      ++stream.op;
      stream.ticket = stream.visit->first_ticket + *stream.op;
    } else if (stream.visit->next != kNoTicket) {
      stream.visit = ranks_[stream.rank].order->visits.data() + stream.visit->next;
      enter(stream);
    } else {
      stream.ticket = kNoTicket;
    }
  }

  /// The task at the head has the stream: it arrives if it is issued and all that it waits for has ended. Else it is
  /// tried again when what it met first has changed.
  void try_head(uint32_t index) {
    StreamHead& stream = streams_[index];
    if (stream.ticket == kNoTicket) return;
    Rank& rank = ranks_[stream.rank];
    const uint32_t self = index - rank.first_stream;
    const StreamHead* const streams = streams_.data() + rank.first_stream;
    const auto must_wait = [&](uint32_t other, uint32_t ticket) {
      if (streams[other].unended > ticket) return false;
      rank.blocked[other] |= static_cast<uint16_t>(1u << self);
      rank.wake[other] = std::min(rank.wake[other], ticket);
      return true;
    };
    if (stream.ticket - rank.oldest >= problem_.launch_window) {
      uint32_t oldest = kNoTicket;
      for (uint32_t other = 0; other < rank.num_streams; ++other) {
        if (must_wait(other, stream.ticket - problem_.launch_window)) return;
        oldest = std::min(oldest, streams[other].unended);
      }
      rank.oldest = oldest;
    }
    const StreamOrder::Visit& visit = *stream.visit;
    const Steps& steps = steps_[visit.body];
    const uint32_t op_index = *stream.op;
    const Op& op = steps.ops[op_index];
    for (int i = 0; i < op.num_waits; ++i) {
      const auto [before, name] = steps.streams->waits[op.first_wait + i];
      if (must_wait(rank.order->dense[name], visit.first_ticket + before)) return;
    }
    const StreamOrder::Wait* const waits = rank.order->waits.data() + visit.first_wait;
    for (uint32_t i = 0; i < visit.num_waits; ++i) {
      if (waits[i].op == op_index && must_wait(waits[i].stream, waits[i].ticket)) return;
    }
    arrive(index, steps);
  }

  /// The stream's tasks before `ticket` have ended.
  void pass_ended(uint32_t index, uint32_t ticket) {
    StreamHead& stream = streams_[index];
    stream.unended = ticket;
    Rank& rank = ranks_[stream.rank];
    const uint32_t self = index - rank.first_stream;
    if (rank.wake[self] < ticket) {
      rank.wake[self] = kNoTicket;
      for (uint32_t waiting = std::exchange(rank.blocked[self], uint16_t{0}); waiting; waiting &= waiting - 1)
        try_head(rank.first_stream + static_cast<uint32_t>(std::countr_zero(waiting)));
    }
  }

  // --- running

  /// At the head of its stream with all waits done: starts once its partners are there.
  void arrive(uint32_t index, const Steps& steps) {
    if (steps.grouped) return arrive_group(index, steps);
    set_up(running_[index], streams_[index], steps, *streams_[index].op);
    const Running& task = running_[index];
    if (kShares && problem_.shared_sms) {
      if (const TransferCost* transfer = transfer_of(task)) take_sms(task.rank, transfer->sm_share);
    }
    if (task.meeting == kNone) {
      start(index, now_);
    } else {
      meet(index);
    }
  }

  /// The tasks of a group come together, each to its own meeting.
  void arrive_group(uint32_t index, const Steps& steps) {
    const uint32_t first = static_cast<uint32_t>(streams_.size()) + index * group_;
    streams_[index].group_left = static_cast<uint16_t>(steps.count);
    for (uint32_t i = 0; i < steps.count; ++i) set_up(running_[first + i], streams_[index], steps, i);
    if (kShares && problem_.shared_sms) {
      if (const TransferCost* transfer = transfer_of(running_[first]))
        take_sms(streams_[index].rank, transfer->sm_share);
    }
    for (uint32_t i = 0; i < steps.count; ++i) meet(first + i);
  }

  void set_up(Running& task, const StreamHead& stream, const Steps& steps, uint32_t op_index) {
    Rank& rank = ranks_[stream.rank];
    const Op& op = steps.ops[op_index];
    task.arrival = now_;
    task.cost = rank.instance->costs + steps.first_cost + op_index;
    task.call = stream.visit->call;
    task.op = static_cast<uint16_t>(op_index);
    task.kernel = op.kernel;
    task.meeting = op.comm == kNoComm ? kNone : rank.instance->meetings[op.comm];
    task.partner = kNone;
    Span*& span = rank.spans[task.stream - rank.first_stream];
    if (span) task.span = span++;
  }

  void meet(uint32_t index) {
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

  /// Null for compute and where no transfer shares anything.
  const TransferCost* transfer_of(const Running& task) const {
    if (task.meeting == kNone) return nullptr;
    const Instance& instance = *ranks_[task.rank].instance;
    return instance.transfers ? instance.transfers + (task.cost - instance.costs) : nullptr;
  }

  // --- flows

  bool shares_links(const Running& task) const {
    if (!problem_.links) return false;
    const TransferCost& transfer = *transfer_of(task);
    return transfer.limit > 0 && !problem_.links->uses(epoch_, task.meeting, transfer.lane).empty();
  }

  /// Everybody has come. Of a collective the latency passes first, then the bytes move.
  void start_flow(uint32_t place) {
    const Meeting& meeting = meetings_[place];
    Flow& flow = flows_[place];
    const uint32_t* const waiting = waiting_.data() + meeting.first_waiting;
    flow.running.assign(waiting, waiting + meeting.needed);
    for (uint32_t index : flow.running) begin_span(running_[index], meeting.latest);
    const Running& first = running_[flow.running[0]];
    if (is_point_to_point(first.kernel)) {
      begin_flow(place);
    } else if (problem_.steps) {
      start_steps(place);
    } else {
      push_other(now_ + transfer_of(first)->latency, Other::flow_begins, place);
    }
  }

  void begin_flow(uint32_t place) {
    Flow& flow = flows_[place];
    flow.flows = true;
    const Running& first = running_[flow.running[0]];
    const TransferCost& transfer = *transfer_of(first);
    const auto uses = problem_.links->uses(epoch_, place, transfer.lane);
    network_.start(static_cast<double>(now_), place, transfer.bytes, transfer.limit, uses);
    flow.alone_end = now_ + std::llround(transfer.bytes / transfer.limit);
    if (problem_.first_span) contention_.begin(now_, place, task_of(first), uses);
  }

  void flow_done(uint32_t place) {
    Flow& flow = flows_[place];
    flow.flows = false;
    for (uint32_t index : flow.running) schedule_end(index, now_, 0);
    if (problem_.first_span) {
      const auto& losses = contention_.end(now_, place, now_ - flow.alone_end);
      for (uint32_t index : flow.running) hold_back(index, losses);
    }
    flow.running.clear();
  }

  void start_steps(uint32_t place) {
    std::vector<uint32_t>& running = flows_[place].running;
    const Running& first = running_[running[0]];
    const TransferCost& transfer = *transfer_of(first);
    if (problem_.first_span)
      contention_.begin(now_, place, task_of(first), problem_.links->uses(epoch_, place, transfer.lane));
    std::ranges::sort(running, {}, [&](uint32_t index) { return running_[index].rank; });
    steps_went_on(problem_.steps->start(now_, place, transfer, first.cost->hold, running, network_));
  }

  void steps_went_on(const StepRuns::Happened& happened) {
    for (const auto& [message, latency] : happened.waits) push_other(now_ + latency, Other::step_begins, message);
    for (const auto& [index, lost] : happened.ended) {
      if (problem_.first_span) hold_back(index, contention_.so_far(now_, happened.place, lost));
      schedule_end(index, now_, 0);
    }
    if (happened.over && problem_.first_span) contention_.end(now_, happened.place, 0);
  }

  void hold_back(uint32_t index, const std::vector<ContentionLog::Loss>& losses) {
    const uint32_t span = static_cast<uint32_t>(running_[index].span - problem_.first_span);
    for (const auto& [task, lost] : losses) held_back_.push_back({0, span, task.rank, task.call, task.op, {}, lost});
  }

  Task task_of(const Running& task) const { return {ranks_[task.rank].instance->rank, task.call, task.op}; }

  /// A link gets slower, or goes down: then what runs goes on by other ways.
  void link_changes(uint32_t change_index) {
    const SharedLinks::Change& change = problem_.links->changes[change_index];
    const double now = static_cast<double>(now_);
    if (change.begins_epoch) {
      ++epoch_;
      for (uint32_t place = 0; place < flows_.size(); ++place) {
        if (!flows_[place].flows) continue;
        const TransferCost& transfer = *transfer_of(running_[flows_[place].running[0]]);
        network_.reroute(now, place, problem_.links->uses(epoch_, place, transfer.lane));
      }
      if (problem_.steps) problem_.steps->next_epoch(now_, network_);
    }
    if (change.link != kNone) network_.set_capacity(now, change.link, change.capacity);
  }

  /// When the next flow ends, in whole picoseconds: one that is never held back takes what it takes alone.
  Picoseconds next_flow_end() {
    constexpr double kNever = 9e18;
    const double end = network_.next_end();
    if (end > kNever) return std::numeric_limits<Picoseconds>::max();
    return std::max<Picoseconds>(now_, std::llround(end));
  }

  // --- SMs

  void take_sms(uint32_t rank, double share) {
    if (share == 0) return;
    const Picoseconds end = sms_.take(now_, rank, share);
    if (end >= 0) push_other(end, Other::compute_may_end, rank);
  }

  // --- tasks

  /// One copy serves both ends: on shared cores the receiver's thread makes it, and the sender's end goes with it.
  void pair_up(const uint32_t* waiting) {
    if (!problem_.shared_cores) return;
    const bool first_receives = running_[waiting[0]].kernel == Kernel::recv;
    const uint32_t receiver = waiting[first_receives ? 0 : 1];
    const uint32_t sender = waiting[first_receives ? 1 : 0];
    running_[receiver].partner = sender;
    running_[sender].partner = receiver;
  }

  void begin_span(const Running& task, Picoseconds time) const {
    if (!task.span) return;
    const Rank& rank = ranks_[task.rank];
    *task.span = make_span(*rank.instance, task.call, task.op, streams_[task.stream].name, task.arrival, time, time);
  }

  void start(uint32_t index, Picoseconds time) {
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

  Picoseconds jittered(const Running& task) const {
    return std::llround(static_cast<double>(task.cost->hold) * jitter_factor(problem_.jitter, task_of(task)));
  }

  void schedule_end(uint32_t index, Picoseconds time, Picoseconds hold) {
    const Running& task = running_[index];
    StreamHead& stream = streams_[task.stream];
    Picoseconds free = time + hold;
    const Picoseconds end = free + task.cost->tail;
    if (task.span) task.span->end = end;
    ++ended_;
    stream.done = problem_.ends_in_order ? end : std::max(stream.done, end);
    if (task.grouped) {
      free = stream.group_free = std::max(stream.group_free, free);
      if (--stream.group_left) return;
    }
    push(free, uint64_t{task.stream} << 2 | kFreed);
  }

  void push(Picoseconds time, uint64_t what) {
    if (time > now_) {
      events_.push({time, what});
    } else {
      due_.push_back(what);
    }
  }

  void push_other(Picoseconds time, Other other, uint32_t index) {
    events_.push({time, uint64_t{index} << 4 | static_cast<uint64_t>(other) << 2 | kOther});
  }

  bool next_event() {
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
        const uint32_t flow = network_.finish();
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

  void happen(uint64_t what) {
    if ((what & 3) == kFreed) {
      free_stream(static_cast<uint32_t>(what >> 2));
    } else if ((what & 3) == kEnded) {
      pass_ended(static_cast<uint32_t>(what >> 34), static_cast<uint32_t>(what >> 2));
    } else if (kShares) {
      happen_other(static_cast<Other>(what >> 2 & 3), static_cast<uint32_t>(what >> 4));
    }
  }

  void happen_other(Other other, uint32_t index) {
    switch (other) {
      case Other::flow_begins:
        return begin_flow(index);
      case Other::compute_may_end:
        if (sms_.ends(now_, index)) schedule_end(sms_.finish(index), now_, 0);
        return;
      case Other::link_changes:
        return link_changes(index);
      case Other::step_begins:
        return steps_went_on(problem_.steps->begin(now_, index, network_));
    }
  }

  /// What held a core is done; the rest of the time on the stream (a collective's latency) needs none.
  void work_done(uint32_t index) {
    const Running& task = running_[index];
    const uint32_t partner = task.partner;
    schedule_end(index, now_, task.cost->hold - task.cost->work);
    if (partner != kNone) schedule_end(partner, now_, running_[partner].cost->hold - running_[partner].cost->work);
  }

  void free_stream(uint32_t index) {
    StreamHead& stream = streams_[index];
    if (kShares && problem_.shared_sms) {
      const bool grouped = steps_[stream.visit->body].grouped;
      const Running& task = running_[grouped ? streams_.size() + index * group_ : index];
      if (const TransferCost* transfer = transfer_of(task)) take_sms(task.rank, -transfer->sm_share);
    }
    last_end_ = std::max(last_end_, stream.done);
    next_head(stream);
    if (stream.done <= now_) {
      pass_ended(index, stream.ticket);
    } else {
      events_.push({stream.done, uint64_t{index} << 34 | uint64_t{stream.ticket} << 2 | kEnded});
    }
    try_head(index);
  }

  std::vector<Stuck> stuck() const {
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

  const Problem& problem_;
  std::vector<BodyStreams> bodies_;
  std::vector<Steps> steps_;  // per body
  std::map<const Program*, StreamOrder> orders_;
  std::vector<Rank> ranks_;
  std::vector<StreamHead> streams_;  // every rank's
  std::vector<Running> running_;     // of each stream; then, if there are groups, `group_` more of each
  uint32_t group_ = 0;
  std::vector<Meeting> meetings_;
  std::vector<uint32_t> waiting_;  // in meetings
  std::vector<Flow> flows_;        // by meeting place
  CoreSharing cores_;
  FlowNetwork network_;  // a flow has the number of its meeting place
  ContentionLog contention_;
  std::vector<Contention> held_back_;
  uint32_t epoch_ = 0;
  SmSharing sms_;
  EventQueue events_;
  std::vector<uint64_t> due_;  // what happens at this very moment
  uint64_t ended_ = 0;
  Picoseconds now_ = 0, last_end_ = 0;
};

}  // namespace

Outcome run_events(const Problem& problem) {
  const bool shares = problem.links || problem.shared_sms || problem.shared_cores || problem.jitter.sigma > 0;
  return shares ? EventLoop<true>(problem).run() : EventLoop<false>(problem).run();
}

}  // namespace pgram::sim
