// Engine 1: walks every instance in program order. Nothing is shared, so the start of a task is the maximum of when its
// stream is free, what it waits for has ended, and its partners have come; no event queue is needed. An instance stops
// only where its partners have yet to come, and any order of walking gives the same times (a Kahn network).
#include <algorithm>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "sim/deadlock.h"
#include "sim/problem.h"

namespace pgram::sim {
namespace {

/// An op of one kind of rank: all that a walk needs to know, in half a cache line.
struct Task {
  Picoseconds hold = 0, tail = 0;  // as OpCost
  uint32_t first_wait = 0;         // into Table::waits
  uint16_t comm = kNoComm;         // index into Table::comms
  uint16_t op = 0;                 // of its body
  uint8_t stream = 0;              // index into Table::streams
  uint8_t num_waits = 0;
  bool last = true;      // of its body
  bool grouped = false;  // its body is
};
static_assert(sizeof(Task) == 32);
constexpr Task kBeforeAll;  // of a program

/// What ranks with one role and one table of costs walk. Ops, streams and communicators are numbered as the role uses
/// them, so that what a walk reads lies close together however large the plan is.
struct Table {
  std::vector<uint32_t> bodies;  // of the plan: the first of its tasks; kNone: it has none, or the role does not use it
  std::vector<Task> tasks;
  std::vector<uint16_t> waits;  // ops of the task's body
  std::vector<uint8_t> streams;
  const std::vector<uint16_t>* comms = nullptr;
  uint32_t most_ops = 0;  // of a body

  Table(const Problem& problem, const Instance& instance) : bodies(problem.plan.bodies.size(), kNone) {
    const Usage& usage = problem.index.usage();
    const uint32_t role = problem.plan.role(instance.rank);
    comms = &usage.comms[role];
    for (uint16_t b : usage.bodies[role]) {
      const Body& body = problem.plan.bodies[b];
      if (body.ops.empty()) continue;
      bodies[b] = static_cast<uint32_t>(tasks.size());
      most_ops = std::max(most_ops, static_cast<uint32_t>(body.ops.size()));
      const auto first_wait = static_cast<uint32_t>(waits.size());
      waits.insert(waits.end(), body.waits.begin(), body.waits.end());
      const OpCost* cost = instance.costs + problem.first_op[b];
      for (uint16_t i = 0; i < body.ops.size(); ++i, ++cost) {
        const Op& op = body.ops[i];
        const auto comm = std::lower_bound(comms->begin(), comms->end(), op.comm) - comms->begin();
        tasks.push_back({cost->hold, cost->tail, first_wait + op.first_wait,
                         op.comm == kNoComm ? kNoComm : static_cast<uint16_t>(comm), i, number_of(op.stream),
                         op.num_waits, i + 1u == body.ops.size(), body.grouped});
      }
    }
  }

 private:
  uint8_t number_of(Stream stream) {
    const auto at = std::find(streams.begin(), streams.end(), static_cast<uint8_t>(stream));
    const auto number = static_cast<uint8_t>(at - streams.begin());
    if (at == streams.end()) streams.push_back(static_cast<uint8_t>(stream));
    return number;
  }
};

/// In a program: at the task that was walked last, or that waits.
struct Place {
  const Task* task = nullptr;
  const Call* next = nullptr;                        // the call after the task's
  const Sync *sync = nullptr, *syncs_end = nullptr;  // those of the call that are left
};

/// What every task reads and what is kept while it waits is in two cache lines.
struct alignas(64) Walker {
  Place place{&kBeforeAll, nullptr, nullptr, nullptr};
  const Call* end = nullptr;     // of the program
  const Sync* syncs = nullptr;   // of the program
  Picoseconds* free = nullptr;   // per stream of the table: the next task may begin
  Picoseconds* times = nullptr;  // of the running call's ops: when all tasks of their stream so far have ended
  Picoseconds* events = nullptr;
  const uint32_t* meetings = nullptr;  // per communicator of the table, as Evaluator::Meet
  const uint32_t* bodies = nullptr;    // of the table, as the next two are
  const Task* tasks = nullptr;
  const uint16_t* waits = nullptr;
  // While it waits for partners:
  Picoseconds arrival = 0;  // since this time
  Picoseconds start = 0;    // they have come
  uint32_t unmet = 0;       // in a group, whose ops' times are when they start: for the partners of so many
  bool finished = false;    // its program

