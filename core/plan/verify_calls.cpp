// A role's calls against what is known of their bodies. Values are a set of bits per slot. Order: an op of a call knows
// all that was before it of a stream of which it knows an op of the call, so only the other streams are asked, and
// clocks change once a call.
#include "core/plan/verify_calls.h"

#include <algorithm>
#include <bit>

#include "core/plan/verify_clock.h"

namespace pgram {
namespace {

/// The last accesses of a shared field of one slot, as numbers on their streams.
struct Cell {
  uint32_t writer = 0;
  uint16_t writer_bit = 0;  // its stream; 0 = none
  uint16_t readers = 0;     // streams
  std::array<uint32_t, kStreams> reader{};
};

struct Slot {
  uint64_t defined = 0;
  std::array<uint64_t, FormalFacts::kAxes> summed{};
  bool live = false;
};

bool has_lifetime(RecordKind kind) {
  return kind == RecordKind::saved || kind == RecordKind::edge || kind == RecordKind::input;
}
bool lives_between_steps(RecordKind kind) {
  return kind == RecordKind::parameter || kind == RecordKind::optimizer;
}

class CallWalk {
 public:
  CallWalk(const Plan& plan, const Program& program, const PlanFacts& facts)
      : plan_(plan), program_(program), facts_(facts), events_(program.num_events), recorded_(program.num_events) {
    uint32_t slots = 0, cells = 0;
    for (const Pool& pool : program.pools) {
      const Record& record = plan.records[pool.record];
      pools_.push_back({slots, cells, facts.cells(pool.record), pool.record, record.kind, has_lifetime(record.kind)});
      slots += pool.slots;
      cells += pool.slots * facts.cells(pool.record);
      slots_.resize(slots);
      if (!lives_between_steps(record.kind)) continue;
      for (uint32_t s = slots - pool.slots; s < slots; ++s) slots_[s].defined = ~uint64_t{0};
    }
    cells_.resize(cells);
  }

  bool run() {
    for (const Call& call : program_.calls) {
      const BodyFacts& facts = facts_[call.body];
      if (!facts.known || !check_values(call, facts) || !check_order(call, facts)) return false;
    }
    return std::ranges::none_of(slots_, &Slot::live);
  }

 private:
  struct PoolPlace {
    uint32_t first_slot = 0, first_cell = 0, cells = 0;
    uint16_t record = 0;
    RecordKind kind = RecordKind::scratch;
    bool has_lifetime = false;
  };
  /// What an op came to know by a wait for an event.
  struct Learned {
    uint16_t op = 0;
    FinishedTasks clock{};
  };

  /// A call after which its streams knew the same of all others. Until one of them meets another, or waits, there is
  /// nothing to take over from each other but how far they have come themselves.
  struct Meeting {
    uint32_t number = 0;  ///< 0: none
    uint16_t streams = 0;
  };

  bool check_values(const Call& call, const BodyFacts& facts) {
    const Arg* const args = program_.args.data() + call.first_arg;
    for (const auto& [a, b] : facts.alike) {
      if (args[a].pool() == args[b].pool() && args[a].slot() == args[b].slot()) return false;
    }
    const std::vector<uint16_t>& records = plan_.bodies[call.body].formals;
    cells_of_.resize(std::max(cells_of_.size(), records.size()));
    for (size_t f = 0; f < records.size(); ++f) {
      const Arg arg = args[f];
      const PoolPlace& pool = pools_[arg.pool()];
      if (pool.record != records[f]) return false;
      Slot& slot = slots_[pool.first_slot + arg.slot()];
      cells_of_[f] = cells_.data() + pool.first_cell + size_t{arg.slot()} * pool.cells;
      if (arg.allocates() ? slot.live : pool.has_lifetime && !slot.live) return false;
      if (arg.allocates() || pool.kind == RecordKind::scratch) slot.defined = 0;
      const FormalFacts& facts_of = facts.formals[f];
      if (facts_of.needs & ~slot.defined) return false;
      slot.defined |= facts_of.defines;  // only scratch is undone, and that at every call's begin
      slot.live = (slot.live || arg.allocates()) && !arg.frees();
      if (pool.kind != RecordKind::gradient) continue;
      for (int a = 0; a < FormalFacts::kAxes; ++a) {
        uint64_t& summed = slot.summed[a];
        if ((facts_of.unsummed[a] & summed) | (facts_of.summed[a] & ~summed)) return false;
        summed = (summed & ~facts_of.zeroes[a]) | facts_of.sums[a];
      }
    }
    return true;
  }

