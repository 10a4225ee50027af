// Plan -> JSON, one op or call a line, so that two plans can be compared by eye and by diff.
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/base/errors.h"
#include "core/plan/plan.h"
#include "core/plan/plan_file.h"

namespace pgram {
namespace {

std::string quoted(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', true);
}
std::string quoted(std::string_view text) {
  return quoted(std::string(text));
}

std::string number(float value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.9g", static_cast<double>(value));
  return text;
}

class Writer {
 public:
  std::string text;

  Writer& operator<<(const std::string& s) { return text += s, *this; }
  Writer& operator<<(const char* s) { return text += s, *this; }
  Writer& operator<<(char c) { return text += c, *this; }
  template <class T>
  requires std::is_integral_v<T> Writer& operator<<(T value) { return text += std::to_string(value), *this; }

  /// Elements separated by commas, each on a line of its own if `lines`.
  template <class Range, class F>
  void list(const Range& range, bool lines, F&& write) {
    text += '[';
    bool first = true;
    for (const auto& element : range) {
      if (!first) text += ',';
      if (lines) text += "\n  ";
      first = false;
      write(element);
    }
    text += lines && !first ? "\n]" : "]";
  }

  void numbers(const auto& range) {
    list(range, false, [&](auto value) { *this << static_cast<uint64_t>(value); });
  }
};

void write_attributes(Writer& w, const Attributes& a) {
  w << "{\"sequence\":" << a.sequence << ",\"head_dim\":" << a.head_dim << ",\"heads\":" << a.heads
    << ",\"kv_heads\":" << a.kv_heads << ",\"rotary_dims\":" << a.rotary_dims
    << ",\"rope_base\":" << number(a.rope_base) << ",\"rope_factor\":" << number(a.rope_factor)
    << ",\"rope_low\":" << number(a.rope_low) << ",\"rope_high\":" << number(a.rope_high)
    << ",\"rope_original\":" << a.rope_original << ",\"epsilon\":" << number(a.epsilon)
    << ",\"scale\":" << number(a.scale) << ",\"vocabulary\":" << a.vocabulary << ",\"activation\":" << a.activation
    << ",\"opaque_kind\":" << a.opaque_kind << '}';
}

void write_field(Writer& w, const Field& f) {
  static constexpr std::array kTypes{"f32", "bf16", "i32"};
  w << "{\"name\":" << quoted(f.name) << ",\"dtype\":\"" << kTypes[static_cast<int>(f.dtype)] << "\",\"dims\":["
    << f.dims[0];
  if (f.num_dims > 1) w << ',' << f.dims[1];
  w << "],\"offset\":" << f.offset;
  if (f.joined) w << ",\"joined\":true";
  if (f.shard_axes) w << ",\"shard_dim\":" << f.shard_dim << ",\"shard_axes\":" << f.shard_axes;
  if (f.full_dim) w << ",\"full_dim\":" << f.full_dim;
  if (f.partial_axes) w << ",\"partial_axes\":" << f.partial_axes;
  if (f.duplicate) w << ",\"duplicate\":true";
  if (!f.stored_name.empty()) w << ",\"stored_name\":" << quoted(f.stored_name);
  if (f.stored_parts != 1) w << ",\"stored_part\":" << f.stored_part << ",\"stored_parts\":" << f.stored_parts;
  if (f.stored_transposed) w << ",\"stored_transposed\":true";
  w << '}';
}

void write_record(Writer& w, const Record& record) {
  w << "{\"name\":" << quoted(record.name) << ",\"kind\":\"" << name_of(record.kind) << "\",\"bytes\":" << record.bytes
    << ",\"fields\":";
  w.list(record.fields, false, [&](const Field& field) { write_field(w, field); });
  w << '}';
}

void write_comm(Writer& w, const Communicator& comm) {
  w << "{\"name\":" << quoted(comm.name) << ",\"axes\":" << comm.axes << ",\"stream\":\"" << name_of(comm.stream)
    << '"';
  if (comm.directed) w << ",\"source\":" << comm.source << ",\"target\":" << comm.target;
  if (!comm.roles.empty()) {
    w << ",\"roles\":";
    w.numbers(comm.roles);
  }
  w << '}';
}

void write_op(Writer& w, const Body& body, const Op& op) {
  const auto operands = [&](int first, int last) {
    w << '[';
    for (int i = first; i < last; ++i) {
      const Operand& o = body.operands[op.first_operand + i];
      if (i > first) w << ',';
      w << '[' << o.formal << ',' << o.field << ',' << o.fields << ']';
    }
    w << ']';
  };
  w << "{\"kernel\":" << quoted(name_of(op.kernel)) << ",\"stream\":\"" << name_of(op.stream) << "\",\"writes\":";
  operands(0, op.num_writes);
  w << ",\"reads\":";
  operands(op.num_writes, op.num_operands);
  if (op.read_writes) w << ",\"read_writes\":" << op.read_writes;
  if (op.comm != kNoComm) w << ",\"comm\":" << op.comm;
  if (op.micro_batch_offset) w << ",\"micro_batch_offset\":" << op.micro_batch_offset;
  w << ",\"attributes\":" << op.attributes << ",\"flops\":" << op.flops << ",\"bytes\":" << op.bytes;
  if (op.num_waits) {
    w << ",\"after\":";
    w.numbers(
        std::vector<uint16_t>(body.waits.begin() + op.first_wait, body.waits.begin() + op.first_wait + op.num_waits));
  }
  w << '}';
}

void write_body(Writer& w, const Body& body) {
  w << "{\"name\":" << quoted(body.name) << ",\"category\":" << quoted(name_of(body.category));
  if (body.grouped) w << ",\"grouped\":true";
  w << ",\"formals\":";
  w.numbers(body.formals);
  w << ",\"ops\":";
  w.list(body.ops, true, [&](const Op& op) { write_op(w, body, op); });
  w << '}';
}

/// A call: [body, layer, micro-batch, [pool, slot, 1 allocates + 2 frees, ...], [op, event, 1 records, ...]].
void write_call(Writer& w, const Plan& plan, const Program& program, const Call& call) {
  w << '[' << call.body << ',' << call.layer << ',' << call.micro_batch << ",[";
  for (size_t i = 0; i < plan.bodies[call.body].formals.size(); ++i) {
    const Arg arg = program.args[call.first_arg + i];
    if (i) w << ',';
    w << arg.pool() << ',' << arg.slot() << ',' << (arg.allocates() ? 1 : 0) + (arg.frees() ? 2 : 0);
  }
  w << "],[";
  for (int i = 0; i < call.num_syncs; ++i) {
    const Sync& sync = program.syncs[call.first_sync + i];
    if (i) w << ',';
    w << sync.op << ',' << sync.slot() << ',' << (sync.records() ? 1 : 0);
  }
  w << "]]";
}

void write_program(Writer& w, const Plan& plan, const Program& program) {
  w << "{\"pools\":";
  w.list(program.pools, false, [&](const Pool& pool) { w << '[' << pool.record << ',' << pool.slots << ']'; });
  w << ",\"events\":" << program.num_events << ",\"slots\":";
  w.list(program.slot_ops, false, [&](const SlotOp& slot) {
    w << "[\"" << name_of(slot.kind) << "\"," << slot.stage << ',' << slot.micro_batch << ',' << slot.num_calls << ']';
  });
  w << ",\"calls\":";
  w.list(program.calls, true, [&](const Call& call) { write_call(w, plan, program, call); });
  w << '}';
}

}  // namespace

std::string plan_to_json(const Plan& plan) {
  Writer w;
  w << "{\"format\":\"parallelogram plan\",\"version\":" << kPlanVersion << ",\n\"facts\":{";
  bool first = true;
  for (const auto& [key, value] : plan.facts) {
    w << (first ? "" : ",") << quoted(key) << ':' << quoted(value);
    first = false;
  }
  w << "},\n\"mesh\":{\"size\":";
  w.numbers(plan.mesh.size);
  w << ",\"order\":";
  w.numbers(plan.mesh.order);
  w << "},\n\"attributes\":";
  w.list(plan.attributes, true, [&](const Attributes& a) { write_attributes(w, a); });
  w << ",\n\"records\":";
  w.list(plan.records, true, [&](const Record& r) { write_record(w, r); });
  w << ",\n\"comms\":";
  w.list(plan.comms, true, [&](const Communicator& c) { write_comm(w, c); });
  w << ",\n\"bodies\":";
  w.list(plan.bodies, true, [&](const Body& b) { write_body(w, b); });
  w << ",\n\"programs\":";
  w.list(plan.programs, true, [&](const Program& p) { write_program(w, plan, p); });
  w << "}\n";
  return std::move(w.text);
}

void write_plan(const Plan& plan, const std::string& path) {
  const std::string temporary = path + ".tmp";
  {
    std::ofstream file(temporary, std::ios::binary);
    file << plan_to_json(plan);
    if (!file.flush())
      throw InputError(path, 0, "", "cannot write this file; is the folder there and the disk not full?");
  }
  if (std::rename(temporary.c_str(), path.c_str()) != 0) throw InputError(path, 0, "", "cannot write this file");
}

}  // namespace pgram
