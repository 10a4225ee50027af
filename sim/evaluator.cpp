// Engine 1: walks every instance in program order. Nothing is shared, so the start of a task is the maximum of when its
// stream is free, what it waits for has ended, and its partners have come; no event queue is needed. An instance stops
// only where its partners have yet to come, and any order of walking gives the same times (a Kahn network).
#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "sim/deadlock.h"
#include "sim/problem.h"

namespace pgram::sim {
namespace {

/// An op of one kind of rank: all that a walk needs to know, in half a cache line.
struct Task {
  Picoseconds hold = 0, tail = 0;  // as OpCost
  const uint16_t* waits = nullptr;
  uint16_t comm = kNoComm;  // index into Table::comms
  uint8_t stream = 0;       // index into Table::streams
  uint8_t num_waits = 0;
};

/// A Body.
struct Tasks {
  uint32_t first = 0;  // into Table::tasks
  uint16_t count = 0;
  bool grouped = false;
};

/// What ranks with one role and one table of costs walk. Ops, streams and communicators are numbered as the role uses
/// them, so that what a walk reads lies close together however large the plan is.
struct Table {
  std::vector<Tasks> bodies;  // of the plan; those that the role does not use are empty
  std::vector<Task> tasks;
  std::vector<uint8_t> streams;
  const std::vector<uint16_t>* comms = nullptr;
  uint32_t most_ops = 0;  // of a body

