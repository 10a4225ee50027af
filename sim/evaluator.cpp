// Engine 1: walks every instance in program order. Nothing is shared, so the start of a task is the maximum of when its
// stream is free, what it waits for has ended, and its partners have come; no event queue is needed. An instance stops
// only where its partners have yet to come, and any order of walking gives the same times (a Kahn network).
#include <algorithm>
#include <array>
#include <vector>

#include "sim/problem.h"

namespace pgram::sim {
namespace {

struct Walker {
  const Instance* instance = nullptr;
  uint32_t call = 0, op = 0;
  const Sync* sync = nullptr;  // next of the call's
  bool resumed = false;        // the partners have come while it stood at (call, op) ...
  Picoseconds arrival = 0;     // ... since this time
  Picoseconds start = 0;       // ... and start together
  std::array<Picoseconds, kStreams> free{};
  std::vector<Picoseconds> events;
  std::vector<Picoseconds> ends;  // of the running call's ops
  std::array<Span*, kStreams> spans{};
  Picoseconds last = 0;
  uint64_t tasks = 0;
};

struct Meeting {
  Picoseconds latest = 0;
  std::vector<uint32_t> waiting;
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
      walker.ends.resize(most_ops);
      std::copy(std::begin(instance.spans), std::end(instance.spans), walker.spans.begin());
    }
  }

  Outcome run() {
    for (uint32_t i = static_cast<uint32_t>(walkers_.size()); i-- > 0;) runnable_.push_back(i);
    while (!runnable_.empty()) {
      const uint32_t next = runnable_.back();
      runnable_.pop_back();
      advance(next);
    }
    Outcome outcome;
    std::vector<Stuck> stuck;
    for (const Walker& w : walkers_) {
      outcome.makespan = std::max(outcome.makespan, w.last);
      outcome.tasks += w.tasks;
      const std::vector<Call>& calls = w.instance->program->calls;
      if (w.call == calls.size()) continue;
      const Op& op = problem_.plan.bodies[calls[w.call].body].ops[w.op];
      stuck.push_back({{w.instance->rank, w.call, static_cast<uint16_t>(w.op)}, op.comm});
    }
    if (!stuck.empty()) outcome.error = deadlock_text(problem_.plan, stuck);
    return outcome;
  }

 private:
  /// Until the end of the program, or a meeting that is not complete.
  void advance(uint32_t id) {
    Walker& w = walkers_[id];
    const Program& program = *w.instance->program;
    for (; w.call < program.calls.size(); ++w.call, w.op = 0) {
      const Call& call = program.calls[w.call];
      const Body& body = problem_.plan.bodies[call.body];
      const OpCost* costs = w.instance->costs + problem_.first_op[call.body];
      const Sync* syncs_end = program.syncs.data() + call.first_sync + call.num_syncs;
      if (w.op == 0 && !w.resumed) w.sync = syncs_end - call.num_syncs;
      for (; w.op < body.ops.size(); ++w.op) {
        const Op& op = body.ops[w.op];
        if (w.resumed) {
          w.resumed = false;
        } else {
          w.arrival = w.start = arrival(w, body, op, syncs_end);
          if (op.comm != kNoComm && !meet(id, w.instance->meetings[op.comm])) return;
        }
        finish(w, op, costs[w.op], syncs_end);
      }
    }
  }

  static Picoseconds arrival(Walker& w, const Body& body, const Op& op, const Sync* syncs_end) {
    Picoseconds time = w.free[static_cast<size_t>(op.stream)];
    for (int i = 0; i < op.num_waits; ++i) time = std::max(time, w.ends[body.waits[op.first_wait + i]]);
    for (; w.sync < syncs_end && w.sync->op == w.op && !w.sync->records(); ++w.sync) {
      time = std::max(time, w.events[w.sync->slot()]);
    }
    return time;
  }

  /// The last to come sets the start and wakes the others; before that the instance stays there.
  bool meet(uint32_t id, uint32_t place) {
    const uint32_t needed = problem_.meeting_size[place];
    if (needed == 1) return true;
    Meeting& meeting = meetings_[place];
    Walker& w = walkers_[id];
    meeting.latest = meeting.waiting.empty() ? w.arrival : std::max(meeting.latest, w.arrival);
    if (meeting.waiting.size() + 1 < needed) {
      meeting.waiting.push_back(id);
      return false;
    }
    w.start = meeting.latest;
    for (uint32_t other : meeting.waiting) {
      walkers_[other].start = meeting.latest;
      walkers_[other].resumed = true;
      runnable_.push_back(other);
    }
    meeting.waiting.clear();
    return true;
  }

  static void finish(Walker& w, const Op& op, const OpCost& cost, const Sync* syncs_end) {
    const size_t stream = static_cast<size_t>(op.stream);
    const Picoseconds free = w.start + cost.hold, end = free + cost.tail;
    w.free[stream] = free;
    w.ends[w.op] = end;
    w.last = std::max(w.last, end);
    ++w.tasks;
    if (w.spans[stream]) {
      *w.spans[stream]++ = make_span(*w.instance, w.call, static_cast<uint16_t>(w.op), static_cast<uint8_t>(stream),
                                     w.arrival, w.start, end);
    }
    for (; w.sync < syncs_end && w.sync->op == w.op; ++w.sync) w.events[w.sync->slot()] = end;
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
