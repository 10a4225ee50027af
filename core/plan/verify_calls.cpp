// Values: which fields are defined and which gradients are summed is a set of bits per slot, and a body's effect on it
// is the same in each of its calls. Order: clocks are kept only at tasks that touch what several streams touch, that
// wait or are waited for; all other tasks only count.
#include "core/plan/verify_calls.h"

#include <algorithm>
#include <bit>

namespace pgram {
namespace {

constexpr size_t kMostFields = 64;  // a bit for each

/// Calls `visit(k, formal, field)` for all fields of all operands.
template <class Visit>
void for_fields(const Plan& plan, const Body& body, const Op& op, Visit&& visit) {
  for (int k = 0; k < op.num_operands; ++k) {
    const Operand operand = body.operands[op.first_operand + static_cast<uint32_t>(k)];
    const size_t all = plan.records[body.formals[operand.formal]].fields.size();
    const bool whole = operand.field == kWhole;
    const size_t first = whole ? 0 : operand.field, count = whole ? all : operand.fields;
    for (size_t field = first; field < first + count; ++field) visit(k, operand.formal, static_cast<uint16_t>(field));
  }
}

/// What is known of one bit of every field while a body is walked: as before the body, or set, or not set.
struct Symbolic {
  uint64_t set = 0, clear = 0;
  bool unknown(uint64_t bit) const { return !((set | clear) & bit); }
  void make(uint64_t bit, bool value) {
    (value ? set : clear) |= bit;
    (value ? clear : set) &= ~bit;
  }
  /// Whether it can be; where it depends on what was before, `before` must have the bit.
  bool require(uint64_t bit, bool value, uint64_t& before) const {
    if (unknown(bit)) before |= bit;
    return !((value ? clear : set) & bit);
  }
};

/// Walks a body once, with any slots.
class ValueWalk {
 public:
  ValueWalk(const Plan& plan, const Body& body, const Overlaps& overlaps, std::vector<FormalFacts>& formals)
      : plan_(plan), body_(body), overlaps_(overlaps), formals_(formals), states_(body.formals.size()) {}

  bool run() {
    for (size_t f = 0; f < states_.size(); ++f) {
      const Record& record = plan_.records[body_.formals[f]];
      if (record.fields.size() > kMostFields) return false;
      if (record.kind == RecordKind::scratch) states_[f].defined.clear = ~uint64_t{0};  // nothing outlives a call
    }
    for (const Op& op : body_.ops) {
      bool good = true;
      for_fields(plan_, body_, op, [&](int k, uint8_t f, uint16_t field) { good &= check(op, k, f, field); });
      if (!good) return false;
      for_fields(plan_, body_, op, [&](int k, uint8_t f, uint16_t field) {
        if (k < op.num_writes) write(op, f, field);
      });
    }
    for (size_t f = 0; f < states_.size(); ++f) {
      formals_[f].defines = states_[f].defined.set;
      for (int a = 0; a < FormalFacts::kAxes; ++a) {
        formals_[f].sums[a] = states_[f].summed[a].set;
        formals_[f].zeroes[a] = states_[f].summed[a].clear;
      }
    }
    return true;
  }

 private:
  struct State {
    Symbolic defined;
    std::array<Symbolic, FormalFacts::kAxes> summed;
  };

  bool check(const Op& op, int k, uint8_t f, uint16_t field) {
    const uint64_t bit = uint64_t{1} << field;
    const Record& record = plan_.records[body_.formals[f]];
    const bool writes = k < op.num_writes, reads = !writes || (op.read_writes >> k & 1);
    if (reads && !states_[f].defined.require(bit, true, formals_[f].needs)) return false;
    return record.kind != RecordKind::gradient || check_gradient(op, record.fields[field], f, bit, writes);
  }

