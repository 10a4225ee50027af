// Waits are what the buffers demand: an op on one stream waits for the last write (and, before it writes, for the last
// reads) of the same field on other streams, unless a chain of waits already orders them. Happens-before is kept as
// vector clocks, one counter per stream.
#include "core/plan/link.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "core/plan/link_accesses.h"
#include "core/plan/link_calls.h"
#include "core/plan/link_clock.h"
#include "core/plan/plan.h"

namespace pgram {
namespace {

/// What the operations of a stream knew of other streams. It changes seldom and is kept once for each time it does.
class History {
 public:
  void clear() { clocks_.assign(1, {}); }
  void change(uint32_t sequence, const LinkClock& clock) { clocks_.push_back({sequence, clock}); }
  uint32_t latest() const { return static_cast<uint32_t>(clocks_.size()) - 1; }
  /// Both but for the stream's own sequence.
  const LinkClock& operator[](uint32_t change) const { return clocks_[change].clock; }
  const LinkClock& at(uint32_t sequence) const {
    return std::ranges::upper_bound(clocks_, sequence, {}, &Change::from)[-1].clock;
  }

 private:
  struct Change {
    uint32_t from = 0;  ///< the sequence of the first that knew it
    LinkClock clock{};
  };
  std::vector<Change> clocks_;
};

/// Walks programs in issue order, operation by operation, and collects the waits that are missing.
class Walker {
 public:
  Walker(const Plan& plan, const SharedAccesses& accesses) : plan_(plan), accesses_(accesses), fields_(accesses) {}

  void run(const Program& program, std::span<const uint32_t> first_task, std::vector<LinkWait>& waits) {
    waits.clear();
    start(program);
    for (uint32_t c = 0; c < program.calls.size(); ++c) {
      const Call& call = program.calls[c];
      const Body& body = plan_.bodies[call.body];
      if (ends_.size() < body.ops.size()) ends_.resize(body.ops.size());
      if (slots_.size() < body.formals.size()) slots_.resize(body.formals.size());
      for (size_t f = 0; f < body.formals.size(); ++f) {
        slots_[f] = fields_.of(program.args[call.first_arg + f]);
      }
      const BodyAccesses accesses = accesses_[call.body];
      for (const StreamOperation& operation : accesses.operations) {
        issue(first_task[c], operation, accesses.accesses, body, waits);
      }
    }
  }

 private:
  void start(const Program& program) {
    fields_.start(program);
    clock_.fill({});
    for (History& history : history_) history.clear();
  }

  void issue(uint32_t first_task, const StreamOperation& operation, std::span<const Access> accesses, const Body& body,
             std::vector<LinkWait>& waits) {
    const Op& op = body.ops[operation.first_op];
    const int stream = operation.stream;
    LinkClock& clock = clock_[stream];
    for (int w = 0; w < op.num_waits; ++w) {
      const uint16_t target = body.waits[op.first_wait + w];
      const int s = static_cast<int>(body.ops[target].stream);
      learn(clock, s, ends_[target].sequence, history_[s][ends_[target].change]);
    }
    bool has_learned = op.num_waits > 0;
    const uint32_t sequence = first_task + operation.last_op + 1;
    Needed needed;
    for (uint32_t a = operation.first_access; a < operation.end_access; ++a) {
      const Access& access = accesses[a];
      FieldState& state = slots_[access.formal][access.field];
      require(state, access.writes, stream, clock, needed);
      const uint16_t stream_bit = static_cast<uint16_t>(1u << stream);
      if (access.writes) {
        state.write(stream_bit, sequence);
      } else {
        state.read(stream, stream_bit, sequence);
      }
    }
    for (uint32_t left = needed.streams; left; left &= left - 1) {
      const int s = std::countr_zero(left);
      if (needed.sequence[s] <= clock[s] || implied(s, needed, clock)) continue;
      waits.push_back({first_task + operation.first_op + 1, needed.sequence[s]});
      learn(clock, s, needed.sequence[s], history_[s].at(needed.sequence[s]));
      has_learned = true;
    }
    clock[stream] = sequence;
    if (has_learned) history_[stream].change(sequence, clock);
    ends_[operation.last_op] = {sequence, history_[stream].latest()};
  }

  /// An operation of stream `s` has ended, and with it all that it knew of.
  static void learn(LinkClock& clock, int s, uint32_t sequence, const LinkClock& knew) {
    join(clock, knew);
    clock[s] = std::max(clock[s], sequence);
  }

