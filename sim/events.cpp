// Engine 2: a discrete-event loop. Ranks issue their tasks in program order into a launch window; a task is ready when
// its stream is free and what it waits for has ended, starts when its partners are there, and then runs for its cost or
// for its share of the cores.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "sim/contention.h"
#include "sim/core_sharing.h"
#include "sim/deadlock.h"
#include "sim/event_queue.h"
#include "sim/issued_tasks.h"
#include "sim/jitter.h"
#include "sim/network/flow_network.h"
#include "sim/problem.h"
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
        flows_(problem.links ? problem.meeting_size.size() : 0),
        cores_(problem.shared_cores),
        network_(problem.links ? problem.links->capacities : std::vector<double>(),
                 problem.steps ? StepRuns::kSameDate : 0),
        contention_(problem.links && problem.first_span ? flows_.size() : 0,
                    problem.links ? problem.links->capacities.size() : 0),
        sms_(problem.shared_sms ? problem.instances.size() : 0) {
    for (size_t b = 0; b < problem.plan.bodies.size(); ++b) {
      const Body& body = problem.plan.bodies[b];
      steps_.push_back({body.ops.data(), body.waits.data(), static_cast<uint32_t>(body.ops.size()), problem.first_op[b],
                        body.grouped});
    }
    uint32_t waiting = 0;
    for (uint32_t size : problem.meeting_size) {
      meetings_.push_back({0, size, 0, waiting});
      waiting += size;
    }
    waiting_.resize(waiting);
    uint32_t nodes = 0;
    const uint32_t at_once = most_issued_at_once(problem.plan);
    for (const Instance& instance : problem.instances) {
      Rank& rank = ranks_.emplace_back();
      rank.instance = &instance;
      rank.first_node = nodes;
      rank.window = window_of(problem.plan, *instance.program, problem.launch_window);
      rank.ring_mask = std::bit_ceil(rank.window + at_once - 1) - 1;
      nodes += rank.ring_mask + 1;
      rank.events.resize(instance.program->num_events);
      std::copy(std::begin(instance.spans), std::end(instance.spans), rank.spans.begin());
    }
    nodes_.resize(nodes);
  }

  Outcome run() {
    for (uint32_t i = 0; problem_.links && i < problem_.links->changes.size(); ++i)
      push_other(problem_.links->changes[i].time, Other::link_changes, i);
    for (uint32_t r = 0; r < ranks_.size(); ++r) issue(r);
    while (next_event()) continue;
    Outcome outcome;
    outcome.makespan = last_end_;
    outcome.tasks = ended_;
    std::ranges::stable_sort(held_back_, {}, &Contention::span);
    outcome.contention = std::move(held_back_);
    const bool finished = std::all_of(ranks_.begin(), ranks_.end(), [&](const Rank& rank) {
      return rank.call == rank.instance->program->calls.size() && rank.oldest == rank.next;
    });
    if (!finished && !network_.idle()) {
      outcome.error = "links that are down or have no bandwidth hold up transfers for ever";
    } else if (!finished) {
      outcome.error = deadlock_text(problem_, stuck());
    }
    return outcome;
  }

 private:
  // --- issuing

  void issue(uint32_t r) {
    Rank& rank = ranks_[r];
    const Program& program = *rank.instance->program;
    const Call* const calls = program.calls.data();
    const uint32_t num_calls = static_cast<uint32_t>(program.calls.size());
    for (; rank.call < num_calls; ++rank.call, rank.op = 0) {
      const Call& call = calls[rank.call];
      const Steps& steps = steps_[call.body];
      const Sync* const syncs = program.syncs.data() + call.first_sync;
      const Sync* const syncs_end = syncs + call.num_syncs;
      if (rank.op == 0) {
        rank.sync = syncs;
        rank.call_ticket = rank.next;
        // Programs are read in turns, a call of each: too many places at once for the processor to look ahead.
        __builtin_prefetch(&call + 6);
        __builtin_prefetch(syncs_end + 16);
      }
      for (; rank.op < steps.count; ++rank.op) {
        pass_ended(rank);
        if (rank.next - rank.oldest >= rank.window) return;
        issue_task(r, steps, syncs_end);
      }
    }
    pass_ended(rank);
  }

  void pass_ended(Rank& rank) {
    while (rank.oldest < rank.next && node(rank, rank.oldest).happened & kEnded) ++rank.oldest;
  }

  /// With a grouped body all its tasks at once, whatever the window: the first one's waits are the group's, as are the
  /// last one's records.
  void issue_task(uint32_t r, const Steps& steps, const Sync* syncs_end) {
    Rank& rank = ranks_[r];
    const Op& op = steps.ops[rank.op];
    Reference& last = rank.last[static_cast<size_t>(op.stream)];
    const Reference self = add_node(r, op, steps);
    Node& node = nodes_[self.node];
    node.pending = 1;  // until all are counted
    if (const Reference before = last; is_current(before) && !(nodes_[before.node].happened & kFreed)) {
      nodes_[before.node].successor = self.node;
      ++node.pending;
    }
    for (int i = 0; i < op.num_waits; ++i) {
      const uint32_t ticket = rank.call_ticket + steps.waits[op.first_wait + i];
      wait_for_end({place(rank, ticket), ticket}, node, self.node);
    }
    const Sync* sync = rank.sync;
    for (; sync < syncs_end && sync->op == rank.op && !sync->records(); ++sync) {
      wait_for_end(rank.events[sync->slot()], node, self.node);
    }
    if (steps.grouped) add_others(r, steps);
    for (; sync < syncs_end && sync->op == rank.op; ++sync) rank.events[sync->slot()] = self;
    rank.sync = sync;
    last = self;
    if (--node.pending == 0) arrive(self.node);
  }

  /// The rest of a group; afterwards its last op is the rank's.
  void add_others(uint32_t r, const Steps& steps) {
    Rank& rank = ranks_[r];
    nodes_[place(rank, rank.call_ticket)].grouped = true;
    while (rank.op + 1 < steps.count) {
      ++rank.op;
      nodes_[add_node(r, steps.ops[rank.op], steps).node].grouped = true;
    }
  }

  Reference add_node(uint32_t r, const Op& op, const Steps& steps) {
    Rank& rank = ranks_[r];
    const Reference self{place(rank, rank.next), rank.next};
    const size_t stream = static_cast<size_t>(op.stream);
    Node& node = nodes_[self.node];
    node = Node();
    node.ticket = self.ticket;
    node.arrival = now_;
    node.cost = rank.instance->costs + steps.first_cost + rank.op;
    node.rank = r;
    node.call = rank.call;
    node.op = static_cast<uint16_t>(rank.op);
    node.stream = static_cast<uint8_t>(stream);
    node.kernel = op.kernel;
    if (op.comm != kNoComm) node.meeting = rank.instance->meetings[op.comm];
    if (rank.spans[stream]) node.span = rank.spans[stream]++;
    ++rank.next;
    return self;
  }

  static uint32_t place(const Rank& rank, uint32_t ticket) { return rank.first_node + (ticket & rank.ring_mask); }
  const Node& node(const Rank& rank, uint32_t ticket) const { return nodes_[place(rank, ticket)]; }

  /// False once the place has been given to a later task: then the one referred to has ended long ago.
  bool is_current(Reference reference) const {
    return reference.node != kNone && nodes_[reference.node].ticket == reference.ticket;
  }

  void wait_for_end(Reference reference, Node& waiter, uint32_t waiter_index) {
    if (!is_current(reference)) return;
    Node& awaited = nodes_[reference.node];
    if (awaited.happened & kEnded) return;
    ++waiter.pending;
    if (awaited.waiter == kNone) {
      awaited.waiter = waiter_index;
    } else {
      add_edge(awaited.more_waiters, waiter_index);
    }
  }

  void add_edge(uint32_t& list, uint32_t waiter) {
    uint32_t edge = unused_edges_;
    if (edge == kNone) {
      edge = static_cast<uint32_t>(edges_.size());
      edges_.emplace_back();
    } else {
      unused_edges_ = edges_[edge].next;
    }
    edges_[edge] = {waiter, list};
    list = edge;
  }

  // --- running

  /// At the head of its stream with all waits done: starts once its partners are there.
  void arrive(uint32_t index) {
    const Node& node = nodes_[index];
    if (kShares && problem_.shared_sms) {
      if (const TransferCost* transfer = transfer_of(node)) take_sms(node.rank, transfer->sm_share);
    }
    if (node.meeting == kNone) {
      start(index, node.arrival);
    } else if (node.grouped) {
      arrive_group(index);
    } else {
      meet(index);
    }
  }

  void meet(uint32_t index) {
    const Node& node = nodes_[index];
    Meeting& meeting = meetings_[node.meeting];
    meeting.latest = meeting.come == 0 ? node.arrival : std::max(meeting.latest, node.arrival);
    uint32_t* const waiting = waiting_.data() + meeting.first_waiting;
    waiting[meeting.come++] = index;
    if (meeting.come < meeting.needed) return;
    meeting.come = 0;
    if (kShares && shares_links(node)) return start_flow(node.meeting);
    if (kShares && is_point_to_point(node.kernel) && meeting.needed == 2) pair_up(waiting);
    for (uint32_t i = 0; i < meeting.needed; ++i) start(waiting[i], meeting.latest);
  }

  /// Null for compute and where no transfer shares anything.
  const TransferCost* transfer_of(const Node& node) const {
    if (node.meeting == kNone) return nullptr;
    const Instance& instance = *ranks_[node.rank].instance;
    return instance.transfers ? instance.transfers + (node.cost - instance.costs) : nullptr;
  }

  // --- flows

  bool shares_links(const Node& node) const {
    if (!problem_.links) return false;
    const TransferCost& transfer = *transfer_of(node);
    return transfer.limit > 0 && !problem_.links->uses(epoch_, node.meeting, transfer.lane).empty();
  }

  /// Everybody has come. Of a collective the latency passes first, then the bytes move.
  void start_flow(uint32_t place) {
    const Meeting& meeting = meetings_[place];
    Flow& flow = flows_[place];
    const uint32_t* const waiting = waiting_.data() + meeting.first_waiting;
    flow.running.assign(waiting, waiting + meeting.needed);
    for (uint32_t index : flow.running) begin_span(nodes_[index], meeting.latest);
    const Node& first = nodes_[flow.running[0]];
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
    const Node& first = nodes_[flow.running[0]];
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
    const Node& first = nodes_[running[0]];
    const TransferCost& transfer = *transfer_of(first);
    if (problem_.first_span)
      contention_.begin(now_, place, task_of(first), problem_.links->uses(epoch_, place, transfer.lane));
    std::ranges::sort(running, {}, [&](uint32_t index) { return nodes_[index].rank; });
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
    const uint32_t span = static_cast<uint32_t>(nodes_[index].span - problem_.first_span);
    for (const auto& [task, lost] : losses) held_back_.push_back({0, span, task.rank, task.call, task.op, {}, lost});
  }

  Task task_of(const Node& node) const { return {ranks_[node.rank].instance->rank, node.call, node.op}; }

  /// A link gets slower, or goes down: then what runs goes on by other ways.
  void link_changes(uint32_t change_index) {
    const SharedLinks::Change& change = problem_.links->changes[change_index];
    const double now = static_cast<double>(now_);
    if (change.begins_epoch) {
      ++epoch_;
      for (uint32_t place = 0; place < flows_.size(); ++place) {
        if (!flows_[place].flows) continue;
        const TransferCost& transfer = *transfer_of(nodes_[flows_[place].running[0]]);
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

  /// The tasks of a group come together, each to its own meeting.
  void arrive_group(uint32_t first) {
    const Node& node = nodes_[first];
    const Rank& rank = ranks_[node.rank];
    const Call& call = rank.instance->program->calls[node.call];
    const uint32_t tasks = steps_[call.body].count, ticket = node.ticket;
    const Picoseconds arrival = node.arrival;
    nodes_[first].pending = static_cast<uint16_t>(tasks);
    for (uint32_t i = 0; i < tasks; ++i) {
      const uint32_t member = place(rank, ticket + i);
      nodes_[member].arrival = arrival;
      meet(member);
    }
  }

  /// One copy serves both ends: on shared cores the receiver's thread makes it, and the sender's end goes with it.
  void pair_up(const uint32_t* waiting) {
    if (!problem_.shared_cores) return;
    const bool first_receives = nodes_[waiting[0]].kernel == Kernel::recv;
    const uint32_t receiver = waiting[first_receives ? 0 : 1];
    const uint32_t sender = waiting[first_receives ? 1 : 0];
    nodes_[receiver].partner = sender;
    nodes_[sender].partner = receiver;
  }

  void begin_span(Node& node, Picoseconds time) const {
    if (!node.span) return;
    *node.span = make_span(*ranks_[node.rank].instance, node.call, node.op, node.stream, node.arrival, time, time);
  }

  void start(uint32_t index, Picoseconds time) {
    Node& node = nodes_[index];
    begin_span(node, time);
    if (!kShares) return schedule_end(index, time, node.cost->hold);
    if (!problem_.shared_cores || node.cost->work == 0) {
      const bool computes = node.meeting == kNone;
      const Picoseconds hold = computes && problem_.jitter.sigma > 0 ? jittered(node) : node.cost->hold;
      if (computes && problem_.shared_sms && hold > 0) {
        push_other(sms_.start(time, node.rank, index, hold), Other::compute_may_end, node.rank);
      } else {
        schedule_end(index, time, hold);
      }
    } else if (node.kernel == Kernel::send && node.partner != kNone) {
      return;  // ends with its receiver
    } else {
      const bool computes = !is_communication(node.kernel);
      cores_.start(time, index, node.cost->work, computes ? problem_.cores_per_rank : 1);
    }
  }

  Picoseconds jittered(const Node& node) const {
    return std::llround(static_cast<double>(node.cost->hold) * jitter_factor(problem_.jitter, task_of(node)));
  }

  void schedule_end(uint32_t index, Picoseconds time, Picoseconds hold) {
    Node& node = nodes_[index];
    if (problem_.ends_in_order) {
      if (node.span) node.span->end = time + hold + node.cost->tail;
      return push_end(time + hold, time + hold + node.cost->tail, index);
    }
    Rank& rank = ranks_[node.rank];
    StreamTimes& stream = rank.times[node.stream];
    Picoseconds free = time + hold;
    const Picoseconds end = free + node.cost->tail, done = std::max(stream.done, end);
    if (node.span) node.span->end = end;
    stream.done = done;
    if (node.grouped) {
      free = stream.group_free = std::max(stream.group_free, free);
      index = place(rank, node.ticket - node.op);
      if (node.op > 0) {  // nobody waits for it but through the first
        node.happened = kBoth;
        ++ended_;
      }
      if (--nodes_[index].pending) return;
    }
    push_end(free, done, index);
  }

  void push_end(Picoseconds free, Picoseconds done, uint32_t index) {
    // By then who waits for it is in no cache, and with many ranks in turns nothing else would fetch it in time.
    const Node& node = nodes_[index];
    if (node.successor != kNone) __builtin_prefetch(&nodes_[node.successor]);
    if (node.waiter != kNone) __builtin_prefetch(&nodes_[node.waiter]);
    if (done > free) {
      push(free, index, kFreed);
      push(done, index, kEnded);
    } else {
      push(free, index, kBoth);
    }
  }

  void push(Picoseconds time, uint32_t index, Happening happening) {
    const Event event{time, uint64_t{index} << 2 | happening};
    if (time > now_) {
      events_.push(event);
    } else {
      due_.push_back(event.what);
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
    if (kShares && (what & 3) == kOther)
      return happen_other(static_cast<Other>(what >> 2 & 3), static_cast<uint32_t>(what >> 4));
    const uint32_t index = static_cast<uint32_t>(what >> 2);
    if (what & kFreed) free_stream(index);
    if (what & kEnded) end(index);
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
    const Node& node = nodes_[index];
    const uint32_t partner = node.partner;
    schedule_end(index, now_, node.cost->hold - node.cost->work);
    if (partner != kNone) schedule_end(partner, now_, nodes_[partner].cost->hold - nodes_[partner].cost->work);
  }

  void free_stream(uint32_t index) {
    Node& node = nodes_[index];
    node.happened |= kFreed;
    if (kShares && problem_.shared_sms) {
      if (const TransferCost* transfer = transfer_of(node)) take_sms(node.rank, -transfer->sm_share);
    }
    if (node.successor != kNone) one_less(node.successor);
  }

  void end(uint32_t index) {
    Node& node = nodes_[index];
    node.happened |= kEnded;
    ++ended_;
    last_end_ = now_;
    if (node.waiter != kNone) one_less(node.waiter);
    for (uint32_t edge = node.more_waiters; edge != kNone;) {
      const auto [waiter, next] = edges_[edge];
      edges_[edge].next = unused_edges_;
      unused_edges_ = edge;
      edge = next;
      one_less(waiter);
    }
    if (node.ticket == ranks_[node.rank].oldest) issue(node.rank);
  }

  /// One of the things that a task waits for has come to pass.
  void one_less(uint32_t index) {
    Node& waiter = nodes_[index];
    waiter.arrival = now_;
    if (--waiter.pending == 0) arrive(index);
  }

  std::vector<Stuck> stuck() const {
    std::vector<Stuck> result;
    for (const Meeting& meeting : meetings_) {
      for (uint32_t i = 0; i < meeting.come; ++i) {
        const Node& node = nodes_[waiting_[meeting.first_waiting + i]];
        const Instance& instance = *ranks_[node.rank].instance;
        const Call& call = instance.program->calls[node.call];
        result.push_back({{instance.rank, node.call, node.op}, problem_.plan.bodies[call.body].ops[node.op].comm});
      }
    }
    std::sort(result.begin(), result.end(), [](const Stuck& a, const Stuck& b) { return a.task < b.task; });
    return result;
  }

  const Problem& problem_;
  std::vector<Steps> steps_;  // per body
  std::vector<Rank> ranks_;
  std::vector<Node> nodes_;  // every rank's window
  std::vector<Edge> edges_;
  uint32_t unused_edges_ = kNone;
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