  /// A gradient is accumulated, then summed once over each axis on which it is partial, then used.
  bool check_gradient(const Op& op, const Field& field, uint8_t f, uint64_t bit, bool writes) {
    const bool communicates = is_communication(op.kernel);
    if (!communicates && op.kernel == Kernel::zero) return true;
    const AxisMask axes = communicates ? plan_.comms[op.comm].axes : 0;
    if (axes & ~field.partial_axes) return false;
    bool good = true;
    for (int a = 0; a < FormalFacts::kAxes; ++a) {
      const Symbolic& summed = states_[f].summed[a];
      if (communicates ? axes >> a & 1 : writes) good &= summed.require(bit, false, formals_[f].unsummed[a]);
      if (!communicates && !writes && (field.partial_axes >> a & 1))
        good &= summed.require(bit, true, formals_[f].summed[a]);
    }
    return good;
  }

  void write(const Op& op, uint8_t f, uint16_t field) {
    const uint64_t bit = uint64_t{1} << field;
    State& state = states_[f];
    state.defined.make(bit, true);
    for (const uint16_t other : overlaps_[body_.formals[f]][field]) state.defined.make(uint64_t{1} << other, false);
    for (int a = 0; a < FormalFacts::kAxes; ++a) {
      if (op.kernel == Kernel::zero) state.summed[a].make(bit, false);
      if (is_communication(op.kernel) && (plan_.comms[op.comm].axes >> a & 1)) state.summed[a].make(bit, true);
    }
  }

  const Plan& plan_;
  const Body& body_;
  const Overlaps& overlaps_;
  std::vector<FormalFacts>& formals_;
  std::vector<State> states_;
};

/// Whether ops of a group, which start together, touch nothing that another one writes.
bool is_free_of_races(const Plan& plan, const Body& body, const Overlaps& overlaps) {
  bool good = true;
  for (size_t i = 0; i < body.ops.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      for_fields(plan, body, body.ops[i], [&](int k, uint8_t f, uint16_t field) {
        for_fields(plan, body, body.ops[j], [&](int l, uint8_t g, uint16_t other) {
          if (f != g || (k >= body.ops[i].num_writes && l >= body.ops[j].num_writes)) return;
          const std::vector<uint16_t>& beside = overlaps[body.formals[f]][field];
          good &= field != other && std::ranges::find(beside, other) == beside.end();
        });
      });
    }
  }
  return good;
}

}  // namespace

Overlaps overlaps_of(const Plan& plan) {
  Overlaps all;
  for (const Record& record : plan.records) {
    std::vector<std::vector<uint16_t>> overlaps(record.fields.size());
    if (record.kind == RecordKind::scratch) {
      for (uint16_t a = 0; a < record.fields.size(); ++a) {
        for (uint16_t b = 0; b < record.fields.size(); ++b) {
          const Field &x = record.fields[a], &y = record.fields[b];
          if (a != b && x.offset < y.offset + y.bytes() && y.offset < x.offset + x.bytes()) overlaps[a].push_back(b);
        }
      }
    }
    all.push_back(std::move(overlaps));
  }
  return all;
}

CallProver::CallProver(const Plan& plan, const Overlaps& overlaps) : plan_(plan), bodies_(plan.bodies.size()) {
  find_shared(overlaps);
  for (size_t b = 0; b < bodies_.size(); ++b) learn(b, overlaps);
}

void CallProver::find_shared(const Overlaps& overlaps) {
  std::vector<std::vector<uint32_t>> streams;  // record, field -> a bit for each
  for (const Record& record : plan_.records) streams.emplace_back(record.fields.size(), 0);
  for (const Body& body : plan_.bodies) {
    for (const Op& op : body.ops) {
      for_fields(plan_, body, op, [&](int, uint8_t f, uint16_t field) {
        streams[body.formals[f]][field] |= 1u << static_cast<int>(op.stream);
      });
    }
  }
  for (size_t r = 0; r < streams.size(); ++r) {
    uint32_t cells = 0;
    cells_.emplace_back(streams[r].size(), -1);
    for (size_t field = 0; field < streams[r].size(); ++field) {
      uint32_t here = streams[r][field];
      for (const uint16_t other : overlaps[r][field]) here |= streams[r][other];
      if (std::popcount(here) > 1) cells_[r][field] = static_cast<int>(cells++);
    }
    num_cells_.push_back(cells);
  }
}

