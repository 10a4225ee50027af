// Waits are what the buffers demand: an op on one stream waits for the last write (and, before it writes, for the last
// reads) of the same field on other streams, unless a chain of waits already orders them. Happens-before is kept as
// vector clocks, one counter per stream.
#include "core/plan/link.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <vector>

#include "core/plan/plan.h"

namespace pgram {
namespace {

using Clock = std::array<uint32_t, kStreams>;

void join(Clock& into, const Clock& other) {
  for (int s = 0; s < kStreams; ++s) into[s] = std::max(into[s], other[s]);
}

/// What an op waits for: sequences of a few streams.
struct Needed {
  uint32_t streams = 0;  // bits
  Clock sequence;        // of those streams

  void at_least(int stream, uint32_t value) {
    const bool is_new = !(streams >> stream & 1);
    sequence[stream] = is_new ? value : std::max(sequence[stream], value);
    streams |= 1u << stream;
  }
  uint32_t operator[](int stream) const { return sequence[stream]; }
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
  uint32_t write_sequence = 0;  // 0 = never; sequences are per stream, from 1
  uint8_t write_stream = 0;
  uint16_t readers = 0;  // streams that have read since the last write
  Clock read_sequence{};
};

/// One operand of one op, as the fields it covers. Fields that only one stream ever touches cannot need a wait and are
/// left out: most of them.
struct Access {
  uint8_t formal = 0;
  bool writes = false;
  uint16_t first_field = 0, num_fields = 0;
};

struct BodyAccesses {
  std::vector<Access> accesses;
  std::vector<uint32_t> first;  // per op, and one past the end
};

std::vector<BodyAccesses> shared_accesses(const Plan& plan) {
  std::vector<std::vector<uint16_t>> streams(plan.records.size());  // record, field -> mask of streams
  for (size_t r = 0; r < plan.records.size(); ++r) streams[r].resize(plan.records[r].fields.size());
  const auto range = [&](uint16_t record, Operand operand) {
    const bool whole = operand.field == kWhole;
    return std::pair<uint16_t, uint16_t>(whole ? 0 : operand.field,
                                         whole ? plan.records[record].fields.size() : operand.fields);
  };
  for (const Body& body : plan.bodies) {
    for (const Op& op : body.ops) {
      for (int i = 0; i < op.num_operands; ++i) {
        const Operand operand = body.operands[op.first_operand + i];
        const uint16_t record = body.formals[operand.formal];
        const auto [first, count] = range(record, operand);
        for (int f = 0; f < count; ++f) streams[record][first + f] |= 1u << static_cast<int>(op.stream);
      }
    }
  }
  std::vector<BodyAccesses> result(plan.bodies.size());
  for (size_t b = 0; b < plan.bodies.size(); ++b) {
    const Body& body = plan.bodies[b];
    BodyAccesses& out = result[b];
    for (const Op& op : body.ops) {
      out.first.push_back(static_cast<uint32_t>(out.accesses.size()));
      for (int i = 0; i < op.num_operands; ++i) {
        const Operand operand = body.operands[op.first_operand + i];
        const uint16_t record = body.formals[operand.formal];
        const auto [first, count] = range(record, operand);
        const bool shared = std::any_of(streams[record].begin() + first, streams[record].begin() + first + count,
                                        [](uint16_t mask) { return (mask & (mask - 1)) != 0; });
        if (shared) out.accesses.push_back({operand.formal, i < op.num_writes, first, count});
      }
    }
    out.first.push_back(static_cast<uint32_t>(out.accesses.size()));
  }
  return result;
}

/// Walks a program in issue order and collects the waits that are missing.
class Walker {
 public:
  Walker(const Plan& plan, const Program& program, const std::vector<BodyAccesses>& accesses)
      : plan_(plan), program_(program), accesses_(accesses) {
    uint32_t fields = 0;
    for (const Pool& pool : program.pools) {
      const uint32_t per_slot = static_cast<uint32_t>(plan.records[pool.record].fields.size());
      pool_base_.push_back(fields);
      pool_fields_.push_back(per_slot);
      fields += pool.slots * per_slot;
    }
    fields_.resize(fields);
    for (int s = 0; s < kStreams; ++s) history_[s].emplace_back(), place_[s].emplace_back();
  }

  std::vector<Wait> run() {
    std::vector<Clock> end;
    for (uint32_t c = 0; c < program_.calls.size(); ++c) {
      const Body& body = plan_.bodies[program_.calls[c].body];
      const uint16_t ops = static_cast<uint16_t>(body.ops.size());
      if (end.size() < ops) end.resize(ops);
      if (body.grouped) {
        if (ops) issue(c, 0, ops, body, end);
        continue;
      }
      for (uint16_t i = 0; i < ops; ++i) issue(c, i, i + 1, body, end);
    }
    return std::move(waits_);
  }

