// Engine 2: a discrete-event loop. Ranks issue their tasks in program order into a launch window; a task is ready when
// its stream is free and what it waits for has ended, starts when its partners are there, and then runs for its cost or
// for its share of the cores.
#include <algorithm>
#include <array>
#include <vector>

#include "sim/core_sharing.h"
#include "sim/problem.h"

namespace pgram::sim {
namespace {

/// An issued task. Its number ("ticket") counts the rank's tasks; its place in the rank's window is used again later,
/// so that a reference holds both.
struct Node {
  uint64_t ticket = 0;
  Picoseconds arrival = 0, start = 0;  // arrival: the latest of what it waits for, while some are pending
  const OpCost* cost = nullptr;
  Span* span = nullptr;
  uint32_t freed_edges = kNone, ended_edges = kNone;  // who waits for the stream to be free, and for the end
  uint32_t rank = 0, call = 0, meeting = kNone, partner = kNone;
  uint16_t op = 0, pending = 0;
  uint8_t stream = 0;
  Kernel kernel = Kernel::opaque;
  bool freed = false, ended = false;
};

struct Reference {
  uint32_t node = kNone;
  uint64_t ticket = 0;
};

struct Edge {
  uint32_t node = 0, next = kNone;
};

struct Rank {
  const Instance* instance = nullptr;
  uint32_t first_node = 0, window = 0;
  uint32_t call = 0, op = 0;
  const Sync* sync = nullptr;
  uint64_t oldest = 0, next = 0;  // tickets: first unfinished, and the next to issue
  uint64_t call_ticket = 0;       // of the running call's first op
  std::array<Reference, kStreams> last{};
  std::vector<Reference> events;
  std::array<Span*, kStreams> spans{};
};

struct Meeting {
  Picoseconds latest = 0;
  std::vector<uint32_t> waiting;
};

struct Event {
  enum Kind : uint32_t { kFreed = 1, kEnded = 2, kBoth = 3 };
  Picoseconds time = 0;
  uint64_t order_and_kind = 0;  // order of scheduling in the upper 62 bits: equal times are served first come first
  uint32_t node = 0;
  bool operator>(const Event& other) const {
    return time != other.time ? time > other.time : order_and_kind > other.order_and_kind;
  }
};

uint64_t count_tasks(const Plan& plan, const Program& program) {
  uint64_t tasks = 0;
  for (const Call& call : program.calls) tasks += plan.bodies[call.body].ops.size();
  return tasks;
}

class EventLoop {
 public:
  explicit EventLoop(const Problem& problem)
      : problem_(problem), meetings_(problem.meeting_size.size()), cores_(problem.shared_cores) {
    uint32_t nodes = 0;
    for (const Instance& instance : problem.instances) {
      Rank& rank = ranks_.emplace_back();
      rank.instance = &instance;
      rank.first_node = nodes;
      rank.window = static_cast<uint32_t>(
          std::clamp<uint64_t>(count_tasks(problem.plan, *instance.program), 1, problem.launch_window));
      nodes += rank.window;
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
        issue_task(r, body, body.ops[rank.op], call, syncs_end);
      }
    }
    while (rank.oldest < rank.next && node(rank, rank.oldest).ended) ++rank.oldest;
  }

  void issue_task(uint32_t r, const Body& body, const Op& op, const Call& call, const Sync* syncs_end) {
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

    node.pending = 1;  // until all are counted
    if (const Reference before = rank.last[stream]; is_current(before) && !nodes_[before.node].freed) {
      add_edge(nodes_[before.node].freed_edges, node, self.node);
    }
    for (int i = 0; i < op.num_waits; ++i) {
      const uint64_t ticket = rank.call_ticket + body.waits[op.first_wait + i];
      wait_for_end({place(rank, ticket), ticket}, node, self.node);
    }
    for (; rank.sync < syncs_end && rank.sync->op == rank.op && !rank.sync->records(); ++rank.sync) {
      wait_for_end(rank.events[rank.sync->slot()], node, self.node);
    }
    for (; rank.sync < syncs_end && rank.sync->op == rank.op; ++rank.sync) rank.events[rank.sync->slot()] = self;
    rank.last[stream] = self;
    ++rank.next;
    if (--node.pending == 0) arrive(self.node);
  }