void CallProver::learn(size_t index, const Overlaps& overlaps) {
  const Body& body = plan_.bodies[index];
  BodyFacts& facts = bodies_[index];
  facts.formals.resize(body.formals.size());
  if (!ValueWalk(plan_, body, overlaps, facts.formals).run()) return;
  if (body.grouped && !is_free_of_races(plan_, body, overlaps)) return;
  for (uint8_t a = 0; a < body.formals.size(); ++a) {
    for (uint8_t b = 0; b < a; ++b) {
      if (body.formals[a] == body.formals[b]) facts.alike.push_back({a, b});
    }
  }
  for (const Op& op : body.ops) facts.number.push_back(++facts.issues[static_cast<size_t>(op.stream)]);
  facts.known = learn_order(body, overlaps, facts);
}

/// False: an op waits for a later one.
bool CallProver::learn_order(const Body& body, const Overlaps& overlaps, BodyFacts& facts) const {
  std::vector<char> awaited(body.ops.size(), 0);
  for (uint16_t i = 0; i < body.ops.size(); ++i) {
    const Op& op = body.ops[i];
    for (uint32_t w = op.first_wait; w < op.first_wait + op.num_waits; ++w) {
      if (body.waits[w] >= i) return false;
      awaited[body.waits[w]] = 1;
    }
  }
  for (uint16_t i = 0; i < body.ops.size(); ++i) {
    const Op& op = body.ops[i];
    const uint32_t first = static_cast<uint32_t>(facts.accesses.size());
    for_fields(plan_, body, op, [&](int k, uint8_t f, uint16_t field) {
      const std::vector<int>& cells = cells_[body.formals[f]];
      const bool writes = k < op.num_writes;
      if (cells[field] < 0) return;
      facts.accesses.push_back(
          {f, writes ? SharedAccess::writes : SharedAccess::reads, static_cast<uint16_t>(cells[field])});
      if (!writes) return;
      for (const uint16_t other : overlaps[body.formals[f]][field]) {
        if (cells[other] < 0) continue;  // no stream but this op's touches it
        facts.accesses.push_back({f, SharedAccess::overlaps, static_cast<uint16_t>(cells[other])});
      }
    });
    const uint32_t end = static_cast<uint32_t>(facts.accesses.size());
    if (end > first || op.num_waits > 0 || awaited[i]) facts.ordered.push_back({i, awaited[i] != 0, first, end});
  }
  return true;
}

namespace {

/// For every stream the number of its tasks known to be finished.
struct alignas(64) Clock {
  static constexpr int kLanes = 16;
  std::array<uint32_t, kLanes> finished{};
  void learn(const Clock& other) {
    for (int s = 0; s < kLanes; ++s) finished[s] = std::max(finished[s], other.finished[s]);
  }
};
static_assert(kStreams <= Clock::kLanes);

/// The last accesses of a shared field of one slot, as numbers on their streams.
struct Cell {
  uint32_t writer = 0;  // 0 = none
  uint16_t readers = 0;
  uint8_t writer_stream = 0;
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
  CallWalk(const Plan& plan, const Program& program, const std::vector<BodyFacts>& bodies,
           const std::vector<uint32_t>& num_cells)
      : plan_(plan), program_(program), bodies_(bodies), events_(program.num_events) {
    uint32_t slots = 0, cells = 0;
    for (const Pool& pool : program.pools) {
      const Record& record = plan.records[pool.record];
      pools_.push_back({slots, cells, num_cells[pool.record], record.kind});
      slots += pool.slots;
      cells += pool.slots * num_cells[pool.record];
      slots_.resize(slots);
      if (!lives_between_steps(record.kind)) continue;
      for (uint32_t s = slots - pool.slots; s < slots; ++s) slots_[s].defined = ~uint64_t{0};
    }
    cells_.resize(cells);
  }

  bool run() {
    for (const Call& call : program_.calls) {
      const BodyFacts& facts = bodies_[call.body];
      if (!facts.known || !check_values(call, facts) || !check_order(call, facts)) return false;
      for (int s = 0; s < kStreams; ++s) issued_[s] += facts.issues[s];
    }
    return std::ranges::none_of(slots_, &Slot::live);
  }