 private:
  /// One operation of a stream: an op, or all ops of a grouped body, which waits before its first and is awaited after
  /// its last.
  void issue(uint32_t call_index, uint16_t first_op, uint16_t end_op, const Body& body, std::vector<Clock>& end) {
    const Call& call = program_.calls[call_index];
    const Op& op = body.ops[first_op];
    const int stream = static_cast<int>(op.stream);
    Clock& clock = clock_[stream];
    for (int w = 0; w < op.num_waits; ++w) join(clock, end[body.waits[op.first_wait + w]]);

    const BodyAccesses& accesses = accesses_[call.body];
    const Access* first = accesses.accesses.data() + accesses.first[first_op];
    const Access* last = accesses.accesses.data() + accesses.first[end_op];
    Needed needed;
    for (const Access* a = first; a != last; ++a) {
      FieldState* state = slot(call, *a);
      for (int f = 0; f < a->num_fields; ++f) require(state[f], a->writes, needed);
    }
    needed.streams &= ~(1u << stream);
    for (uint32_t left = needed.streams; left; left &= left - 1) {
      const int s = std::countr_zero(left);
      if (needed[s] <= clock[s] || implied(s, needed, clock)) continue;
      waits_.push_back({{call_index, first_op}, place_[s][needed[s]]});
      join(clock, history_[s][needed[s]]);
    }
    const uint32_t sequence = static_cast<uint32_t>(history_[stream].size());
    clock[stream] = sequence;
    end[end_op - 1] = clock;
    history_[stream].push_back(clock);
    place_[stream].push_back({call_index, static_cast<uint16_t>(end_op - 1)});
    for (const Access* a = first; a != last; ++a) {
      FieldState* state = slot(call, *a);
      for (int f = 0; f < a->num_fields; ++f) touch(state[f], a->writes, stream, sequence);
    }
  }

  /// Whether another wait of the same op brings the one for stream `s` with it.
  bool implied(int s, const Needed& needed, const Clock& clock) const {
    for (uint32_t left = needed.streams; left; left &= left - 1) {
      const int t = std::countr_zero(left);
      if (t == s || needed[t] <= clock[t]) continue;
      if (history_[t][needed[t]][s] >= needed[s]) return true;
    }
    return false;
  }

  FieldState* slot(const Call& call, const Access& access) {
    const Arg arg = program_.args[call.first_arg + access.formal];
    return &fields_[pool_base_[arg.pool()] + arg.slot() * pool_fields_[arg.pool()] + access.first_field];
  }

  static void require(const FieldState& state, bool writes, Needed& needed) {
    if (state.write_sequence) needed.at_least(state.write_stream, state.write_sequence);
    if (!writes) return;
    for (uint32_t left = state.readers; left; left &= left - 1) {
      const int s = std::countr_zero(left);
      needed.at_least(s, state.read_sequence[s]);
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

  const Plan& plan_;
  const Program& program_;
  const std::vector<BodyAccesses>& accesses_;
  std::vector<uint32_t> pool_base_, pool_fields_;
  std::vector<FieldState> fields_;
  std::array<Clock, kStreams> clock_{};
  std::array<std::vector<Clock>, kStreams> history_;
  std::array<std::vector<Position>, kStreams> place_;
  std::vector<Wait> waits_;
};

/// Waits that any use of the body needs: the body alone, every formal a slot of its own.
void link_body(Plan& plan, uint16_t index, const std::vector<BodyAccesses>& accesses) {
  Body& body = plan.bodies[index];
  Program alone;
  for (uint32_t i = 0; i < body.formals.size(); ++i) {
    alone.pools.push_back({body.formals[i], 1});
    alone.args.emplace_back(i, 0);
  }
  Call call;
  call.body = index;
  alone.calls.push_back(call);
  for (const Wait& wait : Walker(plan, alone, accesses).run()) {  // ascending by waiter
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
  const std::vector<BodyAccesses> accesses = shared_accesses(plan);
  for (size_t b = 0; b < plan.bodies.size(); ++b) link_body(plan, static_cast<uint16_t>(b), accesses);
  for (Program& program : plan.programs) {
    program.syncs.clear();
    program.num_events = 0;
    for (Call& call : program.calls) call.num_syncs = 0, call.first_sync = 0;
    place_syncs(program, Walker(plan, program, accesses).run());
  }
}

}  // namespace pgram
