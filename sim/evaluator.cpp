// Engine 1: walks every instance in program order. Nothing is shared, so the start of a task is the maximum of when its
// stream is free, what it waits for has ended, and its partners have come; no event queue is needed. An instance stops
// only where its partners have yet to come, and any order of walking gives the same times (a Kahn network).
#include <algorithm>
#include <array>
#include <map>
#include <utility>
#include <vector>

#include "sim/deadlock.h"
#include "sim/evaluator_tables.h"
#include "sim/problem.h"

namespace pgram::sim {
namespace {

/// In a program: at the task that was walked last, or that waits.
struct Place {
  const TableOp* task = nullptr;
  const Call* next = nullptr;                        // the call after the task's; null: there is no more
  const Sync *sync = nullptr, *syncs_end = nullptr;  // those of the call that are left
};

struct Meeting;

/// What every task reads and what is kept while it waits is in two cache lines.
struct alignas(64) Walker {
  Place place;
  const Call* end = nullptr;    // of the program
  const Sync* syncs = nullptr;  // of the program
  Picoseconds* free = nullptr;  // per stream of the table: the next task may begin, see Evaluator::kPerStream
  Picoseconds* events = nullptr;
  const TableOp* const* bodies = nullptr;  // of the table
  Meeting* const* meetings = nullptr;  // per communicator of the table, as TableOp::comm; null: there is nobody to meet
  Picoseconds* times = nullptr;        // of the running call's ops: when all tasks of their stream so far have ended
  const uint16_t* waits = nullptr;     // of the table
  // While it waits for partners:
  Picoseconds arrival = 0;          // since this time
  Picoseconds start = 0;            // they have come
  Walker* next_runnable = nullptr;  // after it, once they have
  uint32_t unmet = 0;               // in a group, whose ops' times are when they start: for the partners of so many
};
static_assert(sizeof(Walker) == 128);

struct Meeting {
  Walker* first = nullptr;  // to have come; it knows when
  uint16_t op = 0;          // of the first; unless kEndsInOrder
  bool many = false;        // more than two meet
};

struct Waiting {
  Walker* walker = nullptr;
  uint16_t op = 0;
};

/// A meeting of more than two: who has come after the first, and for how many it waits.
struct Others {
  uint32_t needed = 0, come = 0;
  uint32_t first = 0;      // into Evaluator::others_
  Picoseconds latest = 0;  // of those who have come
};

/// kEndsInOrder: what PlanIndex::ends_in_order says. kSpans: spans are kept.
template <bool kEndsInOrder, bool kSpans>
class Evaluator {
 public:
  explicit Evaluator(const Problem& problem) : problem_(problem), meetings_(problem.meeting_size.size()) {
    uint32_t most = 0;
    for (size_t i = 0; i < meetings_.size(); ++i) {
      const uint32_t size = problem.meeting_size[i];
      meetings_[i].many = size > 2;
      others_of_.push_back({size - std::min(size, 1u), 0, most});
      most += size - std::min(size, 2u);
    }
    others_.resize(most);
    make_tables();
    make_walkers();
  }

  Outcome run() {
    for (Walker& w : walkers_) walk(&w);
    Outcome outcome;
    for (const Walker& w : walkers_) {
      outcome.tasks += tasks_done(w);
      outcome.makespan = std::max(outcome.makespan, end_of(w));
    }
    if (const std::vector<Stuck> tasks = stuck(); !tasks.empty()) outcome.error = deadlock_text(problem_, tasks);
    return outcome;
  }

 private:
  void make_tables() {
    tables_.reserve(problem_.instances.size());
    std::map<std::pair<const OpCost*, const Program*>, const OpTable*> known;
    for (const Instance& instance : problem_.instances) {
      const auto [entry, is_new] = known.try_emplace({instance.costs, instance.program}, nullptr);
      if (is_new) {
        const OpTable* const before = tables_.empty() ? nullptr : &tables_.back();
        entry->second = &tables_.emplace_back(problem_, instance, before);
      }
      table_of_.push_back(entry->second);
    }
  }

