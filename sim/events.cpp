// Engine 2: a discrete-event loop. Ranks issue their tasks in program order into a launch window; a task is ready when
// its stream is free and what it waits for has ended, starts when its partners are there, and then runs for its cost or
// for its share of the cores.
#include <algorithm>
#include <array>
#include <bit>
#include <vector>

#include "sim/core_sharing.h"
#include "sim/event_queue.h"
#include "sim/problem.h"

namespace pgram::sim {
namespace {

/// An issued task, one cache line. Its number ("ticket") counts the rank's tasks; its place in the rank's window is
/// used again later, so that a reference holds both. Of a group, whose tasks have tickets in a row, the first stands
/// for all of them where streams and events are concerned.
struct alignas(64) Node {
  Picoseconds arrival = 0;  // the latest of what it waits for; while some are pending, so far
  const OpCost* cost = nullptr;
  Span* span = nullptr;
  uint32_t ticket = 0;
  uint32_t rank = 0, call = 0;
  uint32_t successor = kNone;     // next on its stream, if that is issued and waits for this
  uint32_t waiter = kNone;        // who waits for its end ...
  uint32_t more_waiters = kNone;  // ... and who else: a list of edges
  uint32_t meeting = kNone, partner = kNone;
  uint16_t op = 0, pending = 0;  // pending of a group's first task, once that has come: tasks without an end
  uint8_t stream = 0;
  Kernel kernel = Kernel::opaque;
  bool freed = false;
  bool ended : 1 = false, grouped : 1 = false;
};
static_assert(sizeof(Node) == 64);

struct Reference {
  uint32_t node = kNone;
  uint32_t ticket = 0;
};

struct Edge {
  uint32_t node = 0, next = kNone;
};

struct StreamState {
  Reference last;
  Picoseconds free = 0;  // of the tasks so far: when the next may begin ...
  Picoseconds done = 0;  // ... and when all have ended, which is what an event says
};

struct Rank {
  const Instance* instance = nullptr;
  uint32_t first_node = 0;
  uint32_t window = 0;     // tasks
  uint32_t ring_mask = 0;  // places for them, a power of two, less one
  uint32_t call = 0, op = 0;
  const Sync* sync = nullptr;
  uint32_t oldest = 0, next = 0;  // tickets: first unfinished, and the next to issue
  uint32_t call_ticket = 0;       // of the running call's first op
  std::array<StreamState, kStreams> streams{};
  std::vector<Reference> events;
  std::array<Span*, kStreams> spans{};
};

struct Meeting {
  Picoseconds latest = 0;
  std::vector<uint32_t> waiting;
};

/// What happens to a node at its event's time, in the lower bits of Event::what.
enum Happening : uint64_t { kFreed = 1, kEnded = 2, kBoth = 3 };

uint64_t count_tasks(const Plan& plan, const Program& program) {
  uint64_t tasks = 0;
  for (const Call& call : program.calls) tasks += plan.bodies[call.body].ops.size();
  return tasks;
}

/// Tasks that one issue may add to a window: those of the largest group.
uint32_t most_issued_at_once(const Plan& plan) {
  size_t most = 1;
  for (const Body& body : plan.bodies) {
    if (body.grouped) most = std::max(most, body.ops.size());
  }
  return static_cast<uint32_t>(most);
}

class EventLoop {
 public:
  explicit EventLoop(const Problem& problem)
      : problem_(problem), meetings_(problem.meeting_size.size()), cores_(problem.shared_cores) {
    uint32_t nodes = 0;
    const uint32_t at_once = most_issued_at_once(problem.plan);
    for (const Instance& instance : problem.instances) {
      Rank& rank = ranks_.emplace_back();
      rank.instance = &instance;
      rank.first_node = nodes;
      rank.window = static_cast<uint32_t>(
          std::clamp<uint64_t>(count_tasks(problem.plan, *instance.program), 1, problem.launch_window));
      rank.ring_mask = std::bit_ceil(rank.window + at_once - 1) - 1;
      nodes += rank.ring_mask + 1;
      rank.events.resize(instance.program->num_events);
      std::copy(std::begin(instance.spans), std::end(instance.spans), rank.spans.begin());
    }
    nodes_.resize(nodes);
  }

  Outcome run() {
    for (uint32_t r = 0; r < ranks_.size(); ++r) issue(r);
    while (next_event()) continue;
    Outcome outcome;
    outcome.makespan = now_;
    outcome.tasks = ended_;
    const bool finished = std::all_of(ranks_.begin(), ranks_.end(), [&](const Rank& rank) {
      return rank.call == rank.instance->program->calls.size() && rank.oldest == rank.next;
    });
    if (!finished) outcome.error = deadlock_text(problem_.plan, stuck());
    return outcome;
  }

 private:
  // --- issuing

