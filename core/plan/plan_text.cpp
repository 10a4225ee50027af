// The Plan for people: text and Graphviz.
#include <algorithm>
#include <sstream>

#include "core/base/errors.h"
#include "core/base/units.h"
#include "core/plan/plan.h"
#include "core/plan/plan_file.h"

namespace pgram {
namespace {

std::string axes_text(AxisMask axes) {
  std::string text;
  for (int i = 0; i < kMeshAxes; ++i) {
    static constexpr std::array kNames{"tp", "dp", "pp"};
    if (axes >> i & 1) text += (text.empty() ? "" : "+") + std::string(kNames[i]);
  }
  return text;
}

std::string dims_text(const Field& field) {
  std::string text = "[" + std::to_string(field.dims[0]);
  if (field.num_dims > 1) text += "," + std::to_string(field.dims[1]);
  return text + "]";
}

std::string operand_text(const Plan& plan, const Body& body, Operand operand) {
  const Record& record = plan.records[body.formals[operand.formal]];
  if (operand.field == kWhole) return record.name + ".*";
  std::string text = record.name + "." + record.fields[operand.field].name;
  if (operand.fields > 1) text += ".." + record.fields[operand.field + operand.fields - 1].name;
  return text;
}

std::string op_text(const Plan& plan, const Body& body, const Op& op) {
  std::string text{name_of(op.kernel)};
  for (int i = 0; i < op.num_operands; ++i) {
    text += i == 0 && op.num_writes == 0 ? " <- " : i == 0 ? " " : i == op.num_writes ? " <- " : ", ";
    text += operand_text(plan, body, body.operands[op.first_operand + i]);
    if (i < op.num_writes && (op.read_writes >> i & 1)) text += "+=";
  }
  if (op.comm != kNoComm) text += " @" + plan.comms[op.comm].name;
  if (op.micro_batch_offset) {
    text += " mb" + std::string(op.micro_batch_offset > 0 ? "+" : "") + std::to_string(op.micro_batch_offset);
  }
  return text;
}

void print_records(const Plan& plan, std::ostream& out) {
  for (const Record& record : plan.records) {
    out << "record " << record.name << " (" << name_of(record.kind) << ", " << format_bytes(record.bytes) << "):";
    for (const Field& field : record.fields) {
      out << ' ' << field.name << dims_text(field);
      if (field.shard_axes) out << "/" << axes_text(field.shard_axes) << (field.shard_dim ? " by columns" : "");
      if (field.partial_axes && record.kind == RecordKind::gradient)
        out << " sum over " << axes_text(field.partial_axes);
      out << (&field == &record.fields.back() ? "" : ",");
    }
    out << '\n';
  }
}

void print_bodies(const Plan& plan, std::ostream& out) {
  for (const Body& body : plan.bodies) {
    out << "body " << body.name << " (" << name_of(body.category) << (body.grouped ? ", grouped" : "") << ")\n";
    for (size_t i = 0; i < body.ops.size(); ++i) {
      const Op& op = body.ops[i];
      out << "  " << i << '\t' << name_of(op.stream) << '\t' << op_text(plan, body, op);
      for (int w = 0; w < op.num_waits; ++w) out << (w ? "," : "  after ") << body.waits[op.first_wait + w];
      out << '\n';
    }
  }
}

void print_program(const Plan& plan, size_t role, int max_calls, std::ostream& out) {
  const Program& program = plan.programs[role];
  out << "role " << role << ": " << program.calls.size() << " calls, " << program.num_events << " event slots, "
      << format_bytes(plan.memory_bytes(static_cast<uint32_t>(role))) << " in pools\n ";
  for (const SlotOp& slot : program.slot_ops) {
    if (slot.kind < SlotKind::prologue) out << ' ' << slot.stage << name_of(slot.kind) << slot.micro_batch;
  }
  out << '\n';
  for (size_t c = 0; c < program.calls.size() && static_cast<int>(c) < max_calls; ++c) {
    const Call& call = program.calls[c];
    const Body& body = plan.bodies[call.body];
    out << "  " << c << ' ' << body.name << " layer " << call.layer << " mb " << call.micro_batch << ':';
    for (size_t i = 0; i < body.formals.size(); ++i) {
      const Arg arg = program.args[call.first_arg + i];
      out << ' ' << plan.records[program.pools[arg.pool()].record].name << '[' << arg.slot() << ']'
          << (arg.allocates() ? "!" : "") << (arg.frees() ? "~" : "");
    }
    for (int i = 0; i < call.num_syncs; ++i) {
      const Sync& sync = program.syncs[call.first_sync + i];
      out << (sync.records() ? " record " : " wait ") << sync.slot() << '@' << sync.op;
    }
    out << '\n';
  }
  if (static_cast<int>(program.calls.size()) > max_calls) {
    out << "  ... " << program.calls.size() - static_cast<size_t>(std::max(0, max_calls)) << " more calls\n";
  }
}

std::string dot_quote(const std::string& text) {
  std::string quoted = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

constexpr const char* kDotHead =
    "digraph plan {\n  rankdir=TB;\n  node [shape=box, fontname=\"DejaVu Sans\", fontsize=9];\n";

const char* stream_colour(Stream stream) {
  switch (stream) {
    case Stream::compute:
      return "#0072b2";
    case Stream::tensor:
      return "#e69f00";
    case Stream::data:
      return "#cc79a7";
    default:
      return "#555555";
  }
}

/// Nodes of one call's ops, in-stream order solid, waits dashed. `previous`: last node of each stream so far.
void dot_ops(const Plan& plan, const Body& body, const std::string& prefix, const std::string& label,
             std::array<std::string, kStreams>& previous, std::ostream& out) {
  for (size_t i = 0; i < body.ops.size(); ++i) {
    const Op& op = body.ops[i];
    const std::string node = prefix + std::to_string(i);
    out << "  " << node << " [label=" << dot_quote(label + std::to_string(i) + " " + op_text(plan, body, op))
        << ", color=\"" << stream_colour(op.stream) << "\"];\n";
    std::string& before = previous[static_cast<int>(op.stream)];
    if (!before.empty()) out << "  " << before << " -> " << node << ";\n";
    before = node;
    for (int w = 0; w < op.num_waits; ++w) {
      out << "  " << prefix << body.waits[op.first_wait + w] << " -> " << node << " [style=dashed];\n";
    }
  }
}

}  // namespace

std::string plan_to_text(const Plan& plan, int max_calls) {
  std::ostringstream out;
  for (const auto& [key, value] : plan.facts) out << key << ": " << value << '\n';
  out << "mesh tp " << plan.mesh.size[0] << ", dp " << plan.mesh.size[1] << ", pp " << plan.mesh.size[2] << ": "
      << plan.mesh.ranks() << " ranks, " << format_count(plan.tasks()) << " tasks in " << plan.programs.size()
      << " roles\n\n";
  print_records(plan, out);
  out << '\n';
  print_bodies(plan, out);
  out << '\n';
  for (size_t role = 0; role < plan.programs.size(); ++role) print_program(plan, role, max_calls, out);
  return out.str();
}

std::string body_to_dot(const Plan& plan, const std::string& body_name) {
  const auto body =
      std::find_if(plan.bodies.begin(), plan.bodies.end(), [&](const Body& b) { return b.name == body_name; });
  if (body == plan.bodies.end()) {
    std::string known;
    for (const Body& b : plan.bodies) known += (known.empty() ? "" : ", ") + b.name;
    throw InputError("body", "no body '" + body_name + "' in the plan; it has " + known);
  }
  std::ostringstream out;
  std::array<std::string, kStreams> previous;
  out << kDotHead;
  dot_ops(plan, *body, "op", "", previous, out);
  out << "}\n";
  return out.str();
}

std::string slot_to_dot(const Plan& plan, const std::string& slot_text) {
  for (const Program& program : plan.programs) {
    for (const SlotOp& slot : program.slot_ops) {
      if (std::to_string(slot.stage) + name_of(slot.kind) + std::to_string(slot.micro_batch) != slot_text) continue;
      std::ostringstream out;
      std::array<std::string, kStreams> previous;
      std::vector<std::string> recorded(program.num_events);
      out << kDotHead;
      for (uint32_t c = slot.first_call; c < slot.first_call + slot.num_calls; ++c) {
        const Call& call = program.calls[c];
        const Body& body = plan.bodies[call.body];
        const std::string prefix = "c" + std::to_string(c) + "_";
        dot_ops(plan, body, prefix, body.name + " l" + std::to_string(call.layer) + "\n", previous, out);
        for (int i = 0; i < call.num_syncs; ++i) {
          const Sync& sync = program.syncs[call.first_sync + i];
          const std::string node = prefix + std::to_string(sync.op);
          if (sync.records()) {
            recorded[sync.slot()] = node;
          } else if (!recorded[sync.slot()].empty()) {
            out << "  " << recorded[sync.slot()] << " -> " << node << " [style=dashed];\n";
          }
        }
      }
      out << "}\n";
      return out.str();
    }
  }
  throw InputError("slot",
                   "no slot '" + slot_text + "' in the plan; expected <stage><F|B><micro-batch>, for example 0F0");
}

}  // namespace pgram
