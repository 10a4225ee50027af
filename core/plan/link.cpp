// Waits are what the buffers demand: an op on one stream waits for the last write (and, before it writes, for the last
// reads) of the same field on other streams, unless a chain of waits already orders them. Happens-before is kept as
// vector clocks, one counter per stream.
#include "core/plan/link.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/plan/plan.h"

namespace pgram {
namespace {

/// Sequences of each stream: a task's is its place in the issue order of its program, from 1; 0 = none.
using Clock = std::array<uint32_t, kStreams>;

void join(Clock& into, const Clock& other) {
  for (int s = 0; s < kStreams; ++s) into[s] = std::max(into[s], other[s]);
}

/// What an operation waits for: sequences of a few streams.
struct Needed {
  uint32_t streams = 0;  // bits
  Clock sequence;        // of those streams

  void at_least(int stream, uint32_t value) {
    const bool is_new = !(streams >> stream & 1);
    sequence[stream] = is_new ? value : std::max(sequence[stream], value);
    streams |= 1u << stream;
  }
};

struct Position {
  uint32_t call = 0;
  uint16_t op = 0;
};

struct Wait {
  Position waiter, target;
};

/// Last accesses of one field of one slot.
struct FieldState {
  uint32_t write_sequence = 0;
  uint8_t write_stream = 0;
  uint16_t readers = 0;  // streams that have read since the last write
  Clock read_sequence;   // of those streams
};

/// A field that an op touches. Fields that only one stream ever touches cannot need a wait and are left out: most of
/// them.
struct Access {
  uint8_t formal = 0;
  bool writes = false;
  uint16_t field = 0;  ///< among the record's fields that several streams touch
};

/// One operation of a stream that touches such fields: an op, or all ops of a grouped body, which waits before its
/// first and is awaited after its last. What touches none neither waits nor is awaited.
struct Operation {
  uint16_t first_op = 0, last_op = 0;
  uint32_t first_access = 0, end_access = 0;
};

struct BodyAccesses {
  std::vector<Access> accesses;
  std::vector<Operation> operations;
};

struct SharedAccesses {
  std::vector<BodyAccesses> bodies;
  std::vector<uint32_t> fields;  ///< by record: how many several streams touch
};

SharedAccesses shared_accesses(const Plan& plan) {
  const auto for_fields = [&](const Body& body, const Op& op, auto&& visit) {
    for (int i = 0; i < op.num_operands; ++i) {
      const Operand operand = body.operands[op.first_operand + i];
      const uint16_t record = body.formals[operand.formal];
      const bool whole = operand.field == kWhole;
      const size_t first = whole ? 0 : operand.field;
      const size_t count = whole ? plan.records[record].fields.size() : operand.fields;
      for (size_t f = first; f < first + count; ++f) visit(operand.formal, record, f, i < op.num_writes);
    }
  };
  std::vector<std::vector<uint16_t>> streams(plan.records.size());  // record, field -> mask of streams
  for (size_t r = 0; r < plan.records.size(); ++r) streams[r].resize(plan.records[r].fields.size());
  for (const Body& body : plan.bodies) {
    for (const Op& op : body.ops) {
      for_fields(body, op, [&](uint8_t, uint16_t record, size_t field, bool) {
        streams[record][field] |= 1u << static_cast<int>(op.stream);
      });
    }
  }
  SharedAccesses result;
  const auto is_shared = [](uint16_t mask) { return (mask & (mask - 1)) != 0; };
  for (const std::vector<uint16_t>& masks : streams)
    result.fields.push_back(static_cast<uint32_t>(std::count_if(masks.begin(), masks.end(), is_shared)));
  for (const Body& body : plan.bodies) {
    BodyAccesses& out = result.bodies.emplace_back();
    const auto size = [&] { return static_cast<uint32_t>(out.accesses.size()); };
    for (uint16_t i = 0; i < body.ops.size(); ++i) {
      const uint32_t first = size();
      for_fields(body, body.ops[i], [&](uint8_t formal, uint16_t record, size_t field, bool writes) {
        const std::vector<uint16_t>& masks = streams[record];
        if (!is_shared(masks[field])) return;
        const auto index = std::count_if(masks.begin(), masks.begin() + static_cast<ptrdiff_t>(field), is_shared);
        out.accesses.push_back({formal, writes, static_cast<uint16_t>(index)});
      });
      if (size() > first && !body.grouped) out.operations.push_back({i, i, first, size()});
    }
    if (body.grouped && size() > 0)
      out.operations.push_back({0, static_cast<uint16_t>(body.ops.size() - 1), 0, size()});
  }
  return result;
}

/// What the operations of a stream knew of other streams. It changes seldom and is kept once for each time it does.
class History {
 public:
  void clear() { clocks_.assign(1, {}); }
  void change(uint32_t sequence, const Clock& clock) { clocks_.push_back({sequence, clock}); }
  uint32_t latest() const { return static_cast<uint32_t>(clocks_.size()) - 1; }
  /// Both but for the stream's own sequence.
  const Clock& operator[](uint32_t change) const { return clocks_[change].clock; }
  const Clock& at(uint32_t sequence) const {
    return std::ranges::upper_bound(clocks_, sequence, {}, &Change::from)[-1].clock;
  }

