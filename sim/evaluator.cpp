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

/// What a walk reads of a Body, close together.
struct Steps {
  const Op* ops = nullptr;
  const uint16_t* waits = nullptr;
  uint32_t count = 0;
  uint32_t first_cost = 0;  // into Instance::costs
  bool grouped = false;
};

struct Walker {
  const Instance* instance = nullptr;
  uint32_t call = 0, op = 0;   // where it stands while it waits for partners
  const Sync* sync = nullptr;  // next of the call's
  bool resumed = false;        // all partners have come while it stood at (call, op) ...
  uint32_t unmet = 0;          // ... for which so many of its ops had to wait ...
  Picoseconds arrival = 0;     // ... since this time
  Picoseconds last = 0;        // all tasks so far have ended
  Picoseconds* events = nullptr;
  Picoseconds* times = nullptr;  // of the running call's ops: when they start, and then when their stream is done
  std::array<Picoseconds, kStreams> free{};  // the next task of the stream may begin
  std::array<Picoseconds, kStreams> done{};  // all tasks of the stream so far have ended; unless kEndsInOrder
  std::array<Span*, kStreams> spans{};
};

struct Waiting {
  uint32_t walker = 0, op = 0;
};

struct Meeting {
  Picoseconds latest = 0;
  uint32_t needed = 0, come = 0;
  uint32_t first_waiting = 0;  // into Evaluator::waiting_: those that have come
};