  /// Whether another wait of the same operation brings the one for stream `s` with it.
  bool implied(int s, const Needed& needed, const LinkClock& clock) const {
    for (uint32_t left = needed.streams; left; left &= left - 1) {
      const int t = std::countr_zero(left);
      if (t == s || needed.sequence[t] <= clock[t]) continue;
      if (history_[t].at(needed.sequence[t])[s] >= needed.sequence[s]) return true;
    }
    return false;
  }

  /// What is known already needs no wait, nor does what the own stream did.
  static void require(const FieldState& state, bool writes, int stream, const LinkClock& clock, Needed& needed) {
    const uint32_t others = ~(1u << stream);
    const auto need = [&](int s, uint32_t sequence) {
      if (sequence > clock[s]) needed.at_least(s, sequence);
    };
    if (state.writer & others) need(std::countr_zero(state.writer), state.write_sequence);
    if (!writes) return;
    for (uint32_t left = state.readers & others; left; left &= left - 1) {
      const int s = std::countr_zero(left);
      need(s, state.read_sequence[s]);
    }
  }

  struct End {
    uint32_t sequence = 0, change = 0;
  };

  const Plan& plan_;
  const SharedAccesses& accesses_;
  SlotFields fields_;
  std::vector<FieldState*> slots_;  ///< of the call's formals
  std::array<LinkClock, kStreams> clock_{};
  std::array<History, kStreams> history_;
  std::vector<End> ends_;  ///< of the call's ops
};

/// Waits that any use of the body needs: the body alone, every formal a slot of its own.
void link_body(Plan& plan, uint16_t index, Walker& walker, std::vector<LinkWait>& waits) {
  Body& body = plan.bodies[index];
  Program alone;
  for (uint32_t i = 0; i < body.formals.size(); ++i) {
    alone.pools.push_back({body.formals[i], 1});
    alone.args.emplace_back(i, 0);
  }
  Call call;
  call.body = index;
  alone.calls.push_back(call);
  walker.run(alone, std::array<uint32_t, 1>{0}, waits);
  for (const LinkWait& wait : waits) {  // ascending by waiter
    Op& op = body.ops[wait.waiter - 1];
    if (!op.num_waits) op.first_wait = static_cast<uint32_t>(body.waits.size());
    ++op.num_waits;
    body.waits.push_back(static_cast<uint16_t>(wait.target - 1));
  }
}

void link_bodies(Plan& plan, const SharedAccesses& accesses) {
  Walker walker(plan, accesses);
  std::vector<LinkWait> waits;
  for (size_t b = 0; b < plan.bodies.size(); ++b) {
    Body& body = plan.bodies[b];
    body.waits.clear();
    for (Op& op : body.ops) op.num_waits = 0, op.first_wait = 0;
    if (accesses[b].operations.size() < 2) continue;  // it has nothing to wait for
    const Body& first = plan.bodies[accesses.first_alike(b)];
    if (&first == &body) {
      link_body(plan, static_cast<uint16_t>(b), walker, waits);
      continue;
    }
    body.waits = first.waits;
    for (size_t i = 0; i < body.ops.size(); ++i) {
      body.ops[i].num_waits = first.ops[i].num_waits;
      body.ops[i].first_wait = first.ops[i].first_wait;
    }
  }
}

/// Waits, ascending by waiter, become events: one per awaited task; a slot is free again once its last wait is issued
/// (CUDA's rule).
class SyncPlacer {
 public:
  void place(Program& program, std::span<const uint32_t> first_task, const std::vector<LinkWait>& waits) {
    program.syncs.clear();
    if (waits.empty()) return;
    find_events(waits);
    free_slots_.clear();
    program.syncs.resize(waits.size() + events_.size());
    Sync* sync = program.syncs.data();
    const uint64_t *next_wait = ordered_.data(), *const last_wait = next_wait + ordered_.size();
    Event *next_event = events_.data(), *const last_event = next_event + events_.size();
    Call* call = program.calls.data();
    const uint32_t* first = first_task.data();  // of the call
    const uint32_t* const last_call = first + first_task.size() - 1;
    while (next_wait < last_wait || next_event < last_event) {
      const bool records =
          next_wait == last_wait || (next_event < last_event && next_event->target < waiter(*next_wait));
      Event& event = records ? *next_event++ : events_[static_cast<uint32_t>(*next_wait)];
      const uint32_t sequence = records ? event.target : waiter(*next_wait++);
      while (first < last_call && first[1] < sequence) ++first, ++call;
      if (!call->num_syncs) call->first_sync = static_cast<uint32_t>(sync - program.syncs.data());
      ++call->num_syncs;
      if (records) event.slot = take_slot(program);
      const uint16_t op = static_cast<uint16_t>(sequence - 1 - *first);
      *sync++ = {op, static_cast<uint16_t>(event.slot | (records ? Sync::kRecord : 0))};
      if (!records && sequence == event.last_waiter) free_slots_.push_back(event.slot);
    }
  }