 private:
  struct Change {
    uint32_t from = 0;  ///< the sequence of the first that knew it
    Clock clock{};
  };
  std::vector<Change> clocks_;
};

/// Walks programs in issue order and collects the waits that are missing.
class Walker {
 public:
  Walker(const Plan& plan, const SharedAccesses& accesses) : plan_(plan), accesses_(accesses) {}

  std::vector<Wait> run(const Program& program) {
    waits_.clear();
    start(program);
    uint32_t first = 0;
    for (uint32_t c = 0; c < program.calls.size(); ++c) {
      const Call& call = program.calls[c];
      const Body& body = plan_.bodies[call.body];
      const BodyAccesses& accesses = accesses_.bodies[call.body];
      first_task_.push_back(first);
      if (ends_.size() < body.ops.size()) ends_.resize(body.ops.size());
      if (slots_.size() < body.formals.size()) slots_.resize(body.formals.size());
      for (size_t f = 0; f < body.formals.size(); ++f) {
        const Arg arg = program.args[call.first_arg + f];
        const PoolPlace& pool = pools_[arg.pool()];
        slots_[f] = fields_.data() + pool.first_field + size_t{arg.slot()} * pool.per_slot;
      }
      for (const Operation& operation : accesses.operations) issue(c, first, operation, accesses, body);
      first += static_cast<uint32_t>(body.ops.size());
    }
    return waits_;
  }

 private:
  void start(const Program& program) {
    pools_.clear();
    uint32_t fields = 0;
    for (const Pool& pool : program.pools) {
      pools_.push_back({fields, accesses_.fields[pool.record]});
      fields += pool.slots * accesses_.fields[pool.record];
    }
    fields_.assign(fields, {});
    first_task_.clear();
    clock_.fill({});
    for (History& history : history_) history.clear();
  }

  void issue(uint32_t call, uint32_t first_task, const Operation& operation, const BodyAccesses& accesses,
             const Body& body) {
    const Op& op = body.ops[operation.first_op];
    const int stream = static_cast<int>(op.stream);
    Clock& clock = clock_[stream];
    for (int w = 0; w < op.num_waits; ++w) {
      const uint16_t target = body.waits[op.first_wait + w];
      const int s = static_cast<int>(body.ops[target].stream);
      learn(clock, s, ends_[target].sequence, history_[s][ends_[target].change]);
    }
    bool has_learned = op.num_waits > 0;
    const uint32_t sequence = first_task + operation.last_op + 1;
    Needed needed;
    for (uint32_t a = operation.first_access; a < operation.end_access; ++a) {
      const Access& access = accesses.accesses[a];
      FieldState& state = slots_[access.formal][access.field];
      require(state, access.writes, stream, clock, needed);
      touch(state, access.writes, stream, sequence);
    }
    for (uint32_t left = needed.streams; left; left &= left - 1) {
      const int s = std::countr_zero(left);
      if (needed.sequence[s] <= clock[s] || implied(s, needed, clock)) continue;
      waits_.push_back({{call, operation.first_op}, place(needed.sequence[s])});
      learn(clock, s, needed.sequence[s], history_[s].at(needed.sequence[s]));
      has_learned = true;
    }
    clock[stream] = sequence;
    if (has_learned) history_[stream].change(sequence, clock);
    ends_[operation.last_op] = {sequence, history_[stream].latest()};
  }

  /// An operation of stream `s` has ended, and with it all that it knew of.
  static void learn(Clock& clock, int s, uint32_t sequence, const Clock& knew) {
    join(clock, knew);
    clock[s] = std::max(clock[s], sequence);
  }

  /// Whether another wait of the same operation brings the one for stream `s` with it.
  bool implied(int s, const Needed& needed, const Clock& clock) const {
    for (uint32_t left = needed.streams; left; left &= left - 1) {
      const int t = std::countr_zero(left);
      if (t == s || needed.sequence[t] <= clock[t]) continue;
      if (history_[t].at(needed.sequence[t])[s] >= needed.sequence[s]) return true;
    }
    return false;
  }

  Position place(uint32_t sequence) const {
    const auto next = std::ranges::upper_bound(first_task_, sequence - 1);
    return {static_cast<uint32_t>(next - first_task_.begin()) - 1, static_cast<uint16_t>(sequence - 1 - next[-1])};
  }

  /// What is known already needs no wait, nor does what the own stream did.
  static void require(const FieldState& state, bool writes, int stream, const Clock& clock, Needed& needed) {
    if (state.write_sequence > clock[state.write_stream] && state.write_stream != stream)
      needed.at_least(state.write_stream, state.write_sequence);
    if (!writes) return;
    for (uint32_t left = state.readers & ~(1u << stream); left; left &= left - 1) {
      const int s = std::countr_zero(left);
      if (state.read_sequence[s] > clock[s]) needed.at_least(s, state.read_sequence[s]);
    }
  }