  const Table* table = nullptr;
  const Instance* instance = nullptr;
  Picoseconds* done = nullptr;  // per stream: all tasks so far have ended; unless kEndsInOrder
  Span** spans = nullptr;       // per stream; if kSpans
};

struct Waiting {
  uint32_t walker = kNone, op = 0;
};

struct Meeting {
  Picoseconds latest = 0;
  Waiting first;  // to have come
};

/// A meeting of more than two: who has come after the first, and for how many it waits.
struct Others {
  uint32_t needed = 0, come = 0;
  uint32_t first = 0;  // into Evaluator::others_
};

/// kEndsInOrder: what PlanIndex::ends_in_order says. kSpans: spans are kept.
template <bool kEndsInOrder, bool kSpans>
class Evaluator {
 public:
  explicit Evaluator(const Problem& problem) : problem_(problem), meetings_(problem.meeting_size.size()) {
    uint32_t most = 0;
    for (uint32_t size : problem.meeting_size) {
      others_of_.push_back({size - std::min(size, 1u), 0, most});
      most += size - std::min(size, 2u);
    }
    others_.resize(most);
    make_tables();
    make_walkers();
  }

  Outcome run() {
    for (uint32_t id = 0; id < walkers_.size(); ++id) walk(id);
    Outcome outcome;
    outcome.makespan = makespan_;
    for (const Walker& w : walkers_) outcome.tasks += tasks_done(w);
    if (const std::vector<Stuck> tasks = stuck(); !tasks.empty()) outcome.error = deadlock_text(problem_, tasks);
    return outcome;
  }

 private:
  /// In the lowest bits of Walker::meetings, for which operations wait; above them the place in `meetings_`.
  enum Meet : uint32_t { kAlone, kPair, kMany, kMeetBits = 2 };

  void make_tables() {
    tables_.reserve(problem_.instances.size());
    walkers_.reserve(problem_.instances.size());
    std::map<std::pair<const OpCost*, const Program*>, const Table*> known;
    for (const Instance& instance : problem_.instances) {
      const auto [entry, is_new] = known.try_emplace({instance.costs, instance.program}, nullptr);
      if (is_new) entry->second = &tables_.emplace_back(problem_, instance);
      walkers_.emplace_back().table = entry->second;
    }
  }

  void make_walkers() {
    size_t times = 0, places = 0, spans = 0, i = 0;
    for (const Walker& w : walkers_) {
      const size_t streams = w.table->streams.size();
      times += (kEndsInOrder ? 1 : 2) * streams + w.table->most_ops + problem_.instances[i++].program->num_events;
      places += w.table->comms->size();
      spans += kSpans ? streams : 0;
    }
    times_.resize(times);
    places_.reserve(places);
    spans_.reserve(spans);
    runnable_ = std::make_unique_for_overwrite<uint32_t[]>(walkers_.size());
    Picoseconds* next = times_.data();
    const auto take = [&](size_t count) { return std::exchange(next, next + count); };
    i = 0;
    for (Walker& w : walkers_) {
      const Instance& instance = problem_.instances[i++];
      w.instance = &instance;
      w.bodies = w.table->bodies.data();
      w.tasks = w.table->tasks.data();
      w.waits = w.table->waits.data();
      w.place.next = instance.program->calls.data();
      w.end = w.place.next + instance.program->calls.size();
      w.syncs = instance.program->syncs.data();
      w.free = take(w.table->streams.size());
      w.times = take(w.table->most_ops);
      w.events = take(instance.program->num_events);
      if (!kEndsInOrder) w.done = take(w.table->streams.size());
      w.meetings = places_.data() + places_.size();
      for (uint16_t comm : *w.table->comms) {
        const uint32_t place = instance.meetings[comm], size = problem_.meeting_size[place];
        places_.push_back(place << kMeetBits | (size < 2 ? kAlone : size == 2 ? kPair : kMany));
      }
      if (!kSpans) continue;
      w.spans = spans_.data() + spans_.size();
      for (uint8_t stream : w.table->streams) spans_.push_back(instance.spans[stream]);
    }
  }