  void issue(uint32_t r) {
    Rank& rank = ranks_[r];
    const Program& program = *rank.instance->program;
    for (; rank.call < program.calls.size(); ++rank.call, rank.op = 0) {
      const Call& call = program.calls[rank.call];
      const Body& body = problem_.plan.bodies[call.body];
      if (rank.op == 0) {
        rank.sync = program.syncs.data() + call.first_sync;
        rank.call_ticket = rank.next;
      }
      const Sync* syncs_end = program.syncs.data() + call.first_sync + call.num_syncs;
      for (; rank.op < body.ops.size(); ++rank.op) {
        while (rank.oldest < rank.next && node(rank, rank.oldest).ended) ++rank.oldest;
        if (rank.next - rank.oldest >= rank.window) return;
        if (body.grouped) {
          issue_group(r, body, call, syncs_end);
          break;
        }
        issue_task(r, body, body.ops[rank.op], call, syncs_end);
      }
    }
    while (rank.oldest < rank.next && node(rank, rank.oldest).ended) ++rank.oldest;
  }

  void issue_task(uint32_t r, const Body& body, const Op& op, const Call& call, const Sync* syncs_end) {
    Rank& rank = ranks_[r];
    const Reference self = add_node(r, op, call);
    count_waits(rank, self.node, body, op, syncs_end);
    for (; rank.sync < syncs_end && rank.sync->op == rank.op; ++rank.sync) rank.events[rank.sync->slot()] = self;
    rank.streams[static_cast<size_t>(op.stream)].last = self;
    if (--nodes_[self.node].pending == 0) arrive(self.node);
  }

  /// All tasks of a grouped body, whatever the window. The first one's waits are the group's, as are the last one's
  /// records.
  void issue_group(uint32_t r, const Body& body, const Call& call, const Sync* syncs_end) {
    Rank& rank = ranks_[r];
    const Reference first{place(rank, rank.next), rank.next};
    for (; rank.op < body.ops.size(); ++rank.op) nodes_[add_node(r, body.ops[rank.op], call).node].grouped = true;
    rank.op = 0;
    count_waits(rank, first.node, body, body.ops[0], syncs_end);
    for (; rank.sync < syncs_end; ++rank.sync) rank.events[rank.sync->slot()] = first;
    rank.streams[static_cast<size_t>(body.ops[0].stream)].last = first;
    if (--nodes_[first.node].pending == 0) arrive_group(first.node);
  }