 private:
  struct Event {
    uint32_t target = 0, last_waiter = 0;
    uint16_t slot = 0;
  };

  static uint32_t waiter(uint64_t ordered) { return static_cast<uint32_t>(ordered >> 32); }

  void find_events(const std::vector<LinkWait>& waits) {
    events_.clear();
    by_target_.clear();
    for (size_t i = 0; i < waits.size(); ++i) by_target_.push_back(uint64_t{waits[i].target} << 32 | i);
    std::ranges::sort(by_target_);
    ordered_.resize(waits.size());
    for (const uint64_t key : by_target_) {
      const LinkWait& wait = waits[static_cast<uint32_t>(key)];
      if (events_.empty() || events_.back().target != wait.target) events_.push_back({wait.target, 0, 0});
      events_.back().last_waiter = wait.waiter;  // the latest comes last
      ordered_[static_cast<uint32_t>(key)] = uint64_t{wait.waiter} << 32 | (events_.size() - 1);
    }
    // Those of one op by event: a few that are side by side.
    for (size_t i = 1; i < ordered_.size(); ++i) {
      for (size_t j = i; j > 0 && ordered_[j - 1] > ordered_[j]; --j) std::swap(ordered_[j - 1], ordered_[j]);
    }
  }

  uint16_t take_slot(Program& program) {
    if (free_slots_.empty()) return static_cast<uint16_t>(program.num_events++);
    const uint16_t slot = free_slots_.back();
    free_slots_.pop_back();
    return slot;
  }

  std::vector<Event> events_;        ///< ascending by target
  std::vector<uint64_t> by_target_;  ///< target and index of each wait
  std::vector<uint64_t> ordered_;    ///< waiter and event of each wait
  std::vector<uint16_t> free_slots_;
};

/// Whether what is found for the one holds for the other: the same slots in calls that do the same.
bool walks_alike(const Program& a, const Program& b, const SharedAccesses& accesses) {
  const auto same_pool = [](const Pool& x, const Pool& y) { return x.record == y.record && x.slots == y.slots; };
  const auto same_call = [&](const Call& x, const Call& y) {
    return x.first_arg == y.first_arg && accesses.first_alike(x.body) == accesses.first_alike(y.body);
  };
  return a.args.size() == b.args.size() && a.calls.size() == b.calls.size() &&
         std::ranges::equal(a.args, b.args, {}, &Arg::bits, &Arg::bits) &&
         std::ranges::equal(a.pools, b.pools, same_pool) && std::ranges::equal(a.calls, b.calls, same_call);
}

class ProgramLinker {
 public:
  ProgramLinker(const Plan& plan, const SharedAccesses& accesses)
      : plan_(plan), accesses_(accesses), calls_(plan, accesses), tasks_(plan, accesses) {}

  void link(Program& program) {
    program.num_events = 0;
    if (last_ && walks_alike(*last_, program, accesses_)) return copy(*last_, program);
    first_task_.resize(program.calls.size());
    uint32_t tasks = 0;
    for (size_t c = 0; c < program.calls.size(); ++c) {
      Call& call = program.calls[c];
      call.num_syncs = 0, call.first_sync = 0;
      first_task_[c] = tasks;
      tasks += static_cast<uint32_t>(plan_.bodies[call.body].ops.size());
    }
    if (!calls_.run(program, first_task_, waits_)) tasks_.run(program, first_task_, waits_);
    placer_.place(program, first_task_, waits_);
    last_ = &program;
  }

 private:
  static void copy(const Program& linked, Program& program) {
    program.syncs = linked.syncs;
    program.num_events = linked.num_events;
    for (size_t c = 0; c < program.calls.size(); ++c) {
      program.calls[c].first_sync = linked.calls[c].first_sync;
      program.calls[c].num_syncs = linked.calls[c].num_syncs;
    }
  }

  const Plan& plan_;
  const SharedAccesses& accesses_;
  CallWalker calls_;
  Walker tasks_;
  SyncPlacer placer_;
  const Program* last_ = nullptr;     ///< the last that was not copied: alike are neighbours in a pipeline
  std::vector<uint32_t> first_task_;  ///< by call: how many tasks are before it
  std::vector<LinkWait> waits_;
};

}  // namespace

void link(Plan& plan) {
  const SharedAccesses accesses(plan);
  link_bodies(plan, accesses);
  ProgramLinker linker(plan, accesses);
  for (Program& program : plan.programs) linker.link(program);
}

}  // namespace pgram
