// Engine 1: walks every instance in program order. Nothing is shared, so the start of a task is the maximum of when its
// stream is free, what it waits for has ended, and its partners have come; no event queue is needed. An instance stops
// only where its partners have yet to come, and any order of walking gives the same times (a Kahn network).
#include <algorithm>
#include <array>
#include <vector>

#include "sim/deadlock.h"
#include "sim/problem.h"

namespace pgram::sim {
namespace {

struct Walker {
  const Instance* instance = nullptr;
  uint32_t call = 0, op = 0;
  const Sync* sync = nullptr;                // next of the call's
  bool resumed = false;                      // all partners have come while it stood at (call, op) ...
  uint32_t unmet = 0;                        // ... for which so many of its ops had to wait ...
  Picoseconds arrival = 0;                   // ... since this time
  std::array<Picoseconds, kStreams> free{};  // the next task of the stream may begin
  std::vector<Picoseconds> events;
  std::vector<Picoseconds> times;  // of the running call's ops: when they start, and then when their stream is done
  std::array<Span*, kStreams> spans{};
  Picoseconds last = 0;
  uint64_t tasks = 0;
  std::array<Picoseconds, kStreams>
      done{};  // all of a stream have ended: an event's time, if not Problem::ends_in_order
};

struct Waiting {
  uint32_t walker = 0, op = 0;
};

struct Meeting {
  Picoseconds latest = 0;
  std::vector<Waiting> waiting;
};

class Evaluator {
 public:
  explicit Evaluator(const Problem& problem) : problem_(problem), meetings_(problem.meeting_size.size()) {
    size_t most_ops = 0;
    for (const Body& body : problem.plan.bodies) most_ops = std::max(most_ops, body.ops.size());
    for (const Instance& instance : problem.instances) {
      Walker& walker = walkers_.emplace_back();
      walker.instance = &instance;
      walker.events.resize(instance.program->num_events);
      walker.times.resize(most_ops);
      std::copy(std::begin(instance.spans), std::end(instance.spans), walker.spans.begin());
    }
  }

  Outcome run() {
    for (uint32_t i = static_cast<uint32_t>(walkers_.size()); i-- > 0;) runnable_.push_back(i);
    while (!runnable_.empty()) {
      const uint32_t next = runnable_.back();
      runnable_.pop_back();
      problem_.ends_in_order ? advance<true>(next) : advance<false>(next);
    }
    Outcome outcome;
    for (const Walker& w : walkers_) {
      outcome.makespan = std::max(outcome.makespan, w.last);
      outcome.tasks += w.tasks;
    }
    if (const std::vector<Stuck> tasks = stuck(); !tasks.empty()) {
      outcome.error = deadlock_text(problem_, tasks);
    }
    return outcome;
  }

 private:
  std::vector<Stuck> stuck() const {
    std::vector<Stuck> result;
    for (const Meeting& meeting : meetings_) {
      for (const Waiting& waiting : meeting.waiting) {
        const Walker& w = walkers_[waiting.walker];
        const Body& body = problem_.plan.bodies[w.instance->program->calls[w.call].body];
        result.push_back({{w.instance->rank, w.call, static_cast<uint16_t>(waiting.op)}, body.ops[waiting.op].comm});
      }
    }
    std::sort(result.begin(), result.end(), [](const Stuck& a, const Stuck& b) { return a.task < b.task; });
    return result;
  }

  /// Until the end of the program, or a meeting that is not complete.
  template <bool kEndsInOrder>
  void advance(uint32_t id) {
    Walker& w = walkers_[id];
    const Program& program = *w.instance->program;
    for (; w.call < program.calls.size(); ++w.call, w.op = 0) {
      const Call& call = program.calls[w.call];
      const Body& body = problem_.plan.bodies[call.body];
      const OpCost* costs = w.instance->costs + problem_.first_op[call.body];
      const Sync* syncs_end = program.syncs.data() + call.first_sync + call.num_syncs;
      const Sync* sync = w.op == 0 && !w.resumed ? syncs_end - call.num_syncs : w.sync;
      if (!kEndsInOrder && body.grouped) {
        if (!body.ops.empty() && !run_group(id, body, costs, sync, syncs_end)) return;
        continue;
      }
      const uint32_t ops = static_cast<uint32_t>(body.ops.size());
      for (uint32_t i = w.op; i < ops; ++i) {
        const Op& op = body.ops[i];
        Picoseconds start = 0;
        if (w.resumed) {
          w.resumed = false;
          start = w.times[i];
        } else {
          start = w.arrival = arrival(w, body, i, sync, syncs_end);
          if (op.comm != kNoComm) {
            w.times[i] = start;
            if (!meet(id, i, w.instance->meetings[op.comm])) {
              w.op = i;
              w.sync = sync;
              w.unmet = 1;
              return;
            }
            start = w.times[i];
          }
        }
        record(w, i, sync, syncs_end, finish<kEndsInOrder>(w, i, op, costs[i], start));
      }
    }
  }