  Reference add_node(uint32_t r, const Op& op, const Call& call) {
    Rank& rank = ranks_[r];
    const Reference self{place(rank, rank.next), rank.next};
    const size_t stream = static_cast<size_t>(op.stream);
    Node& node = nodes_[self.node];
    node = Node();
    node.ticket = self.ticket;
    node.arrival = now_;
    node.cost = rank.instance->costs + problem_.first_op[call.body] + rank.op;
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

  /// `pending` of the task is then one more than there are, so that it does not come before it is issued.
  void count_waits(Rank& rank, uint32_t index, const Body& body, const Op& op, const Sync* syncs_end) {
    Node& node = nodes_[index];
    node.pending = 1;
    if (const Reference before = rank.streams[node.stream].last; is_current(before) && !nodes_[before.node].freed) {
      nodes_[before.node].successor = index;
      ++node.pending;
    }
    for (int i = 0; i < op.num_waits; ++i) {
      const uint32_t ticket = rank.call_ticket + body.waits[op.first_wait + i];
      wait_for_end({place(rank, ticket), ticket}, node, index);
    }
    for (; rank.sync < syncs_end && rank.sync->op == rank.op && !rank.sync->records(); ++rank.sync) {
      wait_for_end(rank.events[rank.sync->slot()], node, index);
    }
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
    if (awaited.ended) return;
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
    Node& node = nodes_[index];
    if (node.meeting == kNone || problem_.meeting_size[node.meeting] == 1) {
      start(index, node.arrival);
      return;
    }
    Meeting& meeting = meetings_[node.meeting];
    meeting.latest = meeting.waiting.empty() ? node.arrival : std::max(meeting.latest, node.arrival);
    meeting.waiting.push_back(index);
    if (meeting.waiting.size() < problem_.meeting_size[node.meeting]) return;
    if (is_point_to_point(node.kernel) && meeting.waiting.size() == 2) pair_up(meeting);
    for (uint32_t member : meeting.waiting) start(member, meeting.latest);
    meeting.waiting.clear();
  }

  /// The tasks of a group come together, each to its own meeting.
  void arrive_group(uint32_t first) {
    const Node& node = nodes_[first];
    const Rank& rank = ranks_[node.rank];
    const uint32_t tasks = group_size(node), ticket = node.ticket;
    const Picoseconds arrival = node.arrival;
    nodes_[first].pending = static_cast<uint16_t>(tasks);
    for (uint32_t i = 0; i < tasks; ++i) {
      const uint32_t member = place(rank, ticket + i);
      nodes_[member].arrival = arrival;
      arrive(member);
    }
  }

  uint32_t group_size(const Node& node) const {
    const Call& call = ranks_[node.rank].instance->program->calls[node.call];
    return static_cast<uint32_t>(problem_.plan.bodies[call.body].ops.size());
  }

  /// One copy serves both ends: on shared cores the receiver's thread makes it, and the sender's end goes with it.
  void pair_up(const Meeting& meeting) {
    if (!problem_.shared_cores) return;
    const bool first_receives = nodes_[meeting.waiting[0]].kernel == Kernel::recv;
    const uint32_t receiver = meeting.waiting[first_receives ? 0 : 1];
    const uint32_t sender = meeting.waiting[first_receives ? 1 : 0];
    nodes_[receiver].partner = sender;
    nodes_[sender].partner = receiver;
  }

  void start(uint32_t index, Picoseconds time) {
    Node& node = nodes_[index];
    if (node.span) {
      *node.span = make_span(*ranks_[node.rank].instance, node.call, node.op, node.stream, node.arrival, time, time);
    }
    if (!problem_.shared_cores || node.cost->work == 0) {
      schedule_end(index, time, node.cost->hold);
    } else if (node.kernel == Kernel::send && node.partner != kNone) {
      return;  // ends with its receiver
    } else {
      const bool computes = !is_communication(node.kernel);
      cores_.start(time, index, node.cost->work, computes ? problem_.cores_per_rank : 1);
    }
  }

  void schedule_end(uint32_t index, Picoseconds time, Picoseconds hold) {
    const Node& node = nodes_[index];
    Rank& rank = ranks_[node.rank];
    StreamState& stream = rank.streams[node.stream];
    const Picoseconds free = time + hold, end = free + node.cost->tail;
    if (node.span) node.span->end = end;
    stream.free = std::max(stream.free, free);
    stream.done = std::max(stream.done, end);
    if (node.grouped) {
      index = place(rank, node.ticket - node.op);
      if (--nodes_[index].pending) return;
    }
    if (stream.done > stream.free) {
      push(stream.free, index, kFreed);
      push(stream.done, index, kEnded);
    } else {
      push(stream.free, index, kBoth);
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

  bool next_event() {
    if (!due_.empty()) {
      const uint64_t what = due_.back();
      due_.pop_back();
      happen(what);
      return true;
    }
    if (!cores_.idle() && (events_.empty() || cores_.next_end() < events_.next_time())) {
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
    const uint32_t index = static_cast<uint32_t>(what >> 2);
    if (what & kFreed) free_stream(index);
    if (what & kEnded) end(index);
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
    node.freed = true;
    if (node.successor != kNone) one_less(node.successor);
  }

  void end(uint32_t index) {
    Node& node = nodes_[index];
    node.ended = true;
    ++ended_;
    if (node.grouped) end_others(node);
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

  void end_others(const Node& first) {
    const uint32_t tasks = group_size(first);
    for (uint32_t i = 1; i < tasks; ++i) nodes_[place(ranks_[first.rank], first.ticket + i)].ended = true;
    ended_ += tasks - 1;
  }

  /// One of the things that a task waits for has come to pass.
  void one_less(uint32_t index) {
    Node& waiter = nodes_[index];
    waiter.arrival = now_;
    if (--waiter.pending) return;
    if (waiter.grouped) {
      arrive_group(index);
    } else {
      arrive(index);
    }
  }

  std::vector<Stuck> stuck() const {
    std::vector<Stuck> result;
    for (const Meeting& meeting : meetings_) {
      for (uint32_t index : meeting.waiting) {
        const Node& node = nodes_[index];
        const Instance& instance = *ranks_[node.rank].instance;
        const Call& call = instance.program->calls[node.call];
        result.push_back({{instance.rank, node.call, node.op}, problem_.plan.bodies[call.body].ops[node.op].comm});
      }
    }
    std::sort(result.begin(), result.end(), [](const Stuck& a, const Stuck& b) { return a.task < b.task; });
    return result;
  }

  const Problem& problem_;
  std::vector<Rank> ranks_;
  std::vector<Node> nodes_;  // every rank's window
  std::vector<Edge> edges_;
  uint32_t unused_edges_ = kNone;
  std::vector<Meeting> meetings_;
  CoreSharing cores_;
  EventQueue events_;
  std::vector<uint64_t> due_;  // what happens at this very moment
  uint64_t ended_ = 0;
  Picoseconds now_ = 0;
};

}  // namespace

Outcome run_events(const Problem& problem) {
  return EventLoop(problem).run();
}

}  // namespace pgram::sim
