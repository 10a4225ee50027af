// The event loop, engine 2: its state and the steps that it is made of. events.cpp has streams and tasks,
// event_flows.cpp transfers that share links, event_sharing.cpp SMs and cores; of calls that run as one
// event_replay.cpp has how they begin, event_parts.cpp what belongs to them, event_calls.cpp what happens meanwhile.
#pragma once
#include <cmath>
#include <map>
#include <vector>

#include "sim/call_times.h"
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

/// kShares: links, SMs or cores are shared, there is jitter, or calls run as one. Where there is none of it, no task
/// pays for asking. What is marked as inline has one caller, or one that counts: the compiler does not know that.
template <bool kShares>
class EventLoop {
 public:
  explicit EventLoop(const Problem&);
  Outcome run();

 private:
  void add_rank(const Instance& instance);

  // --- streams
  /// Those of the rank of `stream`.
  static StreamHead* streams_beside(StreamHead& stream) { return &stream - stream.dense; }
  /// The first op of the visit is at the stream's head.
  void enter(StreamHead&);
  void next_head(StreamHead&);
  /// The task at the head has the stream: it arrives if it is issued and all that it waits for has ended. Else it is
  /// tried again when what it met first has changed.
  void try_head(StreamHead&);
  bool beyond_window(Rank&, uint32_t ticket) const;
  /// The stream is tried again when that task of the other one has ended.
  static void await(StreamHead& stream, StreamHead& other, uint32_t ticket) {
    stream.awaited = ticket;
    other.blocked |= static_cast<uint16_t>(1u << stream.dense);
    other.wake = std::min(other.wake, ticket);
  }
  /// Whether a task waits for one of which `f`, given its stream and ticket, is true.
  template <typename F>
  static bool waits_for_any(const Rank& rank, const StreamOrder::Visit& visit, const StreamOp& op, const F& f) {
    for (uint32_t i = 0; i < op.num_waits; ++i) {
      const auto [before, other] = rank.own_waits[op.first_wait + i];
      if (f(other, visit.first_ticket + before)) return true;
    }
    for (uint32_t i = 0; i < visit.num_waits; ++i) {
      const StreamOrder::Wait& wait = rank.waits[visit.first_wait + i];
      if (wait.op == op.op && f(wait.stream, wait.ticket)) return true;
    }
    return false;
  }
  /// The stream's tasks before `ticket` have ended.
  void pass_ended(StreamHead&, uint32_t ticket);

  // --- running
  Running& running(uint32_t index) {
    return group_ == 0 || index < streams_.size() ? streams_[index].task : group_tasks_[index - streams_.size()];
  }
  /// At the head of its stream with all waits done: starts once its partners are there.
  [[gnu::always_inline]] inline void arrive(StreamHead&);
  /// The tasks of a group come together, each to its own meeting.
  void arrive_group(StreamHead&);
  [[gnu::always_inline]] inline void set_up(const Running&);
  [[gnu::always_inline]] inline void meet(uint32_t index, const Running&);
  uint32_t* waiting_at(Meeting& meeting) {
    return meeting.needed <= meeting.waiting.size() ? meeting.waiting.data() : waiting_.data() + meeting.waiting[0];
  }
  /// Everybody whose transfer it is.
  std::span<uint32_t> members_at(uint32_t place) { return {waiting_at(meetings_[place]), meetings_[place].needed}; }
  /// Where a transfer meets its partners.
  uint32_t place_of(const Running& task) const { return ranks_[task.rank].meetings[task.op->comm]; }
  const OpCost& cost_of(const Running& task) const { return ranks_[task.rank].instance->costs[task.op->cost]; }
  /// Null for compute and where no transfer shares anything.
  const TransferCost* transfer_of(const Running& task) const {
    if (task.op->comm == kNoComm) return nullptr;
    const Instance& instance = *ranks_[task.rank].instance;
    return instance.transfers ? instance.transfers + task.op->cost : nullptr;
  }