  /// All ops of a grouped body at once. False where the instance must wait for partners.
  bool run_group(uint32_t id, const Body& body, const OpCost* costs, const Sync* sync, const Sync* syncs_end) {
    Walker& w = walkers_[id];
    const uint32_t ops = static_cast<uint32_t>(body.ops.size());
    if (!w.resumed) {
      w.arrival = arrival(w, body, 0, sync, syncs_end);
      w.sync = sync;
      w.unmet = 0;
      for (uint32_t i = 0; i < ops; ++i) {
        w.times[i] = w.arrival;
        if (!meet(id, i, w.instance->meetings[body.ops[i].comm])) ++w.unmet;
      }
      if (w.unmet) return false;
    }
    w.resumed = false;
    Picoseconds done = 0;
    Picoseconds free = 0;
    Picoseconds& stream_free = w.free[static_cast<size_t>(body.ops[0].stream)];
    for (uint32_t i = 0; i < ops; ++i) {
      done = finish<false>(w, i, body.ops[i], costs[i], w.times[i]);
      free = std::max(free, stream_free);
    }
    stream_free = free;
    record(w, ops - 1, sync, syncs_end, done);
    return true;
  }

  static Picoseconds arrival(const Walker& w, const Body& body, uint32_t index, const Sync*& sync,
                             const Sync* syncs_end) {
    const Op& op = body.ops[index];
    Picoseconds time = w.free[static_cast<size_t>(op.stream)];
    for (int i = 0; i < op.num_waits; ++i) time = std::max(time, w.times[body.waits[op.first_wait + i]]);
    for (; sync < syncs_end && sync->op == index && !sync->records(); ++sync) {
      time = std::max(time, w.events[sync->slot()]);
    }
    return time;
  }

  /// The last to come sets the start and wakes the others; before that the instance stays there.
  bool meet(uint32_t id, uint32_t op, uint32_t place) {
    const uint32_t needed = problem_.meeting_size[place];
    if (needed == 1) return true;
    Meeting& meeting = meetings_[place];
    Walker& w = walkers_[id];
    meeting.latest = meeting.waiting.empty() ? w.arrival : std::max(meeting.latest, w.arrival);
    if (meeting.waiting.size() + 1 < needed) {
      meeting.waiting.push_back({id, op});
      return false;
    }
    w.times[op] = meeting.latest;
    for (const Waiting& other : meeting.waiting) {
      Walker& waited = walkers_[other.walker];
      waited.times[other.op] = meeting.latest;
      if (--waited.unmet) continue;
      waited.resumed = true;
      runnable_.push_back(other.walker);
    }
    meeting.waiting.clear();
    return true;
  }

  /// When its stream is done.
  template <bool kEndsInOrder>
  static Picoseconds finish(Walker& w, uint32_t index, const Op& op, const OpCost& cost, Picoseconds start) {
    const size_t stream = static_cast<size_t>(op.stream);
    const Picoseconds free = start + cost.hold, end = free + cost.tail;
    w.free[stream] = free;
    Picoseconds done = end;
    if (!kEndsInOrder) done = w.done[stream] = std::max(w.done[stream], end);
    w.times[index] = done;
    w.last = std::max(w.last, end);
    ++w.tasks;
    if (w.spans[stream]) {
      *w.spans[stream]++ = make_span(*w.instance, w.call, static_cast<uint16_t>(index), static_cast<uint8_t>(stream),
                                     w.arrival, start, end);
    }
    return done;
  }

  static void record(Walker& w, uint32_t index, const Sync*& sync, const Sync* syncs_end, Picoseconds done) {
    for (; sync < syncs_end && sync->op == index; ++sync) w.events[sync->slot()] = done;
  }

  const Problem& problem_;
  std::vector<Walker> walkers_;
  std::vector<Meeting> meetings_;
  std::vector<uint32_t> runnable_;
};

}  // namespace

Outcome evaluate(const Problem& problem) {
  return Evaluator(problem).run();
}

}  // namespace pgram::sim
