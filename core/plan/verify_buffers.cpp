// What a role does with its buffers, task by task: lives, definedness, the state of gradients, and the order of
// conflicting accesses under streams, waits and events.
#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <vector>

#include "core/plan/plan.h"
#include "core/plan/verify_calls.h"
#include "core/plan/verify_parts.h"

namespace pgram {
namespace {

/// For every stream the number of its tasks known to be finished.
struct Known {
  std::array<uint32_t, kStreams> finished{};
  void learn(const Known& other) {
    for (int s = 0; s < kStreams; ++s) finished[s] = std::max(finished[s], other.finished[s]);
  }
};

struct TaskAt {
  uint32_t call = 0;
  uint16_t op = 0;
  uint8_t stream = 0;
  uint32_t number = 0;  ///< of its stream, from 1; 0 = none
};

/// One field of one slot.
struct Cell {
  TaskAt writer;
  std::array<uint32_t, kStreams> reader_number{};
  std::array<uint32_t, kStreams> reader_call{};
  std::array<uint16_t, kStreams> reader_op{};
  uint16_t readers = 0;
  bool defined = false;
  AxisMask reduced = 0;
};

bool has_lifetime(RecordKind kind) {
  return kind == RecordKind::saved || kind == RecordKind::edge || kind == RecordKind::input;
}
bool lives_between_steps(RecordKind kind) {
  return kind == RecordKind::parameter || kind == RecordKind::optimizer;
}

class RoleChecker {
 public:
  RoleChecker(const Plan& plan, size_t role, const Overlaps& overlaps)
      : plan_(plan), role_(role), program_(plan.programs[role]), overlaps_(overlaps), events_(program_.num_events) {
    uint32_t cells = 0, slots = 0;
    for (const Pool& pool : program_.pools) {
      first_cell_.push_back(cells);
      first_slot_.push_back(slots);
      cells += pool.slots * static_cast<uint32_t>(plan.records[pool.record].fields.size());
      slots += pool.slots;
    }
    cells_.resize(cells);
    live_.resize(slots, false);
    for (size_t p = 0; p < program_.pools.size(); ++p) {
      const Record& record = plan.records[program_.pools[p].record];
      if (!lives_between_steps(record.kind)) continue;
      const size_t n = size_t{program_.pools[p].slots} * record.fields.size();
      for (size_t i = 0; i < n; ++i) cells_[first_cell_[p] + i].defined = true;
    }
  }

  std::string check() {
    for (uint32_t c = 0; c < program_.calls.size(); ++c) {
      begin_call(c);
      const Body& body = plan_.bodies[program_.calls[c].body];
      if (done_.size() < body.ops.size()) done_.resize(body.ops.size());
      if (body.grouped) check_group(c, body);
      for (uint16_t i = 0; i < body.ops.size() && error_.empty(); ++i) check_task(c, i);
      if (!error_.empty()) return error_;
      end_call(c);
    }
    for (size_t p = 0; p < program_.pools.size(); ++p) {
      for (uint32_t s = 0; s < program_.pools[p].slots; ++s) {
        if (live_[first_slot_[p] + s])
          return "role " + std::to_string(role_) + ": " + slot_text(Arg(static_cast<uint32_t>(p), s)) +
                 " is never freed";
      }
    }
    return "";
  }

 private:
  const Record& record_of(Arg arg) const { return plan_.records[program_.pools[arg.pool()].record]; }
  Cell* cells_of(Arg arg) {
    return &cells_[first_cell_[arg.pool()] + arg.slot() * static_cast<uint32_t>(record_of(arg).fields.size())];
  }
  std::string slot_text(Arg arg) const { return record_of(arg).name + "[" + std::to_string(arg.slot()) + "]"; }
  std::string name(Arg arg, uint16_t field) const { return slot_text(arg) + "." + record_of(arg).fields[field].name; }
  std::string text(uint32_t call, int op) const { return task_text(plan_, role_, call, op); }
  void fail(std::string message) {
    if (error_.empty()) error_ = std::move(message);
  }

  void begin_call(uint32_t c) {
    const Call& call = program_.calls[c];
    const size_t formals = plan_.bodies[call.body].formals.size();
    for (size_t i = 0; i < formals; ++i) {
      const Arg arg = program_.args[call.first_arg + i];
      const Record& record = record_of(arg);
      const bool timed = has_lifetime(record.kind);
      const size_t slot = first_slot_[arg.pool()] + arg.slot();
      if (arg.allocates()) {
        if (live_[slot]) return fail(text(c, -1) + " allocates " + slot_text(arg) + ", which is in use");
        live_[slot] = true;
      } else if (timed && !live_[slot]) {
        return fail(text(c, -1) + " uses " + slot_text(arg) + " after it is freed or before it is allocated");
      }
      if (arg.allocates() || record.kind == RecordKind::scratch) {
        Cell* cells = cells_of(arg);
        for (size_t f = 0; f < record.fields.size(); ++f) cells[f].defined = false;
      }
    }
  }