  static uint32_t place(const Rank& rank, uint64_t ticket) {
    return rank.first_node + static_cast<uint32_t>(ticket % rank.window);
  }
  const Node& node(const Rank& rank, uint64_t ticket) const { return nodes_[place(rank, ticket)]; }

  /// False once the place has been given to a later task: then the one referred to has ended long ago.
  bool is_current(Reference reference) const {
    return reference.node != kNone && nodes_[reference.node].ticket == reference.ticket;
  }

  void wait_for_end(Reference awaited, Node& waiter, uint32_t waiter_index) {
    if (!is_current(awaited) || nodes_[awaited.node].ended) return;
    add_edge(nodes_[awaited.node].ended_edges, waiter, waiter_index);
  }

  void add_edge(uint32_t& list, Node& waiter, uint32_t waiter_index) {
    uint32_t edge = unused_edges_;
    if (edge == kNone) {
      edge = static_cast<uint32_t>(edges_.size());
      edges_.emplace_back();
    } else {
      unused_edges_ = edges_[edge].next;
    }
    edges_[edge] = {waiter_index, list};
    list = edge;
    ++waiter.pending;
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
    node.start = time;
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
    const Picoseconds tail = nodes_[index].cost->tail;
    if (tail > 0) {
      push(time + hold, index, Event::kFreed);
      push(time + hold + tail, index, Event::kEnded);
    } else {
      push(time + hold, index, Event::kBoth);
    }
  }

  void push(Picoseconds time, uint32_t index, Event::Kind kind) {
    events_.push_back({time, order_++ << 2 | kind, index});
    std::push_heap(events_.begin(), events_.end(), std::greater<>());
  }

  bool next_event() {
    if (!cores_.idle() && (events_.empty() || cores_.next_end() < events_.front().time)) {
      now_ = cores_.next_end();
      work_done(cores_.finish());
      return true;
    }
    if (events_.empty()) return false;
    std::pop_heap(events_.begin(), events_.end(), std::greater<>());
    const Event event = events_.back();
    events_.pop_back();
    now_ = event.time;
    if (event.order_and_kind & Event::kFreed) free_stream(event.node);
    if (event.order_and_kind & Event::kEnded) end(event.node);
    return true;
  }

  /// What held a core is done; the rest of the time on the stream (a collective's latency) needs none.
  void work_done(uint32_t index) {
    const Node& node = nodes_[index];
    const uint32_t partner = node.partner;
    schedule_end(index, now_, node.cost->hold - node.cost->work);
    if (partner != kNone) schedule_end(partner, now_, nodes_[partner].cost->hold - nodes_[partner].cost->work);
  }

  void free_stream(uint32_t index) {
    nodes_[index].freed = true;
    follow(nodes_[index].freed_edges);
  }

  void end(uint32_t index) {
    Node& node = nodes_[index];
    node.ended = true;
    ++ended_;
    const uint32_t r = node.rank;
    Rank& rank = ranks_[r];
    if (node.span) {
      *node.span = make_span(*rank.instance, node.call, node.op, node.stream, node.arrival, node.start, now_);
    }
    const bool oldest = node.ticket == rank.oldest;
    follow(node.ended_edges);
    if (oldest) issue(r);
  }

  void follow(uint32_t& list) {
    uint32_t edge = list;
    list = kNone;
    while (edge != kNone) {
      const auto [index, next] = edges_[edge];
      edges_[edge].next = unused_edges_;
      unused_edges_ = edge;
      edge = next;
      Node& waiter = nodes_[index];
      waiter.arrival = std::max(waiter.arrival, now_);
      if (--waiter.pending == 0) arrive(index);
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
  std::vector<Event> events_;  // a heap, the next at the front
  uint64_t order_ = 0, ended_ = 0;
  Picoseconds now_ = 0;
};

}  // namespace

Outcome run_events(const Problem& problem) {
  return EventLoop(problem).run();
}

}  // namespace pgram::sim