  // --- calls that run as one
  /// Null: none do.
  RankCalls* calls_of(uint32_t rank) const { return kShares ? ranks_[rank].calls : nullptr; }
  /// The first task of a Call, or its first compute task, can arrive: true if the Call runs as one from now on.
  bool replay(StreamHead&);
  /// What is known of a rank's calls of a Body, found out when first asked.
  const ClosedBody& look_at(uint32_t rank, uint16_t body) {
    if (closable_[body] == CallTimes::kNoBody) return never_closed_;
    ClosedBody& known = closed_body(rank, body);
    if (!known.known) look_at(rank, body, known);
    return known;
  }
  ClosedBody& closed_body(uint32_t rank, uint16_t body) {
    return closed_bodies_[rank * num_closable_ + closable_[body]];
  }
  const ClosedBody& closed_body(uint32_t rank, uint16_t body) const {
    return closed_bodies_[rank * num_closable_ + closable_[body]];
  }
  void look_at(uint32_t rank, uint16_t body, ClosedBody&);
  void find_alike(uint32_t rank, uint16_t body, ClosedBody&);
  static bool may_be_whole(const Rank&, const ClosedBody&);
  bool cost_alike(const Instance&, const Instance&, uint16_t body) const;
  bool are_free(const ClosedBody&) const;
  [[gnu::always_inline]] inline bool find_part(const StreamHead& opening, CallPart& part);
  [[gnu::always_inline]] inline void add_next(const StreamOrder::Visit& next, uint32_t rank, CallPart& part);
  CallTimes::Key key_of(uint32_t rank, const CallPart& part, double share);
  const CallTimes* find_times(uint32_t rank, const CallPart& part, double share);
  void add_parts(uint32_t rank, const CallTimes& times, double share);
  [[gnu::always_inline]] inline bool follows(const StreamOrder::Visit&, uint32_t rank, const RankCalls::Timed& last,
                                             CallPart& part);
  [[gnu::always_inline]] inline bool next_follows(uint32_t rank, const StreamOrder::Visit& next, CallPart& part);
  /// When a stream will be past a task, of the parts that run as one or behind them.
  Picoseconds passes_at(const RankCalls&, const StreamHead&, uint32_t ticket) const;
  struct Head {
    const StreamOrder::Visit* visit = nullptr;  ///< null: nothing is left
    const StreamOp* op = nullptr;
  };
  Head head_after(const StreamHead&, const CallPart&, const CallTimes&) const;
  bool is_held_up(StreamHead&, const Head& after);
  /// When a stream that is not busy until the end has done all that it has to do.
  Picoseconds free_at(const RankCalls& calls, const StreamHead& stream) const {
    const RankCalls::Timed& last = calls.parts.back();
    return last.begin + last.times->passed(stream.name);
  }
  bool has_passed(const StreamHead&, uint32_t ticket);
  void go_on_behind(StreamHead&);
  bool waits_for_end(const StreamHead&, const CallPart&, const CallTimes&) const;
  bool waits_for_end(const Rank&, const StreamOrder::Visit&, const StreamOp&, const CallPart&, const CallTimes&) const;
  static bool is_part(const StreamHead& stream, const CallPart& part) {
    return stream.ticket != kNoTicket && part.place(stream.visit->call, stream.task.op->op) != kNone;
  }
  uint32_t place_in(const CallPart& part, const Running& task) const {
    return part.place(streams_[task.stream].visit->call, task.op->op);
  }
  const Body& body_of(const StreamOrder::Visit& visit) const { return problem_.plan.bodies[visit.body]; }
  /// Of the task at the head of a stream of the part.
  static const CallTimes::Op& times_of(const StreamHead& stream, const RankCalls& calls) {
    return calls.replay->ops[calls.part.place(stream.visit->call, stream.task.op->op)];
  }
  /// The compute stream of a rank that has one.
  static constexpr uint32_t kCompute = 0;
  static_assert(static_cast<int>(Stream::compute) == 0);
  void pass(StreamHead&, const RankCalls&, Picoseconds elapsed);
  void end_part(uint32_t rank);
  void begin_next_part(uint32_t rank);
  void pass_some(uint32_t rank);
  void end_replay(uint32_t rank);
  void disturb(uint32_t rank);
  void go_on_as_flow(const Running&, Picoseconds arrival);
  void write_down_end(RankCalls&);