  void end_call(uint32_t c) {
    const Call& call = program_.calls[c];
    const size_t formals = plan_.bodies[call.body].formals.size();
    for (size_t i = 0; i < formals; ++i) {
      const Arg arg = program_.args[call.first_arg + i];
      if (arg.frees()) live_[first_slot_[arg.pool()] + arg.slot()] = false;
    }
  }

  /// Nothing orders the ops of a group among themselves, though they are on one stream.
  void check_group(uint32_t c, const Body& body) {
    const Call& call = program_.calls[c];
    for (uint16_t i = 0; i < body.ops.size(); ++i) {
      for (uint16_t j = 0; j < i; ++j) {
        for_operands(call, body, body.ops[i], [&](int k, Arg arg, uint16_t field) {
          for_operands(call, body, body.ops[j], [&](int l, Arg other, uint16_t other_field) {
            if (arg.pool() != other.pool() || arg.slot() != other.slot()) return;
            const std::vector<uint16_t>& overlaps = overlaps_[program_.pools[arg.pool()].record][field];
            const bool same = field == other_field || std::count(overlaps.begin(), overlaps.end(), other_field);
            if (!same || (k >= body.ops[i].num_writes && l >= body.ops[j].num_writes)) return;
            fail(text(c, i) + " starts together with " + text(c, j) + ", though both use " + name(arg, field));
          });
        });
      }
    }
  }

  void check_task(uint32_t c, uint16_t i) {
    const Call& call = program_.calls[c];
    const Body& body = plan_.bodies[call.body];
    const Op& op = body.ops[i];
    const int stream = static_cast<int>(op.stream);
    Known& known = known_[stream];
    for (int w = 0; w < op.num_waits; ++w) {
      const uint16_t target = body.waits[op.first_wait + w];
      if (target >= i)
        return fail(text(c, i) + " waits for op " + std::to_string(target) + " that comes after it: a cycle");
      known.learn(done_[target]);
    }
    for_syncs(call, i, [&](const Sync& sync) {
      if (sync.records()) return;
      if (!events_[sync.slot()].recorded)
        return fail(text(c, i) + " waits for event " + std::to_string(sync.slot()) + ", which was never recorded");
      known.learn(events_[sync.slot()].known);
    });
    const uint32_t number = issued_[stream] + 1;
    for_operands(call, body, op, [&](int k, Arg arg, uint16_t field) { check_access(c, i, op, k, arg, field, known); });
    if (!error_.empty()) return;
    for_operands(call, body, op, [&](int k, Arg arg, uint16_t field) {
      note_access(op, k, arg, field, {c, i, static_cast<uint8_t>(stream), number});
    });
    issued_[stream] = number;
    known.finished[stream] = number;
    done_[i] = known;
    for_syncs(call, i, [&](const Sync& sync) {
      if (sync.records()) events_[sync.slot()] = {true, known};
    });
  }

  template <class F>
  void for_syncs(const Call& call, uint16_t op, F&& f) const {
    for (uint32_t s = call.first_sync; s < call.first_sync + call.num_syncs; ++s) {
      if (program_.syncs[s].op == op) f(program_.syncs[s]);
    }
  }

  template <class F>
  void for_operands(const Call& call, const Body& body, const Op& op, F&& f) const {
    for (int k = 0; k < op.num_operands; ++k) {
      const Operand operand = body.operands[op.first_operand + k];
      const Arg arg = program_.args[call.first_arg + operand.formal];
      const bool whole = operand.field == kWhole;
      const uint16_t first = whole ? 0 : operand.field;
      const size_t count = whole ? record_of(arg).fields.size() : operand.fields;
      for (size_t n = 0; n < count; ++n) f(k, arg, static_cast<uint16_t>(first + n));
    }
  }

  void check_access(uint32_t c, uint16_t i, const Op& op, int k, Arg arg, uint16_t field, const Known& known) {
    Cell* cells = cells_of(arg);
    const bool writes = k < op.num_writes, reads = !writes || (op.read_writes >> k & 1);
    const Record& record = record_of(arg);
    if (reads && !cells[field].defined) fail(text(c, i) + " reads " + name(arg, field) + " before it is written");
    if (record.kind == RecordKind::gradient) check_gradient(c, i, op, arg, field, cells[field], writes);
    const auto used = [&] { return name(arg, field); };
    check_ordered(c, i, static_cast<int>(op.stream), cells[field], writes, known, used);
    if (!writes) return;
    for (uint16_t other : overlaps_[program_.pools[arg.pool()].record][field]) {
      check_ordered(c, i, static_cast<int>(op.stream), cells[other], true, known, used);
    }
  }