  void make_walkers() {
    size_t times = 0, places = 0, i = 0;
    for (const OpTable* table : table_of_) {
      times += kPerStream * table->ops->streams.size() + table->ops->most_ops;
      times += problem_.instances[i++].program->num_events;
      places += 1 + table->comms->size();
    }
    walkers_.resize(table_of_.size());
    times_.resize(times);
    places_.reserve(places);
    Picoseconds* next = times_.data();
    const auto take = [&](size_t count) { return std::exchange(next, next + count); };
    i = 0;
    for (Walker& w : walkers_) {
      const Instance& instance = problem_.instances[i];
      const OpTable& table = *table_of_[i++];
      w.bodies = table.bodies.data();
      w.waits = table.ops->waits.data();
      w.place.next = instance.program->calls.data();
      w.end = w.place.next + instance.program->calls.size();
      w.syncs = instance.program->syncs.data();
      w.free = take(kPerStream * table.ops->streams.size());
      w.times = take(table.ops->most_ops);
      w.events = take(instance.program->num_events);
      w.meetings = places_.data() + places_.size();
      places_.push_back(nullptr);
      for (uint16_t comm : *table.comms) {
        const uint32_t place = instance.meetings[comm];
        places_.push_back(problem_.meeting_size[place] < 2 ? nullptr : &meetings_[place]);
      }
      if (kSpans) spans_.push_back(std::to_array(instance.spans));
    }
  }

  size_t index_of(const Walker& w) const { return static_cast<size_t>(&w - walkers_.data()); }
  const Instance& instance_of(const Walker& w) const { return problem_.instances[index_of(w)]; }
  uint32_t call_of(const Walker& w, const Call* next) const {
    return static_cast<uint32_t>(next - 1 - instance_of(w).program->calls.data());
  }

  /// When all tasks so far have ended.
  Picoseconds end_of(const Walker& w) const {
    const Ops& ops = *table_of_[index_of(w)]->ops;
    Picoseconds end = 0;
    for (size_t i = 0; i < ops.streams.size(); ++i) {
      const Picoseconds* const stream = w.free + i * kPerStream;
      if (!kEndsInOrder) {
        end = std::max(end, stream[1]);
      } else if (stream[0] > 0 || !w.place.next) {
        end = std::max(end, stream[0] + ops.tails[i]);
      }
    }
    return end;
  }

  /// All, unless it waits.
  uint64_t tasks_done(const Walker& w) const {
    uint64_t tasks = 0;
    for (const uint64_t of_stream : problem_.index.tasks(problem_.plan.role(instance_of(w).rank))) tasks += of_stream;
    if (!w.place.next) return tasks;
    for (const Call* call = w.place.next - 1; call < w.end; ++call)
      tasks -= problem_.plan.bodies[call->body].ops.size();
    return tasks + w.place.task->op;
  }

  std::vector<Stuck> stuck() const {
    std::vector<Stuck> result;
    const auto add = [&](const Walker& w, uint16_t op) {
      const Op& of_body = problem_.plan.bodies[w.place.next[-1].body].ops[op];
      result.push_back({{instance_of(w).rank, call_of(w, w.place.next), op}, of_body.comm});
    };
    for (size_t i = 0; i < meetings_.size(); ++i) {
      if (const Walker* w = meetings_[i].first) add(*w, kEndsInOrder ? w->place.task->op : meetings_[i].op);
      for (uint32_t other = 0; other < others_of_[i].come; ++other) {
        const Waiting& waiting = others_[others_of_[i].first + other];
        add(*waiting.walker, waiting.op);
      }
    }
    std::sort(result.begin(), result.end(), [](const Stuck& a, const Stuck& b) { return a.task < b.task; });
    return result;
  }