 private:
  struct PoolPlace {
    uint32_t first_slot = 0, first_cell = 0, cells = 0;
    RecordKind kind = RecordKind::scratch;
  };
  struct Event {
    bool recorded = false;
    Clock clock;
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
      if (program_.pools[arg.pool()].record != records[f]) return false;
      const PoolPlace& pool = pools_[arg.pool()];
      Slot& slot = slots_[pool.first_slot + arg.slot()];
      cells_of_[f] = cells_.data() + pool.first_cell + size_t{arg.slot()} * pool.cells;
      if (arg.allocates() ? slot.live : has_lifetime(pool.kind) && !slot.live) return false;
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
    if (done_.size() < facts.number.size()) done_.resize(facts.number.size());
    const Body& body = plan_.bodies[call.body];
    const Sync* sync = program_.syncs.data() + call.first_sync;
    const Sync* const syncs_end = sync + call.num_syncs;
    if (!std::is_sorted(sync, syncs_end, [](const Sync& a, const Sync& b) { return a.op < b.op; })) return false;
    for (const OrderedOp& ordered : facts.ordered) {
      for (; sync < syncs_end && sync->op < ordered.op;) {
        if (!pass_syncs(body, facts, {sync->op, false, 0, 0}, sync, syncs_end)) return false;
      }
      if (!pass_syncs(body, facts, ordered, sync, syncs_end)) return false;
    }
    while (sync < syncs_end) {
      if (sync->op >= body.ops.size() || !pass_syncs(body, facts, {sync->op, false, 0, 0}, sync, syncs_end))
        return false;
    }
    return true;
  }

  /// One task: what it waits for, what it touches, what it records. `sync`: the call's next one, ascending by op.
  bool pass_syncs(const Body& body, const BodyFacts& facts, const OrderedOp& ordered, const Sync*& sync,
                  const Sync* syncs_end) {
    const Op& op = body.ops[ordered.op];
    const int stream = static_cast<int>(op.stream);
    Clock& clock = clocks_[stream];
    for (uint32_t w = op.first_wait; w < op.first_wait + op.num_waits; ++w) clock.learn(done_[body.waits[w]]);
    const Sync* const first = sync;
    for (; sync < syncs_end && sync->op == ordered.op; ++sync) {
      if (sync->records()) continue;
      if (!events_[sync->slot()].recorded) return false;
      clock.learn(events_[sync->slot()].clock);
    }
    const uint32_t number = issued_[stream] + facts.number[ordered.op];
    clock.finished[stream] = number;
    for (uint32_t a = ordered.first_access; a < ordered.end_access; ++a) {
      if (!pass(facts.accesses[a], stream, number, clock)) return false;
    }
    if (ordered.is_awaited) done_[ordered.op] = clock;
    for (const Sync* s = first; s < sync; ++s) {
      if (s->records()) events_[s->slot()] = {true, clock};
    }
    return true;
  }

  bool pass(const SharedAccess& access, int stream, uint32_t number, const Clock& clock) {
    Cell& cell = cells_of_[access.formal][access.cell];
    if (clock.finished[cell.writer_stream] < cell.writer) return false;
    if (access.what == SharedAccess::reads) {
      cell.readers |= static_cast<uint16_t>(1u << stream);
      cell.reader[static_cast<size_t>(stream)] = number;
      return true;
    }
    for (uint32_t left = cell.readers; left; left &= left - 1) {
      const int s = std::countr_zero(left);
      if (clock.finished[s] < cell.reader[s]) return false;
    }
    if (access.what == SharedAccess::writes) {
      cell.writer = number;
      cell.writer_stream = static_cast<uint8_t>(stream);
      cell.readers = 0;
    }
    return true;
  }

  const Plan& plan_;
  const Program& program_;
  const std::vector<BodyFacts>& bodies_;
  std::vector<PoolPlace> pools_;
  std::vector<Slot> slots_;
  std::vector<Cell> cells_;
  std::vector<Cell*> cells_of_;  ///< of the call's formals
  std::array<Clock, kStreams> clocks_;
  std::array<uint32_t, kStreams> issued_{};
  std::vector<Clock> done_;  ///< of the call's ops
  std::vector<Event> events_;
};

}  // namespace

bool CallProver::holds(size_t role) const {
  return CallWalk(plan_, plan_.programs[role], bodies_, num_cells_).run();
}

}  // namespace pgram