  bool check_order(const Call& call, const BodyFacts& facts) {
    learned_.clear();
    if (call.num_syncs > 0 && !pass_syncs(call, facts)) return false;
    for (const OrderCheck& check : facts.checks) {
      const Cell& cell = cells_of_[check.formal][check.cell];
      const uint32_t writers = cell.writer_bit & check.writers, readers = cell.readers & check.readers;
      if ((writers | readers) && !is_after(cell, writers, readers, facts, check.op)) return false;
    }
    for (const LastAccess& last : facts.writes) {
      Cell& cell = cells_of_[last.formal][last.cell];
      cell.writer = issued_[last.stream] + last.number;
      cell.writer_bit = last.stream_bit;
      cell.readers = 0;
    }
    for (const LastAccess& last : facts.reads) {
      Cell& cell = cells_of_[last.formal][last.cell];
      cell.reader[last.stream] = issued_[last.stream] + last.number;
      cell.readers |= last.stream_bit;
    }
    leave(facts);
    return true;
  }

  /// Waits and records, which must be in the order of their ops.
  bool pass_syncs(const Call& call, const BodyFacts& facts) {
    const Sync* sync = program_.syncs.data() + call.first_sync;
    const Sync* const end = sync + call.num_syncs;
    if (!std::is_sorted(sync, end, [](const Sync& a, const Sync& b) { return a.op < b.op; })) return false;
    if (end[-1].op >= facts.ops.size()) return false;
    while (sync < end) {
      const Sync* const first = sync;
      for (; sync < end && sync->op == first->op; ++sync) {
        if (sync->records()) continue;
        if (!recorded_[sync->slot()]) return false;
        learned_.push_back({sync->op, events_[sync->slot()]});
      }
      if (facts.ops.size() == 1) take_in(facts.ops[0].stream);  // nothing comes before what it has waited for
      for (const Sync* s = first; s < sync; ++s) {
        if (!s->records()) continue;
        events_[s->slot()] = clock_after(facts, s->op);
        recorded_[s->slot()] = true;
      }
    }
    return true;
  }

  /// Whether the op comes after the last writer and the last readers on these streams.
  bool is_after(const Cell& cell, uint32_t writers, uint32_t readers, const BodyFacts& facts, uint16_t op) const {
    for (uint32_t left = writers | readers; left; left &= left - 1) {
      const int s = std::countr_zero(left);
      const uint32_t known = finished(s, facts, op);
      if ((writers >> s & 1) && known < cell.writer) return false;
      if ((readers >> s & 1) && known < cell.reader[static_cast<size_t>(s)]) return false;
    }
    return true;
  }

  /// How far a stream of which the op knows no op of the call is known to have come.
  uint32_t finished(int stream, const BodyFacts& facts, uint16_t op) const {
    uint32_t number = 0;
    for (uint32_t left = facts.ops[op].knows; left; left &= left - 1)
      number = std::max(number, clocks_[static_cast<size_t>(std::countr_zero(left))][static_cast<size_t>(stream)]);
    for (const Learned& learned : learned_) {
      if (facts.informed(learned.op, op)) number = std::max(number, learned.clock[static_cast<size_t>(stream)]);
    }
    return number;
  }

  /// What is known to be finished when the op is.
  FinishedTasks clock_after(const BodyFacts& facts, uint16_t op) const {
    const OpFacts& of = facts.ops[op];
    FinishedTasks clock = clocks_[of.stream];
    for (uint32_t left = of.knows & ~(1u << of.stream); left; left &= left - 1)
      take_later(clock, clocks_[static_cast<size_t>(std::countr_zero(left))]);
    for (const Learned& learned : learned_) {
      if (facts.informed(learned.op, op)) take_later(clock, learned.clock);
    }
    for (uint32_t left = of.knows; left; left &= left - 1) {
      const size_t s = static_cast<size_t>(std::countr_zero(left));
      clock[s] = issued_[s] + of.latest[s];
    }
    clock[of.stream] = issued_[of.stream] + of.number;
    return clock;
  }