  Table(const Problem& problem, const Instance& instance) : bodies(problem.plan.bodies.size()) {
    const Usage& usage = problem.index.usage();
    const uint32_t role = problem.plan.role(instance.rank);
    comms = &usage.comms[role];
    for (uint16_t b : usage.bodies[role]) {
      const Body& body = problem.plan.bodies[b];
      bodies[b] = {static_cast<uint32_t>(tasks.size()), static_cast<uint16_t>(body.ops.size()), body.grouped};
      most_ops = std::max<uint32_t>(most_ops, bodies[b].count);
      const OpCost* cost = instance.costs + problem.first_op[b];
      for (const Op& op : body.ops) {
        const auto comm = std::lower_bound(comms->begin(), comms->end(), op.comm) - comms->begin();
        tasks.push_back({cost->hold, cost->tail, body.waits.data() + op.first_wait,
                         op.comm == kNoComm ? kNoComm : static_cast<uint16_t>(comm), number_of(op.stream),
                         op.num_waits});
        ++cost;
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

struct Walker {
  const Table* table = nullptr;
  const Call *next = nullptr, *end = nullptr;  // the call after the one in which it is, and the program's end
  const Sync* syncs = nullptr;                 // of the program
  const uint32_t* meetings = nullptr;          // per communicator of the table
  Picoseconds* free = nullptr;                 // per stream of the table: the next task may begin
  Picoseconds* times = nullptr;  // of the running call's ops: when all tasks of their stream so far have ended
  Picoseconds* events = nullptr;
  // While it waits for partners:
  const Task* tasks = nullptr;                       // of the call
  const Sync *sync = nullptr, *syncs_end = nullptr;  // those of the call that are left
  Picoseconds arrival = 0;                           // since this time
  Picoseconds start = 0;                             // they have come
  uint32_t op = 0, num_ops = 0;                      // at this op of so many
  uint32_t unmet = 0;  // in a group, whose ops' times are when they start: for the partners of so many

  const Instance* instance = nullptr;
  Picoseconds* done = nullptr;  // per stream: all tasks so far have ended; unless kEndsInOrder
  Span** spans = nullptr;       // per stream; if kSpans

  uint32_t call() const { return static_cast<uint32_t>(next - 1 - instance->program->calls.data()); }
};

struct Waiting {
  uint32_t walker = kNone, op = 0;
};

struct Meeting {
  Picoseconds latest = 0;
  Waiting first;                    // to have come
  uint32_t needed = 0, others = 0;  // others: those that have come after it
  uint32_t first_other = 0;         // into Evaluator::waiting_
};

/// kEndsInOrder: what PlanIndex::ends_in_order says. kSpans: spans are kept.
template <bool kEndsInOrder, bool kSpans>
class Evaluator {
 public:
  explicit Evaluator(const Problem& problem) : problem_(problem) {
    uint32_t others = 0;
    for (uint32_t size : problem.meeting_size) {
      Meeting& meeting = meetings_.emplace_back();
      meeting.needed = size;
      meeting.first_other = others;
      others += size - std::min(size, 2u);
    }
    others_.resize(others);
    make_tables();
    make_walkers();
  }

  Outcome run() {
    for (uint32_t id = 0; id < walkers_.size(); ++id) walk(id);
    Outcome outcome;
    outcome.makespan = makespan_;
    outcome.tasks = tasks_;
    if (const std::vector<Stuck> tasks = stuck(); !tasks.empty()) {
      outcome.error = deadlock_text(problem_, tasks);
    }
    return outcome;
  }

 private:
  void make_tables() {
    tables_.reserve(problem_.instances.size());
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
    Picoseconds* next = times_.data();
    const auto take = [&](size_t count) { return std::exchange(next, next + count); };
    i = 0;
    for (Walker& w : walkers_) {
      const Instance& instance = problem_.instances[i++];
      w.instance = &instance;
      w.next = instance.program->calls.data();
      w.end = w.next + instance.program->calls.size();
      w.syncs = instance.program->syncs.data();
      w.free = take(w.table->streams.size());
      w.times = take(w.table->most_ops);
      w.events = take(instance.program->num_events);
      if (!kEndsInOrder) w.done = take(w.table->streams.size());
      w.meetings = places_.data() + places_.size();
      for (uint16_t comm : *w.table->comms) places_.push_back(instance.meetings[comm]);
      if (!kSpans) continue;
      w.spans = spans_.data() + spans_.size();
      for (uint8_t stream : w.table->streams) spans_.push_back(instance.spans[stream]);
    }
  }

  std::vector<Stuck> stuck() const {
    std::vector<Stuck> result;
    const auto add = [&](const Waiting& waiting) {
      const Walker& w = walkers_[waiting.walker];
      const Op& op = problem_.plan.bodies[w.next[-1].body].ops[waiting.op];
      result.push_back({{w.instance->rank, w.call(), static_cast<uint16_t>(waiting.op)}, op.comm});
    };
    for (const Meeting& meeting : meetings_) {
      if (meeting.first.walker != kNone) add(meeting.first);
      for (uint32_t i = 0; i < meeting.others; ++i) add(others_[meeting.first_other + i]);
    }
    std::sort(result.begin(), result.end(), [](const Stuck& a, const Stuck& b) { return a.task < b.task; });
    return result;
  }

  /// From the start of its program on until it waits for partners, and then whoever's partners have come, until nobody
  /// can go on.
  void walk(uint32_t id) {
    Picoseconds makespan = makespan_;
    uint64_t num_tasks = 0;
    Walker* w = &walkers_[id];
    const Call *next = w->next, *end = w->end;
    const Task* tasks = nullptr;  // of the call before `next`
    uint32_t i = 0, count = 0;
    const Sync *sync = nullptr, *syncs_end = nullptr;
    const auto finish = [&](const Task& task, Picoseconds came, Picoseconds start) {
      const Picoseconds free = start + task.hold, ended = free + task.tail;
      w->free[task.stream] = free;
      makespan = std::max(makespan, ended);
      ++num_tasks;
      if (kSpans) {
        w->next = next;
        *w->spans[task.stream]++ = make_span(*w->instance, w->call(), static_cast<uint16_t>(i),
                                             w->table->streams[task.stream], came, start, ended);
      }
      const Picoseconds time = kEndsInOrder ? ended : std::max(w->done[task.stream], ended);
      if (!kEndsInOrder) w->done[task.stream] = time;
      w->times[i] = time;
      for (; sync != syncs_end && sync->op == i; ++sync) w->events[sync->slot()] = time;
      ++i;
    };
    const auto finish_group = [&] {
      Picoseconds free = 0;
      for (i = 0; i < count;) {
        const Task& task = tasks[i];
        finish(task, w->arrival, w->times[i]);
        free = std::max(free, w->free[task.stream]);
      }
      w->free[tasks[0].stream] = free;
    };
    for (;;) {
      if (i < count) {
        const Task& task = tasks[i];
        const Picoseconds came = arrival(*w, task, i, sync, syncs_end);
        Picoseconds start = came;
        if (task.comm == kNoComm || meet(w->meetings[task.comm], {id, i}, came, start)) {
          finish(task, came, start);
          continue;
        }
        w->arrival = came;
      } else if (next != end) {
        // Programs are read in turns, a few calls of each: too many places at once for the processor to look ahead.
        __builtin_prefetch(next + 6);
        const Call& call = *next++;
        const Tasks body = w->table->bodies[call.body];
        tasks = w->table->tasks.data() + body.first;
        count = body.count;
        sync = w->syncs + call.first_sync;
        syncs_end = sync + call.num_syncs;
        __builtin_prefetch(syncs_end + 16);
        i = 0;
        if (kEndsInOrder || !body.grouped || count == 0) continue;
        w->arrival = arrival(*w, tasks[0], 0, sync, syncs_end);
        meet_group(id, tasks, count);
        if (w->unmet == 0) {
          finish_group();
          continue;
        }
      }
      w->next = next;
      w->tasks = tasks;
      w->op = i;
      w->num_ops = count;
      w->sync = sync;
      w->syncs_end = syncs_end;
      if (runnable_.empty()) break;
      id = runnable_.back();
      runnable_.pop_back();
      w = &walkers_[id];
      next = w->next;
      end = w->end;
      tasks = w->tasks;
      i = w->op;
      count = w->num_ops;
      sync = w->sync;
      syncs_end = w->syncs_end;
      if (!kEndsInOrder && w->table->bodies[next[-1].body].grouped) {
        finish_group();
      } else {
        finish(tasks[i], w->arrival, w->start);
      }
    }
    makespan_ = makespan;
    tasks_ += num_tasks;
  }

  static Picoseconds arrival(const Walker& w, const Task& task, uint32_t index, const Sync*& sync,
                             const Sync* syncs_end) {
    Picoseconds time = w.free[task.stream];
    for (int i = 0; i < task.num_waits; ++i) time = std::max(time, w.times[task.waits[i]]);
    for (; sync != syncs_end && sync->op == index && !sync->records(); ++sync) {
      time = std::max(time, w.events[sync->slot()]);
    }
    return time;
  }

  /// The last to come gets the start and wakes the others, which get it too; false for those before it.
  bool meet(uint32_t place, const Waiting& own, Picoseconds arrival, Picoseconds& start) {
    Meeting& meeting = meetings_[place];
    if (meeting.needed < 2) return true;
    if (meeting.first.walker == kNone) {
      meeting.first = own;
      meeting.latest = arrival;
      return false;
    }
    meeting.latest = std::max(meeting.latest, arrival);
    if (meeting.others + 2 < meeting.needed) {
      others_[meeting.first_other + meeting.others++] = own;
      return false;
    }
    start = meeting.latest;
    wake(meeting.first, start);
    for (uint32_t i = 0; i < meeting.others; ++i) wake(others_[meeting.first_other + i], start);
    meeting.first.walker = kNone;
    meeting.others = 0;
    return true;
  }

  void wake(const Waiting& waiting, Picoseconds start) {
    Walker& w = walkers_[waiting.walker];
    if (!kEndsInOrder && w.unmet > 0) {
      w.times[waiting.op] = start;
      if (--w.unmet > 0) return;
    }
    w.start = start;
    runnable_.push_back(waiting.walker);
  }

  /// All ops of a group come to their meetings at once.
  void meet_group(uint32_t id, const Task* tasks, uint32_t count) {
    Walker& w = walkers_[id];
    for (uint32_t i = 0; i < count; ++i) {
      w.times[i] = w.arrival;
      if (!meet(w.meetings[tasks[i].comm], {id, i}, w.arrival, w.times[i])) ++w.unmet;
    }
  }

  const Problem& problem_;
  std::vector<Table> tables_;
  std::vector<Walker> walkers_;
  std::vector<Picoseconds> times_;  // of all walkers: streams, ops and events
  std::vector<uint32_t> places_;    // of all walkers: of their communicators
  std::vector<Span*> spans_;        // of all walkers: of their streams
  std::vector<Meeting> meetings_;
  std::vector<Waiting> others_;
  std::vector<uint32_t> runnable_;
  Picoseconds makespan_ = 0;
  uint64_t tasks_ = 0;  // that have ended
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