  /// From the start of its program on until it waits for partners, and then whoever's partners have come, until nobody
  /// can go on. Calls of one op, as most that communicate are, pass within this one function. Not inline: it wants all
  /// registers.
  [[gnu::noinline]] void walk(Walker* w) {
    Place at = w->place;
    for (;;) {
      for (;;) {
        if (at.next == w->end) {
          w->place.next = nullptr;
          break;
        }
        enter_call(*w, at);
        if (at.task->alone) {
          if (!pass<true>(*w, at)) break;
        } else {
          w->place = at;
          if (!pass_ops(*w)) break;
        }
      }
      do {
        w = runnable_;
        if (!w) return;
        runnable_ = w->next_runnable;
        at = w->place;
        if (at.task->alone) {
          finish<true>(*w, at, w->arrival, w->start);
          break;
        }
      } while (!resume_ops(*w));
    }
  }

  static void enter_call(const Walker& w, Place& at) {
    // Programs are read in turns, a few calls of each: too many places at once for the processor to look ahead.
    __builtin_prefetch(at.next + 6);
    const Call& call = *at.next++;
    at.sync = w.syncs + call.first_sync;
    at.syncs_end = at.sync + call.num_syncs;
    __builtin_prefetch(at.syncs_end + 16);
    at.task = w.bodies[call.body];
  }

  /// The rest of a call of several ops or none, from its place on; false: it waits.
  [[gnu::noinline]] bool pass_ops(Walker& w) {
    Place at = w.place;
    if (at.task == &kNoOp) return true;
    if (!kEndsInOrder && at.task->grouped) {
      meet_group(w, at);
      w.place = at;
      if (w.unmet > 0) return false;
      finish_group(w, at);
      return true;
    }
    for (; pass<false>(w, at); ++at.task) {
      if (at.task->last) return true;
    }
    return false;
  }

  /// The same, from where its partners have come.
  [[gnu::noinline]] bool resume_ops(Walker& w) {
    Place at = w.place;
    if (!kEndsInOrder && at.task->grouped) {
      finish_group(w, at);
      return true;
    }
    finish<false>(w, at, w.arrival, w.start);
    if (at.task->last) return true;
    ++at.task;
    w.place = at;
    return pass_ops(w);
  }

  /// kIsAlone: as TableOp::alone. False: it waits.
  template <bool kIsAlone>
  bool pass(Walker& w, Place& at) {
    const TableOp& task = *at.task;
    const Picoseconds came = arrival<kIsAlone>(w, at);
    Picoseconds start = came;
    Meeting* const meeting = w.meetings[task.comm];
    if (meeting && !meet(*meeting, {&w, task.op}, came, start)) {
      w.arrival = came;
      w.place = at;
      return false;
    }
    finish<kIsAlone>(w, at, came, start);
    return true;
  }

  template <bool kIsAlone>
  static Picoseconds arrival(const Walker& w, Place& at) {
    const TableOp& task = *at.task;
    Picoseconds time = w.free[task.stream * kPerStream];
    if (!kIsAlone) {
      for (uint32_t i = 0; i < task.num_waits; ++i) time = std::max(time, w.times[w.waits[task.first_wait + i]]);
    }
    const Picoseconds* const events = w.events;
    for (; at.sync != at.syncs_end && (kIsAlone || at.sync->op == task.op) && !at.sync->records(); ++at.sync) {
      time = std::max(time, events[at.sync->slot()]);
    }
    return time;
  }

  template <bool kIsAlone>
  void finish(Walker& w, Place& at, Picoseconds came, Picoseconds start) {
    const TableOp& task = *at.task;
    const Picoseconds free = start + task.hold, ended = free + task.tail;
    Picoseconds* const of_stream = w.free + task.stream * kPerStream;
    of_stream[0] = free;
    if (kSpans) {
      const size_t index = index_of(w);
      const uint8_t stream = table_of_[index]->ops->streams[task.stream];
      *spans_[index][stream]++ =
          make_span(problem_.instances[index], call_of(w, at.next), task.op, stream, came, start, ended);
    }
    const Picoseconds time = kEndsInOrder ? ended : std::max(of_stream[1], ended);
    if (!kEndsInOrder) of_stream[1] = time;
    if (!kIsAlone) w.times[task.op] = time;
    Picoseconds* const events = w.events;
    for (; at.sync != at.syncs_end && (kIsAlone || at.sync->op == task.op); ++at.sync) events[at.sync->slot()] = time;
  }