  static void touch(FieldState& state, bool writes, int stream, uint32_t sequence) {
    if (writes) {
      state.write_sequence = sequence;
      state.write_stream = static_cast<uint8_t>(stream);
      state.readers = 0;
    } else {
      state.read_sequence[stream] = sequence;
      state.readers |= static_cast<uint16_t>(1u << stream);
    }
  }

  struct PoolPlace {
    uint32_t first_field = 0, per_slot = 0;
  };
  struct End {
    uint32_t sequence = 0, change = 0;
  };

  const Plan& plan_;
  const SharedAccesses& accesses_;
  std::vector<PoolPlace> pools_;
  std::vector<FieldState> fields_;
  std::vector<uint32_t> first_task_;  ///< by call: the sequence of its first task, less 1
  std::vector<FieldState*> slots_;    ///< of the call's formals
  std::array<Clock, kStreams> clock_{};
  std::array<History, kStreams> history_;
  std::vector<End> ends_;  ///< of the call's ops
  std::vector<Wait> waits_;
};

/// Waits that any use of the body needs: the body alone, every formal a slot of its own.
void link_body(Plan& plan, uint16_t index, Walker& walker) {
  Body& body = plan.bodies[index];
  Program alone;
  for (uint32_t i = 0; i < body.formals.size(); ++i) {
    alone.pools.push_back({body.formals[i], 1});
    alone.args.emplace_back(i, 0);
  }
  Call call;
  call.body = index;
  alone.calls.push_back(call);
  for (const Wait& wait : walker.run(alone)) {  // ascending by waiter
    Op& op = body.ops[wait.waiter.op];
    if (!op.num_waits) op.first_wait = static_cast<uint32_t>(body.waits.size());
    ++op.num_waits;
    body.waits.push_back(wait.target.op);
  }
}

uint64_t key(Position p) {
  return uint64_t{p.call} << 16 | p.op;
}

struct SyncItem {
  uint64_t position;
  bool records;
  uint32_t event;
};

/// Waits become events: one per awaited task; a slot is free again once its last wait is issued (CUDA's rule).
void place_syncs(Program& program, std::vector<Wait> waits) {
  std::sort(waits.begin(), waits.end(), [](const Wait& a, const Wait& b) {
    return key(a.target) != key(b.target) ? key(a.target) < key(b.target) : key(a.waiter) < key(b.waiter);
  });
  std::vector<SyncItem> items;
  std::vector<uint64_t> last_wait;
  for (size_t i = 0; i < waits.size(); ++i) {
    if (i == 0 || key(waits[i].target) != key(waits[i - 1].target)) {
      items.push_back({key(waits[i].target), true, static_cast<uint32_t>(last_wait.size())});
      last_wait.push_back(0);
    }
    items.push_back({key(waits[i].waiter), false, static_cast<uint32_t>(last_wait.size() - 1)});
    last_wait.back() = std::max(last_wait.back(), key(waits[i].waiter));
  }
  std::sort(items.begin(), items.end(), [](const SyncItem& a, const SyncItem& b) {
    return a.position != b.position ? a.position < b.position
           : a.records != b.records ? a.records < b.records
                                    : a.event < b.event;
  });
  std::vector<uint16_t> slot(last_wait.size()), free_slots;
  for (const SyncItem& item : items) {
    Call& call = program.calls[item.position >> 16];
    if (!call.num_syncs) call.first_sync = static_cast<uint32_t>(program.syncs.size());
    ++call.num_syncs;
    const uint16_t op = static_cast<uint16_t>(item.position & 0xffff);
    if (item.records) {
      if (free_slots.empty()) {
        slot[item.event] = static_cast<uint16_t>(program.num_events++);
      } else {
        slot[item.event] = free_slots.back();
        free_slots.pop_back();
      }
      program.syncs.push_back({op, static_cast<uint16_t>(slot[item.event] | Sync::kRecord)});
    } else {
      program.syncs.push_back({op, slot[item.event]});
      if (item.position == last_wait[item.event]) free_slots.push_back(slot[item.event]);
    }
  }
}

}  // namespace

void link(Plan& plan) {
  for (Body& body : plan.bodies) {
    body.waits.clear();
    for (Op& op : body.ops) op.num_waits = 0, op.first_wait = 0;
  }
  const SharedAccesses accesses = shared_accesses(plan);
  Walker walker(plan, accesses);
  for (size_t b = 0; b < plan.bodies.size(); ++b) link_body(plan, static_cast<uint16_t>(b), walker);
  for (Program& program : plan.programs) {
    program.syncs.clear();
    program.num_events = 0;
    for (Call& call : program.calls) call.num_syncs = 0, call.first_sync = 0;
    place_syncs(program, walker.run(program));
  }
}

}  // namespace pgram