  /// A gradient is accumulated, then summed once over each axis on which it is partial, then used.
  void check_gradient(uint32_t c, uint16_t i, const Op& op, Arg arg, uint16_t index, const Cell& cell, bool writes) {
    const Field& field = record_of(arg).fields[index];
    if (is_communication(op.kernel)) {
      const AxisMask axes = plan_.comms[op.comm].axes;
      if (axes & ~field.partial_axes) {
        fail(text(c, i) + " sums " + name(arg, index) + " over " + plan_.comms[op.comm].name +
             ", where it is whole already");
      }
      if (cell.reduced & axes)
        fail(text(c, i) + " sums " + name(arg, index) + " a second time over " + plan_.comms[op.comm].name);
      return;
    }
    if (op.kernel == Kernel::zero) return;
    if (writes && cell.reduced) fail(text(c, i) + " adds to " + name(arg, index) + ", which was already reduced");
    if (!writes && (field.partial_axes & ~cell.reduced)) {
      static constexpr std::array kAxisNames{"tp", "dp", "pp (tied copies)"};
      int axis = 0;
      while (!((field.partial_axes & ~cell.reduced) >> axis & 1)) ++axis;
      fail(text(c, i) + " reads " + name(arg, index) + " before its sum over " + kAxisNames[axis] +
           ": an all-reduce is missing");
    }
  }

  /// `name` is asked for only where something is wrong.
  template <class Name>
  void check_ordered(uint32_t c, uint16_t i, int stream, const Cell& cell, bool writes, const Known& known,
                     const Name& name) {
    const auto unordered = [&](uint32_t call, uint16_t op, int other) {
      fail(text(c, i) + " on stream " + name_of(static_cast<Stream>(stream)) + " is not ordered after " +
           text(call, op) + " on stream " + name_of(static_cast<Stream>(other)) + ", though both use " + name());
    };
    if (cell.writer.number && cell.writer.stream != stream && known.finished[cell.writer.stream] < cell.writer.number) {
      unordered(cell.writer.call, cell.writer.op, cell.writer.stream);
    }
    if (!writes) return;
    for (uint32_t left = cell.readers & ~(1u << stream); left; left &= left - 1) {
      const int s = std::countr_zero(left);
      if (known.finished[s] < cell.reader_number[s]) unordered(cell.reader_call[s], cell.reader_op[s], s);
    }
  }

  void note_access(const Op& op, int k, Arg arg, uint16_t field, TaskAt task) {
    Cell* cells = cells_of(arg);
    Cell& cell = cells[field];
    if (k < op.num_writes) {
      cell.writer = task;
      cell.readers = 0;
      cell.defined = true;
      if (op.kernel == Kernel::zero) cell.reduced = 0;
      if (is_communication(op.kernel)) cell.reduced |= plan_.comms[op.comm].axes;
      for (uint16_t other : overlaps_[program_.pools[arg.pool()].record][field]) cells[other].defined = false;
    } else {
      cell.readers |= static_cast<uint16_t>(1u << task.stream);
      cell.reader_number[task.stream] = task.number;
      cell.reader_call[task.stream] = task.call;
      cell.reader_op[task.stream] = task.op;
    }
  }

  struct Event {
    bool recorded = false;
    Known known;
  };

  const Plan& plan_;
  size_t role_;
  const Program& program_;
  const Overlaps& overlaps_;
  std::vector<uint32_t> first_cell_, first_slot_;
  std::vector<Cell> cells_;
  std::vector<bool> live_;
  std::array<Known, kStreams> known_;
  std::array<uint32_t, kStreams> issued_{};
  std::vector<Known> done_;  ///< of the ops of the current call
  std::vector<Event> events_;
  std::string error_;
};

}  // namespace

std::string verify_buffers(const Plan& plan) {
  const Overlaps overlaps = overlaps_of(plan);
  const CallProver prover(plan, overlaps);
  size_t proven = SIZE_MAX;  // the last role that was looked at
  for (size_t role = 0; role < plan.programs.size(); ++role) {
    if (proven != SIZE_MAX && prover.are_alike(role, proven)) continue;
    if (prover.holds(role)) {
      proven = role;
      continue;
    }
    if (std::string error = verify_tasks(plan, role, overlaps); !error.empty()) return error;
  }
  return "";
}

std::string verify_tasks(const Plan& plan, size_t role, const Overlaps& overlaps) {
  return RoleChecker(plan, role, overlaps).check();
}

}  // namespace pgram