  /// The last to come gets the start and wakes the others, which get it too; false for those before it.
  bool meet(Meeting& meeting, Waiting own, Picoseconds arrival, Picoseconds& start) {
    Walker* const first = meeting.first;
    if (!first) {
      meeting.first = own.walker;
      if (!kEndsInOrder) meeting.op = own.op;
      return false;
    }
    Picoseconds latest = std::max(first->arrival, arrival);
    if (meeting.many && !is_last(meeting, own, latest)) return false;
    start = latest;
    wake(*first, meeting.op, latest);
    meeting.first = nullptr;
    return true;
  }

  /// Whether all but this one have come after the first; then they are woken. `latest`: of the first and this one, and
  /// then of all.
  [[gnu::noinline]] bool is_last(const Meeting& meeting, Waiting own, Picoseconds& latest) {
    Others& others = others_of_[static_cast<size_t>(&meeting - meetings_.data())];
    others.latest = latest = std::max(others.latest, latest);
    Waiting* const come = others_.data() + others.first;
    if (others.come + 1 < others.needed) {
      come[others.come++] = own;
      return false;
    }
    for (uint32_t i = 0; i < others.come; ++i) wake(*come[i].walker, come[i].op, latest);
    others.come = 0;
    others.latest = 0;
    return true;
  }

  void wake(Walker& w, uint16_t op, Picoseconds start) {
    if (!kEndsInOrder && w.unmet > 0) {
      w.times[op] = start;
      if (--w.unmet > 0) return;
    }
    w.start = start;
    // Many walkers wait at once, more than the processor keeps near; a few tasks of this one come before its turn.
    __builtin_prefetch(w.free);
    __builtin_prefetch(w.place.sync);
    __builtin_prefetch(w.place.next);
    w.next_runnable = runnable_;
    runnable_ = &w;
  }

  /// All ops of a group come to their meetings at once.
  void meet_group(Walker& w, Place& at) {
    w.arrival = arrival<false>(w, at);
    for (const TableOp* task = at.task;; ++task) {
      w.times[task->op] = w.arrival;
      Meeting* const meeting = w.meetings[task->comm];
      if (meeting && !meet(*meeting, {&w, task->op}, w.arrival, w.times[task->op])) ++w.unmet;
      if (task->last) return;
    }
  }

  void finish_group(Walker& w, Place& at) {
    Picoseconds& free_at = w.free[at.task->stream * kPerStream];
    Picoseconds free = 0;
    for (;; ++at.task) {
      finish<false>(w, at, w.arrival, w.times[at.task->op]);
      free = std::max(free, free_at);
      if (at.task->last) break;
    }
    free_at = free;
  }

  /// In Walker::free: when the next task may begin and, unless kEndsInOrder, when all so far have ended.
  static constexpr size_t kPerStream = kEndsInOrder ? 1 : 2;

  const Problem& problem_;
  std::vector<OpTable> tables_;
  std::vector<const OpTable*> table_of_;  // of each walker
  std::vector<Walker> walkers_;
  std::vector<Picoseconds> times_;                  // of all walkers: streams, ops and events
  std::vector<Meeting*> places_;                    // of all walkers: of their communicators
  std::vector<std::array<Span*, kStreams>> spans_;  // of each walker, if kSpans
  std::vector<Meeting> meetings_;
  std::vector<Others> others_of_;  // of each meeting
  std::vector<Waiting> others_;
  Walker* runnable_ = nullptr;  // the one that became so last
};

template <bool kEndsInOrder>
Outcome evaluate(const Problem& problem) {
  const bool spans = !problem.instances.empty() && problem.instances[0].spans[0];
  return spans ? Evaluator<kEndsInOrder, true>(problem).run() : Evaluator<kEndsInOrder, false>(problem).run();
}

}  // namespace

Outcome evaluate(const Problem& problem) {
  return problem.index.ends_in_order() ? evaluate<true>(problem) : evaluate<false>(problem);
}

}  // namespace pgram::sim