  // --- flows
  bool shares_links(uint32_t place, const Running& task) {
    return problem_.links && transfer_of(task)->limit > 0 && !look_at_transfer(place, task).uses.empty();
  }
  /// What the transfer of a task uses, worked out where it is not the one before.
  Flow& look_at_transfer(uint32_t place, const Running& task) {
    Flow& flow = flows_[place];
    const TransferCost& transfer = *transfer_of(task);
    if (flow.limit != transfer.limit || flow.bytes != transfer.bytes || flow.lane != transfer.lane)
      look_at(place, transfer, flow);
    return flow;
  }
  void look_at(uint32_t place, const TransferCost&, Flow&);
  /// Everybody has come. Of a collective the latency passes first, then the bytes move.
  void start_flow(uint32_t place);
  void begin_flow(uint32_t place);
  bool runs_alone(uint32_t place);
  void join_network(uint32_t place);
  [[gnu::always_inline]] inline void come_to_links(std::span<const LinkUse> uses, const Running& first);
  void leave_links(uint32_t place);
  void flow_done(uint32_t place);
  void start_steps(uint32_t place);
  void steps_went_on(const StepRuns::Happened& happened);
  void hold_back(uint32_t index, const std::vector<ContentionLog::Loss>& losses);
  Task task_of(const Running& task) const {
    return {ranks_[task.rank].instance->rank, streams_[task.stream].visit->call, task.op->op};
  }
  /// A link gets slower, or goes down: then what runs goes on by other ways.
  void link_changes(uint32_t change_index);
  /// When the next flow ends, in whole picoseconds: one that is never held back takes what it takes alone.
  Picoseconds next_flow_end() {
    if (!network_.end_known()) flow_end_ = find_flow_end();
    return flow_end_;
  }
  Picoseconds find_flow_end();

  // --- SMs
  /// A collective comes to its device (1) or leaves it (-1).
  void take_sms(const Running& task, int sign) {
    const TransferCost* const transfer = problem_.shared_sms ? transfer_of(task) : nullptr;
    if (transfer && transfer->sm_share != 0) take_share(task, sign * transfer->sm_share);
  }
  void take_share(const Running&, double share);

  // --- tasks
  /// One copy serves both ends: on shared cores the receiver's thread makes it, and the sender's end goes with it.
  void pair_up(const uint32_t* waiting);
  void begin_span(const Running& task) const {
    if (task.span) task.span->set_wait(now_ - task.span->start);
  }
  void start(uint32_t index, const Running&);
  Picoseconds jittered(const Running& task) const {
    return std::llround(static_cast<double>(task.op->hold) * jitter_factor(problem_.jitter, task_of(task)));
  }
  void schedule_end(const Running&, Picoseconds time, Picoseconds hold);
  void push_other(Picoseconds time, Other other, uint32_t index) {
    events_.push({time, uint64_t{index} << 5 | static_cast<uint64_t>(other) << 2 | kOther});
  }
  [[gnu::always_inline]] inline bool next_event();
  [[gnu::always_inline]] inline void happen_other(Other other, uint32_t index);
  /// What held a core is done; the rest of the time on the stream (a collective's latency) needs none.
  void work_done(uint32_t index);
  [[gnu::always_inline]] inline void free_stream(StreamHead&);
  std::vector<Stuck> stuck();

  const Problem& problem_;
  const StreamIndex& index_;
  // What is in there, close at hand:
  const BodyStreams* const bodies_;
  const uint16_t* const first_compute_;
  const uint16_t* const closable_;
  const uint32_t num_closable_;
  const uint32_t group_;  // tasks of the largest

  std::map<std::pair<const OpCost*, const StreamOrder*>, std::vector<StreamOp>> ops_;
  std::vector<Rank> ranks_;
  std::vector<StreamHead> streams_;            // every rank's
  std::vector<Running> group_tasks_;           // `group_` of each stream
  std::vector<Group> groups_;                  // of each stream; empty: there are none
  uint32_t num_times_ = 0;                     // CallTimes that are known
  std::vector<ClosedBody> closed_bodies_;      // of each rank those of closable bodies, one rank after the other
  const ClosedBody never_closed_;              // of other bodies
  std::vector<RankCalls> calls_;               // of each rank; empty: none runs as one
  std::vector<std::vector<uint32_t>> unlike_;  // of each body: ranks whose calls of it cost something else
  std::vector<CallTimes::Wait> part_waits_;    // of the part that is looked at
  std::vector<LinkUsers> links_;               // of each class of links; empty: all flows are in the network
  std::vector<Meeting> meetings_;
  std::vector<uint32_t> waiting_;   // in meetings
  std::vector<uint32_t> partners_;  // of each task where cores are shared
  std::vector<Flow> flows_;         // by meeting place
  CoreSharing cores_;
  FlowNetwork network_;       // a flow has the number of its meeting place
  Picoseconds flow_end_ = 0;  // next_flow_end() while the network knows its own
  ContentionLog contention_;
  std::vector<Contention> held_back_;
  uint32_t epoch_ = 0;
  SmSharing sms_;
  EventQueue events_;
  std::vector<uint32_t> due_;  // streams that are freed at this very moment: the first num_due_
  size_t num_due_ = 0;
  uint64_t ended_ = 0;
  Picoseconds now_ = 0;
};

}  // namespace pgram::sim
