// Engine 2: a discrete-event loop. Ranks issue their tasks in program order into a launch window; a task is ready when
// its stream is free and what it waits for has ended, starts when its partners are there, and then runs for its cost or
// for its share of the cores.
#include <algorithm>
#include <array>
#include <bit>
#include <vector>

#include "sim/core_sharing.h"
#include "sim/deadlock.h"
#include "sim/event_queue.h"
#include "sim/problem.h"

namespace pgram::sim {
namespace {

/// What happens to a node at its event's time, in the lower bits of Event::what.
enum Happening : uint64_t { kFreed = 1, kEnded = 2, kBoth = 3 };

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
  uint8_t happened = 0;  // Happening, so far
  bool grouped = false;
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
  Picoseconds done = 0;        // when all tasks so far have ended, which is what an event says
  Picoseconds group_free = 0;  // when the running group's tasks so far no longer hold it
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
    if (!finished) outcome.error = deadlock_text(problem_, stuck());
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
        while (rank.oldest < rank.next && node(rank, rank.oldest).happened & kEnded) ++rank.oldest;
        if (rank.next - rank.oldest >= rank.window) return;
        issue_task(r, body, body.ops[rank.op], call, syncs_end);
      }
    }
    while (rank.oldest < rank.next && node(rank, rank.oldest).happened & kEnded) ++rank.oldest;
  }

  /// With a grouped body all its tasks at once, whatever the window: the first one's waits are the group's, as are the
  /// last one's records.
  void issue_task(uint32_t r, const Body& body, const Op& op, const Call& call, const Sync* syncs_end) {
    Rank& rank = ranks_[r];
    StreamState& stream = rank.streams[static_cast<size_t>(op.stream)];
    const Reference self = add_node(r, op, call);
    Node& node = nodes_[self.node];
    node.pending = 1;  // until all are counted
    if (const Reference before = stream.last; is_current(before) && !(nodes_[before.node].happened & kFreed)) {
      nodes_[before.node].successor = self.node;
      ++node.pending;
    }
    for (int i = 0; i < op.num_waits; ++i) {
      const uint32_t ticket = rank.call_ticket + body.waits[op.first_wait + i];
      wait_for_end({place(rank, ticket), ticket}, node, self.node);
    }
    for (; rank.sync < syncs_end && rank.sync->op == rank.op && !rank.sync->records(); ++rank.sync) {
      wait_for_end(rank.events[rank.sync->slot()], node, self.node);
    }
    if (body.grouped) add_others(r, body, call);
    for (; rank.sync < syncs_end && rank.sync->op == rank.op; ++rank.sync) rank.events[rank.sync->slot()] = self;
    stream.last = self;
    if (--node.pending == 0) arrive(self.node);
  }

  /// The rest of a group; afterwards its last op is the rank's.
  void add_others(uint32_t r, const Body& body, const Call& call) {
    Rank& rank = ranks_[r];
    nodes_[place(rank, rank.call_ticket)].grouped = true;
    while (rank.op + 1 < body.ops.size()) {
      ++rank.op;
      nodes_[add_node(r, body.ops[rank.op], call).node].grouped = true;
    }
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
    if (problem_.meeting_size[node.meeting] == 1) {
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
    const Call& call = rank.instance->program->calls[node.call];
    const uint32_t tasks = static_cast<uint32_t>(problem_.plan.bodies[call.body].ops.size()), ticket = node.ticket;
    const Picoseconds arrival = node.arrival;
    nodes_[first].pending = static_cast<uint16_t>(tasks);
    for (uint32_t i = 0; i < tasks; ++i) {
      const uint32_t member = place(rank, ticket + i);
      nodes_[member].arrival = arrival;
      meet(member);
    }
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
    Node& node = nodes_[index];
    if (problem_.ends_in_order) {
      if (node.span) node.span->end = time + hold + node.cost->tail;
      return push_end(time + hold, time + hold + node.cost->tail, index);
    }
    Rank& rank = ranks_[node.rank];
    StreamState& stream = rank.streams[node.stream];
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
    node.happened |= kFreed;
    if (node.successor != kNone) one_less(node.successor);
  }

  void end(uint32_t index) {
    Node& node = nodes_[index];
    node.happened |= kEnded;
    ++ended_;
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