  /// A stream knows what was learned in a call that has no other.
  void take_in(uint8_t stream) {
    if (learned_.empty()) return;
    for (const Learned& learned : learned_) take_later(clocks_[stream], learned.clock);
    learned_.clear();
    meeting_[stream] = {};
  }

  /// What the call's streams know after it.
  void leave(const BodyFacts& facts) {
    if (facts.streams.size() == 1) {
      take_in(facts.streams[0].stream);
    } else if (learned_.empty() && have_met(facts)) {
      for (const BodyFacts::OnStream& on : facts.streams) {
        for (const BodyFacts::OnStream& other : facts.streams)
          clocks_[on.stream][other.stream] = issued_[other.stream] + facts.ops[on.last_op].latest[other.stream];
      }
    } else {
      std::array<FinishedTasks, kStreams> after;
      for (const BodyFacts::OnStream& on : facts.streams) after[on.stream] = clock_after(facts, on.last_op);
      const Meeting meeting =
          meets(facts) ? Meeting{++meetings_, facts.ops[facts.streams[0].last_op].knows} : Meeting{};
      for (const BodyFacts::OnStream& on : facts.streams) {
        clocks_[on.stream] = after[on.stream];
        meeting_[on.stream] = meeting;
      }
    }
    for (const BodyFacts::OnStream& on : facts.streams) issued_[on.stream] += on.ops;
  }

  /// Whether after the call its streams know the same of all others.
  bool meets(const BodyFacts& facts) const {
    return facts.streams_meet && std::ranges::all_of(learned_, [&](const Learned& learned) {
             return std::ranges::all_of(
                 facts.streams, [&](const BodyFacts::OnStream& on) { return facts.informed(learned.op, on.last_op); });
           });
  }

  /// Whether the call's streams have met, and nothing else since: they bring nothing new to each other but themselves.
  bool have_met(const BodyFacts& facts) const {
    if (!facts.streams_meet) return false;
    const Meeting& first = meeting_[facts.streams[0].stream];
    return first.streams == facts.ops[facts.streams[0].last_op].knows &&
           std::ranges::all_of(facts.streams, [&](const BodyFacts::OnStream& on) {
             return meeting_[on.stream].number == first.number;
           });
  }

  const Plan& plan_;
  const Program& program_;
  const PlanFacts& facts_;
  std::vector<PoolPlace> pools_;
  std::vector<Slot> slots_;
  std::vector<Cell> cells_;
  std::vector<Cell*> cells_of_;  ///< of the call's formals
  /// What each stream knows of the others.
  std::array<FinishedTasks, kStreams> clocks_{};
  std::array<Meeting, kStreams> meeting_{};
  uint32_t meetings_ = 0;
  std::array<uint32_t, kStreams> issued_{};
  std::vector<Learned> learned_;  ///< in the call
  std::vector<FinishedTasks> events_;
  std::vector<char> recorded_;
};

}  // namespace

bool CallProver::holds(size_t role) const {
  return CallWalk(plan_, plan_.programs[role], facts_).run();
}

bool CallProver::are_alike(size_t role, size_t other) const {
  const Program &a = plan_.programs[role], &b = plan_.programs[other];
  const auto same_pool = [](const Pool& x, const Pool& y) { return x.record == y.record && x.slots == y.slots; };
  const auto same_call = [&](const Call& x, const Call& y) {
    return x.first_arg == y.first_arg && x.first_sync == y.first_sync && x.num_syncs == y.num_syncs &&
           facts_.are_alike(x.body, y.body);
  };
  const auto same_sync = [](const Sync& x, const Sync& y) { return x.op == y.op && x.event == y.event; };
  return a.num_events == b.num_events && a.args.size() == b.args.size() && a.calls.size() == b.calls.size() &&
         a.syncs.size() == b.syncs.size() && std::ranges::equal(a.args, b.args, {}, &Arg::bits, &Arg::bits) &&
         std::ranges::equal(a.pools, b.pools, same_pool) && std::ranges::equal(a.calls, b.calls, same_call) &&
         std::ranges::equal(a.syncs, b.syncs, same_sync);
}

}  // namespace pgram