  static uint32_t call_of(const Walker& w, const Call* next) {
    return static_cast<uint32_t>(next - 1 - w.instance->program->calls.data());
  }

  /// All, unless it waits.
  uint64_t tasks_done(const Walker& w) const {
    uint64_t tasks = 0;
    for (const uint64_t of_stream : problem_.index.tasks(problem_.plan.role(w.instance->rank))) tasks += of_stream;
    if (w.finished) return tasks;
    for (const Call* call = w.place.next - 1; call < w.end; ++call)
      tasks -= problem_.plan.bodies[call->body].ops.size();
    return tasks + w.place.task->op;
  }

  std::vector<Stuck> stuck() const {
    std::vector<Stuck> result;
    const auto add = [&](const Waiting& waiting) {
      const Walker& w = walkers_[waiting.walker];
      const Op& op = problem_.plan.bodies[w.place.next[-1].body].ops[waiting.op];
      result.push_back({{w.instance->rank, call_of(w, w.place.next), static_cast<uint16_t>(waiting.op)}, op.comm});
    };
    for (size_t i = 0; i < meetings_.size(); ++i) {
      if (meetings_[i].first.walker != kNone) add(meetings_[i].first);
      for (uint32_t other = 0; other < others_of_[i].come; ++other) add(others_[others_of_[i].first + other]);
    }
    std::sort(result.begin(), result.end(), [](const Stuck& a, const Stuck& b) { return a.task < b.task; });
    return result;
  }

  /// From the start of its program on until it waits for partners, and then whoever's partners have come, until nobody
  /// can go on. Not inline: it wants all registers.
  [[gnu::noinline]] void walk(uint32_t id) {
    Walker* w = &walkers_[id];
    Place at = w->place;
    for (;;) {
      for (;;) {
        if (!at.task->last) {
          ++at.task;
        } else if (!enter_call(*w, at)) {
          w->finished = true;
          break;
        }
        if (!kEndsInOrder && at.task->grouped) {
          meet_group(id, at);
          if (w->unmet > 0) break;
          finish_group(*w, at);
          continue;
        }
        const Picoseconds came = arrival(*w, at);
        Picoseconds start = came;
        const Task& task = *at.task;
        if (task.comm != kNoComm && !meet(w->meetings[task.comm], {id, task.op}, came, start)) {
          w->arrival = came;
          break;
        }
        finish(*w, at, came, start);
      }
      w->place = at;
      if (num_runnable_ == 0) return;
      id = runnable_[--num_runnable_];
      w = &walkers_[id];
      at = w->place;
      if (!kEndsInOrder && at.task->grouped) {
        finish_group(*w, at);
      } else {
        finish(*w, at, w->arrival, w->start);
      }
    }
  }

  /// To the first task of the next call that has any; false: none has.
  static bool enter_call(const Walker& w, Place& at) {
    uint32_t first = kNone;
    do {
      if (at.next == w.end) return false;
      // Programs are read in turns, a few calls of each: too many places at once for the processor to look ahead.
      __builtin_prefetch(at.next + 6);
      const Call& call = *at.next++;
      first = w.bodies[call.body];
      at.sync = w.syncs + call.first_sync;
      at.syncs_end = at.sync + call.num_syncs;
      __builtin_prefetch(at.syncs_end + 16);
    } while (first == kNone);
    at.task = w.tasks + first;
    return true;
  }

  static Picoseconds arrival(const Walker& w, Place& at) {
    const Task& task = *at.task;
    Picoseconds time = w.free[task.stream];
    for (uint32_t i = 0; i < task.num_waits; ++i) time = std::max(time, w.times[w.waits[task.first_wait + i]]);
    for (; at.sync != at.syncs_end && at.sync->op == task.op && !at.sync->records(); ++at.sync) {
      time = std::max(time, w.events[at.sync->slot()]);
    }
    return time;
  }

