// The event loop, engine 2: its state and the steps that it is made of. events.cpp has streams and tasks,
// event_flows.cpp transfers that share links, event_replay.cpp calls that run as one.
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
/// pays for asking.
template <bool kShares>
class EventLoop {
 public:
  explicit EventLoop(const Problem&);
  Outcome run();

 private:
  void add_rank(const Instance& instance);

  // --- streams
  /// The first op of the visit is at the stream's head.
  void enter(StreamHead& stream);
  void next_head(StreamHead& stream);
  /// The task at the head has the stream: it arrives if it is issued and all that it waits for has ended. Else it is
  /// tried again when what it met first has changed.
  void try_head(uint32_t index);
  bool beyond_window(Rank&, uint32_t ticket) const;
  /// The stream's tasks before `ticket` have ended.
  void pass_ended(uint32_t index, uint32_t ticket);

  // --- running
  /// At the head of its stream with all waits done: starts once its partners are there.
  void arrive(uint32_t index, const Steps& steps);
  /// The tasks of a group come together, each to its own meeting.
  void arrive_group(uint32_t index, const Steps& steps);
  void set_up(Running& task, const StreamHead& stream, const Steps& steps, uint32_t op_index);
  void meet(uint32_t index);
  /// Null for compute and where no transfer shares anything.
  const TransferCost* transfer_of(const Running& task) const {
    if (task.meeting == kNone) return nullptr;
    const Instance& instance = *ranks_[task.rank].instance;
    return instance.transfers ? instance.transfers + (task.cost - instance.costs) : nullptr;
  }

  // --- calls that run as one
  /// The first task of a Call can arrive: true if the Call runs as one from now on.
  bool replay(uint32_t index);
  const ClosedBody& look_at(uint32_t rank, uint16_t body);
  bool find_part(uint32_t index, CallPart& part);
  void add_next(const StreamOrder::Visit& next, uint32_t rank, CallPart& part);
  Picoseconds passed(const CallPart&, const CallTimes&, uint8_t stream, uint32_t place) const;
  bool waits_for_end(const Rank&, const StreamHead&, const CallPart&, const CallTimes&) const;
  static bool is_part(const StreamHead& stream, const CallPart& part) {
    return stream.ticket != kNoTicket && part.place(stream.visit->call, *stream.op) != kNone;
  }
  /// Of the task at the head of a stream of the part.
  static const CallTimes::Op& times_of(const StreamHead& stream, const RankCalls& calls) {
    return calls.replay->ops[calls.part.place(stream.visit->call, *stream.op)];
  }
  void pass_replayed(StreamHead&, const RankCalls&);
  static uint32_t compute_of(const Rank& rank) { return rank.order->dense[static_cast<size_t>(Stream::compute)]; }
  void pass_some(uint32_t rank);
  void end_replay(uint32_t rank);
  void disturb(uint32_t rank);
  void go_on_as_flow(uint32_t index);
  void write_down_end(RankCalls&);

  // --- flows
  bool shares_links(const Running& task) const;
  /// Everybody has come. Of a collective the latency passes first, then the bytes move.
  void start_flow(uint32_t place);
  void begin_flow(uint32_t place);
  void come_to_links(std::span<const LinkUse> uses, const Running& first);
  void leave_links(uint32_t place);
  void flow_done(uint32_t place);
  void start_steps(uint32_t place);
  void steps_went_on(const StepRuns::Happened& happened);
  void hold_back(uint32_t index, const std::vector<ContentionLog::Loss>& losses);
  Task task_of(const Running& task) const { return {ranks_[task.rank].instance->rank, task.call, task.op}; }
  /// A link gets slower, or goes down: then what runs goes on by other ways.
  void link_changes(uint32_t change_index);
  /// When the next flow ends, in whole picoseconds: one that is never held back takes what it takes alone.
  Picoseconds next_flow_end();

  // --- SMs
  void take_sms(const Running&, double share);

  // --- tasks
  /// One copy serves both ends: on shared cores the receiver's thread makes it, and the sender's end goes with it.
  void pair_up(const uint32_t* waiting);
  void begin_span(const Running& task, Picoseconds time) const {
    if (!task.span) return;
    const Rank& rank = ranks_[task.rank];
    *task.span = make_span(*rank.instance, task.call, task.op, streams_[task.stream].name, task.arrival, time, time);
  }
  void start(uint32_t index, Picoseconds time);
  Picoseconds jittered(const Running& task) const {
    return std::llround(static_cast<double>(task.cost->hold) * jitter_factor(problem_.jitter, task_of(task)));
  }
  void schedule_end(uint32_t index, Picoseconds time, Picoseconds hold);
  void push(Picoseconds time, uint64_t what) {
    if (time > now_) {
      events_.push({time, what});
    } else {
      due_.push_back(what);
    }
  }
  void push_other(Picoseconds time, Other other, uint32_t index) {
    events_.push({time, uint64_t{index} << 5 | static_cast<uint64_t>(other) << 2 | kOther});
  }
  bool next_event();
  void happen(uint64_t what);
  void happen_other(Other other, uint32_t index);
  /// What held a core is done; the rest of the time on the stream (a collective's latency) needs none.
  void work_done(uint32_t index);
  void free_stream(uint32_t index);
  std::vector<Stuck> stuck() const;

  const Problem& problem_;
  std::vector<BodyStreams> bodies_;
  std::vector<Steps> steps_;  // per body
  std::map<const Program*, StreamOrder> orders_;
  std::vector<Rank> ranks_;
  std::vector<StreamHead> streams_;  // every rank's
  std::vector<Running> running_;     // of each stream; then, if there are groups, `group_` more of each
  uint32_t group_ = 0;
  CallMemory memory_;
  std::vector<RankCalls> calls_;  // of each rank; empty: none runs as one
  std::vector<CallLink> links_;   // of each class of links; empty: no call runs as one, or nothing is shared
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

}  // namespace pgram::sim