/// kEndsInOrder: what Problem::ends_in_order says. kSpans: spans are kept.
template <bool kEndsInOrder, bool kSpans>
class Evaluator {
 public:
  explicit Evaluator(const Problem& problem) : problem_(problem) {
    size_t most_ops = 0;
    for (size_t b = 0; b < problem.plan.bodies.size(); ++b) {
      const Body& body = problem.plan.bodies[b];
      most_ops = std::max(most_ops, body.ops.size());
      steps_.push_back({body.ops.data(), body.waits.data(), static_cast<uint32_t>(body.ops.size()), problem.first_op[b],
                        body.grouped});
    }
    uint32_t waiting = 0;
    for (uint32_t size : problem.meeting_size) {
      meetings_.push_back({0, size, 0, waiting});
      waiting += size - 1;
    }
    waiting_.resize(waiting);
    size_t times = 0;
    for (const Instance& instance : problem.instances) times += most_ops + instance.program->num_events;
    times_.resize(times);
    Picoseconds* next = times_.data();
    walkers_.reserve(problem.instances.size());
    for (const Instance& instance : problem.instances) {
      Walker& walker = walkers_.emplace_back();
      walker.instance = &instance;
      walker.times = next;
      walker.events = next += most_ops;
      next += instance.program->num_events;
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
    for (const Walker& w : walkers_) {
      outcome.makespan = std::max(outcome.makespan, w.last);
      if (w.call < w.instance->program->calls.size()) tasks_ += w.op;
    }
    outcome.tasks = tasks_;
    if (const std::vector<Stuck> tasks = stuck(); !tasks.empty()) {
      outcome.error = deadlock_text(problem_, tasks);
    }
    return outcome;
  }

 private:
  std::vector<Stuck> stuck() const {
    std::vector<Stuck> result;
    for (const Meeting& meeting : meetings_) {
      for (uint32_t i = 0; i < meeting.come; ++i) {
        const Waiting& waiting = waiting_[meeting.first_waiting + i];
        const Walker& w = walkers_[waiting.walker];
        const Body& body = problem_.plan.bodies[w.instance->program->calls[w.call].body];
        result.push_back({{w.instance->rank, w.call, static_cast<uint16_t>(waiting.op)}, body.ops[waiting.op].comm});
      }
    }
    std::sort(result.begin(), result.end(), [](const Stuck& a, const Stuck& b) { return a.task < b.task; });
    return result;
  }

  /// Until the end of the program, or a meeting that is not complete.
  void advance(uint32_t id) {
    Walker& w = walkers_[id];
    const Instance& instance = *w.instance;
    const Call* const calls = instance.program->calls.data();
    const Call* const calls_end = calls + instance.program->calls.size();
    const Sync* const syncs = instance.program->syncs.data();
    const Steps* const bodies = steps_.data();
    const OpCost* const all_costs = instance.costs;
    for (const Call* call = calls + w.call; call != calls_end; ++call) {
      const Steps& steps = bodies[call->body];
      const OpCost* const costs = all_costs + steps.first_cost;
      const Sync* sync = syncs + call->first_sync;
      const Sync* const syncs_end = sync + call->num_syncs;
      // Programs are read in turns, a few calls of each: too many places at once for the processor to look ahead.
      __builtin_prefetch(call + 6);
      __builtin_prefetch(syncs_end + 16);
      uint32_t i = 0;
      if (w.resumed) {
        sync = w.sync;
        i = w.op;
      }
      if (!kEndsInOrder && steps.grouped) {
        w.call = static_cast<uint32_t>(call - calls);
        if (steps.count > 0 && !run_group(id, steps, costs, sync, syncs_end)) return;
        tasks_ += steps.count;
        continue;
      }
      for (; i < steps.count; ++i) {
        const Op& op = steps.ops[i];
        Picoseconds came, start;
        if (w.resumed) {
          w.resumed = false;
          came = w.arrival;
          start = w.times[i];
        } else {
          came = start = arrival(w, steps, i, sync, syncs_end);
          if (op.comm != kNoComm && !meet(id, i, instance.meetings[op.comm], came, start)) {
            w.call = static_cast<uint32_t>(call - calls);
            w.op = i;
            w.sync = sync;
            w.unmet = 1;
            w.arrival = came;
            return;
          }
        }
        finish(w, static_cast<uint32_t>(call - calls), i, op, costs[i], came, start);
        record(w, i, sync, syncs_end);
      }
      tasks_ += steps.count;
    }
    w.call = static_cast<uint32_t>(calls_end - calls);
  }

  /// All ops of a grouped body at once. False where the instance must wait for partners.
  bool run_group(uint32_t id, const Steps& steps, const OpCost* costs, const Sync* sync, const Sync* syncs_end) {
    Walker& w = walkers_[id];
    if (w.resumed) {
      sync = w.sync;
    } else {
      w.arrival = arrival(w, steps, 0, sync, syncs_end);
      w.op = 0;
      w.sync = sync;
      w.unmet = 0;
      for (uint32_t i = 0; i < steps.count; ++i) {
        w.times[i] = w.arrival;
        if (!meet(id, i, w.instance->meetings[steps.ops[i].comm], w.arrival, w.times[i])) ++w.unmet;
      }
      if (w.unmet) return false;
    }
    w.resumed = false;
    Picoseconds free = 0;
    Picoseconds& stream_free = w.free[static_cast<size_t>(steps.ops[0].stream)];
    for (uint32_t i = 0; i < steps.count; ++i) {
      finish(w, w.call, i, steps.ops[i], costs[i], w.arrival, w.times[i]);
      free = std::max(free, stream_free);
    }
    stream_free = free;
    record(w, steps.count - 1, sync, syncs_end);
    return true;
  }

  static Picoseconds arrival(const Walker& w, const Steps& steps, uint32_t index, const Sync*& sync,
                             const Sync* syncs_end) {
    const Op& op = steps.ops[index];
    Picoseconds time = w.free[static_cast<size_t>(op.stream)];
    for (int i = 0; i < op.num_waits; ++i) time = std::max(time, w.times[steps.waits[op.first_wait + i]]);
    for (; sync < syncs_end && sync->op == index && !sync->records(); ++sync) {
      time = std::max(time, w.events[sync->slot()]);
    }
    return time;
  }

  /// The last to come gets the start and wakes the others, which get it too; false for those before it.
  bool meet(uint32_t id, uint32_t op, uint32_t place, Picoseconds arrival, Picoseconds& start) {
    Meeting& meeting = meetings_[place];
    meeting.latest = std::max(meeting.latest, arrival);
    Waiting* waiting = waiting_.data() + meeting.first_waiting;
    if (meeting.come + 1 < meeting.needed) {
      waiting[meeting.come++] = {id, op};
      return false;
    }
    start = meeting.latest;
    for (uint32_t i = 0; i < meeting.come; ++i) {
      Walker& waited = walkers_[waiting[i].walker];
      waited.times[waiting[i].op] = start;
      if (--waited.unmet) continue;
      waited.resumed = true;
      runnable_.push_back(waiting[i].walker);
    }
    meeting.come = 0;
    meeting.latest = 0;
    return true;
  }

  static void finish(Walker& w, uint32_t call, uint32_t index, const Op& op, const OpCost& cost, Picoseconds came,
                     Picoseconds start) {
    const size_t stream = static_cast<size_t>(op.stream);
    const Picoseconds free = start + cost.hold, end = free + cost.tail;
    w.free[stream] = free;
    w.last = std::max(w.last, end);
    w.times[index] = kEndsInOrder ? end : (w.done[stream] = std::max(w.done[stream], end));
    if (kSpans) {
      *w.spans[stream]++ =
          make_span(*w.instance, call, static_cast<uint16_t>(index), static_cast<uint8_t>(stream), came, start, end);
    }
  }

  static void record(Walker& w, uint32_t index, const Sync*& sync, const Sync* syncs_end) {
    for (; sync < syncs_end && sync->op == index; ++sync) w.events[sync->slot()] = w.times[index];
  }

  const Problem& problem_;
  std::vector<Steps> steps_;  // per body
  std::vector<Walker> walkers_;
  std::vector<Picoseconds> times_;  // of all walkers
  std::vector<Meeting> meetings_;
  std::vector<Waiting> waiting_;
  std::vector<uint32_t> runnable_;
  uint64_t tasks_ = 0;  // of all calls that have ended
};

template <bool kEndsInOrder>
Outcome evaluate(const Problem& problem) {
  const bool spans = !problem.instances.empty() && problem.instances[0].spans[0];
  return spans ? Evaluator<kEndsInOrder, true>(problem).run() : Evaluator<kEndsInOrder, false>(problem).run();
}

}  // namespace

Outcome evaluate(const Problem& problem) {
  return problem.ends_in_order ? evaluate<true>(problem) : evaluate<false>(problem);
}

}  // namespace pgram::sim