  void finish(Walker& w, Place& at, Picoseconds came, Picoseconds start) {
    const Task& task = *at.task;
    const Picoseconds free = start + task.hold, ended = free + task.tail;
    w.free[task.stream] = free;
    makespan_ = std::max(makespan_, ended);
    if (kSpans) {
      *w.spans[task.stream]++ =
          make_span(*w.instance, call_of(w, at.next), task.op, w.table->streams[task.stream], came, start, ended);
    }
    const Picoseconds time = kEndsInOrder ? ended : std::max(w.done[task.stream], ended);
    if (!kEndsInOrder) w.done[task.stream] = time;
    w.times[task.op] = time;
    for (; at.sync != at.syncs_end && at.sync->op == task.op; ++at.sync) w.events[at.sync->slot()] = time;
  }

  /// The last to come gets the start and wakes the others, which get it too; false for those before it.
  bool meet(uint32_t meets, Waiting own, Picoseconds arrival, Picoseconds& start) {
    const uint32_t how = meets & ((1u << kMeetBits) - 1), place = meets >> kMeetBits;
    if (how == kAlone) return true;
    Meeting& meeting = meetings_[place];
    if (meeting.first.walker == kNone) {
      meeting = {arrival, own};
      return false;
    }
    const Picoseconds latest = std::max(meeting.latest, arrival);
    if (how == kMany && !is_last(place, own, latest)) {
      meeting.latest = latest;
      return false;
    }
    start = latest;
    wake(meeting.first, latest);
    meeting.first.walker = kNone;
    return true;
  }

  /// Whether all but this one have come after the first; then they are woken.
  bool is_last(uint32_t place, Waiting own, Picoseconds start) {
    Others& others = others_of_[place];
    if (others.come + 1 < others.needed) {
      others_[others.first + others.come++] = own;
      return false;
    }
    for (uint32_t i = 0; i < others.come; ++i) wake(others_[others.first + i], start);
    others.come = 0;
    return true;
  }

  void wake(Waiting waiting, Picoseconds start) {
    Walker& w = walkers_[waiting.walker];
    if (!kEndsInOrder && w.unmet > 0) {
      w.times[waiting.op] = start;
      if (--w.unmet > 0) return;
    }
    w.start = start;
    // Many walkers wait at once, more than the processor keeps near; a few tasks of this one come before its turn.
    __builtin_prefetch(w.place.task);
    __builtin_prefetch(w.free);
    __builtin_prefetch(w.place.next);
    runnable_[num_runnable_++] = waiting.walker;
  }

  /// All ops of a group come to their meetings at once.
  void meet_group(uint32_t id, Place& at) {
    Walker& w = walkers_[id];
    w.arrival = arrival(w, at);
    for (const Task* task = at.task;; ++task) {
      w.times[task->op] = w.arrival;
      if (!meet(w.meetings[task->comm], {id, task->op}, w.arrival, w.times[task->op])) ++w.unmet;
      if (task->last) return;
    }
  }

  void finish_group(Walker& w, Place& at) {
    Picoseconds& free_at = w.free[at.task->stream];
    Picoseconds free = 0;
    for (;; ++at.task) {
      finish(w, at, w.arrival, w.times[at.task->op]);
      free = std::max(free, free_at);
      if (at.task->last) break;
    }
    free_at = free;
  }

  const Problem& problem_;
  std::vector<Table> tables_;
  std::vector<Walker> walkers_;
  std::vector<Picoseconds> times_;  // of all walkers: streams, ops and events
  std::vector<uint32_t> places_;    // of all walkers: of their communicators
  std::vector<Span*> spans_;        // of all walkers: of their streams
  std::vector<Meeting> meetings_;
  std::vector<Others> others_of_;  // of each meeting
  std::vector<Waiting> others_;
  std::unique_ptr<uint32_t[]> runnable_;  // walkers
  uint32_t num_runnable_ = 0;
  Picoseconds makespan_ = 0;
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
