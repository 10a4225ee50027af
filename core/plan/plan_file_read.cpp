// JSON -> Plan. Every index is checked against what it points into, so that a hostile file can at worst describe a Plan
// that verify() refuses.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/base/errors.h"
#include "core/base/json_reader.h"
#include "core/plan/kernel_rules.h"
#include "core/plan/plan.h"
#include "core/plan/plan_file.h"

namespace pgram {
namespace {

constexpr size_t kMaxList = size_t{1} << 26;
constexpr uint32_t kMaxDim = 1u << 31;
constexpr uint64_t kMaxBytes = uint64_t{1} << 50;  // of one record and of one pool

/// The enumerator of `count` whose name_of() is the field's text.
template <class Enum>
Enum parse_enum(const JsonObject& object, const std::string& key, int count) {
  const std::string text = object.string(key);
  for (int i = 0; i < count; ++i) {
    if (name_of(static_cast<Enum>(i)) == text) return static_cast<Enum>(i);
  }
  object.fail(key, "unknown value " + json_quoted(text));
}

float small_number(const JsonObject& object, const std::string& key) {
  return static_cast<float>(object.number(key, -1e30, 1e30));
}

Attributes read_attributes(const JsonObject& o) {
  o.allow_only({"sequence", "head_dim", "heads", "kv_heads", "rotary_dims", "rope_base", "rope_factor", "rope_low",
                "rope_high", "rope_original", "epsilon", "scale", "vocabulary", "activation", "opaque_kind"});
  Attributes a;
  a.sequence = o.u32("sequence", 0, kMaxDim);
  a.head_dim = o.u32("head_dim", 0, kMaxDim);
  a.heads = o.u32("heads", 0, kMaxDim);
  a.kv_heads = o.u32("kv_heads", 0, kMaxDim);
  a.rotary_dims = o.u32("rotary_dims", 0, kMaxDim);
  a.rope_base = small_number(o, "rope_base");
  a.rope_factor = small_number(o, "rope_factor");
  a.rope_low = small_number(o, "rope_low");
  a.rope_high = small_number(o, "rope_high");
  a.rope_original = o.u32("rope_original", 0, kMaxDim);
  a.epsilon = small_number(o, "epsilon");
  a.scale = small_number(o, "scale");
  a.vocabulary = o.u32("vocabulary", 0, kMaxDim);
  a.activation = static_cast<uint8_t>(o.u32("activation", 0, 2));
  a.opaque_kind = static_cast<uint8_t>(o.u32("opaque_kind", 0, 3));
  return a;
}

Field read_field(const JsonObject& o) {
  o.allow_only({"name", "dtype", "dims", "offset", "joined", "shard_dim", "shard_axes", "full_dim", "partial_axes",
                "duplicate", "stored_name", "stored_part", "stored_parts", "stored_transposed"});
  Field f;
  f.name = o.string("name");
  const std::string dtype = o.string("dtype");
  if (dtype != "f32" && dtype != "bf16" && dtype != "i32")
    o.fail("dtype", "expected f32, bf16 or i32, got " + json_quoted(dtype));
  f.dtype = dtype == "f32" ? DType::f32 : dtype == "bf16" ? DType::bf16 : DType::i32;
  const std::vector<uint64_t> dims = o.u64s("dims", 1, kMaxDim, 2);
  if (dims.empty()) o.fail("dims", "expected one or two dims");
  f.num_dims = static_cast<uint8_t>(dims.size());
  for (size_t i = 0; i < dims.size(); ++i) f.dims[i] = static_cast<uint32_t>(dims[i]);
  if (f.count() > kMaxBytes / 4) o.fail("dims", "the field is larger than 1 PiB");
  f.offset = o.u64("offset", 0, kMaxBytes);
  f.joined = o.boolean_or("joined", false);
  f.shard_dim = static_cast<uint8_t>(o.u32_or("shard_dim", 0, 1, 0));
  f.shard_axes = static_cast<AxisMask>(o.u32_or("shard_axes", 0, 7, 0));
  f.full_dim = o.u32_or("full_dim", 0, kMaxDim, 0);
  f.partial_axes = static_cast<AxisMask>(o.u32_or("partial_axes", 0, 7, 0));
  f.duplicate = o.boolean_or("duplicate", false);
  f.stored_name = o.string_or("stored_name", "");
  f.stored_parts = static_cast<uint8_t>(o.u32_or("stored_parts", 1, 255, 1));
  f.stored_part = static_cast<uint8_t>(o.u32_or("stored_part", 0, f.stored_parts - 1u, 0));
  f.stored_transposed = o.boolean_or("stored_transposed", false);
  return f;
}

Record read_record(const JsonObject& o) {
  o.allow_only({"name", "kind", "bytes", "fields"});
  Record record;
  record.name = o.string("name");
  record.kind = parse_enum<RecordKind>(o, "kind", static_cast<int>(RecordKind::misc) + 1);
  record.bytes = o.u64("bytes", 0, kMaxBytes);
  for (const JsonObject& field : o.objects("fields", 0xfffe)) {
    record.fields.push_back(read_field(field));
    const Field& f = record.fields.back();
    if (f.offset % 4 || f.offset + f.bytes() > record.bytes) field.fail("offset", "the field leaves its record");
    if (f.joined && (record.fields.size() < 2 || f.offset != record.fields[record.fields.size() - 2].offset +
                                                                 record.fields[record.fields.size() - 2].bytes())) {
      field.fail("joined", "the field does not lie behind the one before");
    }
  }
  return record;
}

Communicator read_comm(const JsonObject& o, uint32_t roles) {
  o.allow_only({"name", "axes", "stream", "source", "target", "roles"});
  Communicator comm;
  comm.name = o.string("name");
  comm.axes = static_cast<AxisMask>(o.u32("axes", 1, 7));
  comm.stream = parse_enum<Stream>(o, "stream", kStreams);
  if (o.has("source")) {
    comm.directed = true;
    comm.source = static_cast<uint16_t>(o.u32("source", 0, roles - 1));
    comm.target = static_cast<uint16_t>(o.u32("target", 0, roles - 1));
    if (comm.source == comm.target) o.fail("target", "a channel needs two roles");
  }
  if (o.has("roles")) {
    for (uint64_t role : o.u64s("roles", 0, roles - 1, roles)) comm.roles.push_back(static_cast<uint16_t>(role));
    for (size_t i = 1; i < comm.roles.size(); ++i) {
      if (comm.roles[i] <= comm.roles[i - 1]) o.fail("roles", "expected ascending roles");
    }
    if (comm.roles.empty()) o.fail("roles", "expected at least one role");
  }
  return comm;
}

void read_operands(const JsonObject& o, const std::string& key, const Plan& plan, Body& body) {
  const nlohmann::json& list = o.array(key, 8);
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string path = o.path_of(key) + "[" + std::to_string(i) + "]";
    const auto fail = [&](const std::string& what) -> void { throw InputError(o.file(), 0, path, what); };
    if (!list[i].is_array() || list[i].size() != 3) fail("expected [formal, field, fields]");
    if (body.formals.empty()) fail("the body has no formals");
    Operand operand;
    operand.formal = static_cast<uint8_t>(json_u64(list[i][0], 0, body.formals.size() - 1, o.file(), path));
    const Record& record = plan.records[body.formals[operand.formal]];
    operand.field = static_cast<uint16_t>(json_u64(list[i][1], 0, kWhole, o.file(), path));
    operand.fields = static_cast<uint8_t>(json_u64(list[i][2], 1, 255, o.file(), path));
    if (operand.field != kWhole) {
      if (size_t{operand.field} + operand.fields > record.fields.size())
        fail("record " + record.name + " has no such field");
      for (int f = 1; f < operand.fields; ++f) {
        if (!record.fields[operand.field + f].joined) fail("the fields of record " + record.name + " are not joined");
      }
    }
    body.operands.push_back(operand);
  }
}

Op read_op(const JsonObject& o, const Plan& plan, Body& body) {
  o.allow_only({"kernel", "stream", "writes", "reads", "read_writes", "comm", "micro_batch_offset", "attributes",
                "flops", "bytes", "after"});
  Op op;
  op.kernel = parse_enum<Kernel>(o, "kernel", kKernels);
  op.stream = parse_enum<Stream>(o, "stream", kStreams);
  op.first_operand = static_cast<uint32_t>(body.operands.size());
  read_operands(o, "writes", plan, body);
  op.num_writes = static_cast<uint8_t>(body.operands.size() - op.first_operand);
  read_operands(o, "reads", plan, body);
  op.num_operands = static_cast<uint8_t>(body.operands.size() - op.first_operand);
  if (op.num_operands > 8) o.fail("reads", "more than 8 operands");
  op.read_writes = static_cast<uint8_t>(o.u32_or("read_writes", 0, 255, 0));
  op.comm = static_cast<uint16_t>(o.u32_or("comm", 0, kNoComm, kNoComm));
  if (is_communication(op.kernel) != (op.comm != kNoComm)) o.fail("comm", "expected for communication and only there");
  if (op.comm != kNoComm) {
    if (op.comm >= plan.comms.size()) o.fail("comm", "no such communicator");
    if (is_point_to_point(op.kernel) != plan.comms[op.comm].directed) o.fail("comm", "channels are for send and recv");
    if (op.num_operands == 0) o.fail("reads", "communication needs an operand");
  }
  if (o.has("micro_batch_offset")) {
    if (!body.grouped) o.fail("micro_batch_offset", "expected in grouped bodies only");
    op.micro_batch_offset = static_cast<int32_t>(o.i64("micro_batch_offset", -0xffff, 0xffff));
  }
  op.attributes = o.u32("attributes", 0, static_cast<uint32_t>(plan.attributes.size()) - 1);
  op.flops = o.u64("flops", 0, uint64_t{1} << 62);
  op.bytes = o.u64("bytes", 0, uint64_t{1} << 55);
  if (o.has("after")) {
    if (body.ops.empty()) o.fail("after", "the first op has nothing to wait for");
    op.first_wait = static_cast<uint32_t>(body.waits.size());
    for (uint64_t wait : o.u64s("after", 0, body.ops.size() - 1, 255))
      body.waits.push_back(static_cast<uint16_t>(wait));
    op.num_waits = static_cast<uint8_t>(body.waits.size() - op.first_wait);
  }
  // Kernels trust their operands, so this is checked before anything else looks at them.
  if (const std::string wrong = check_operands(plan, body, op); !wrong.empty()) {
    o.fail("kernel", std::string(name_of(op.kernel)) + " " + wrong);
  }
  return op;
}

Body read_body(const JsonObject& o, const Plan& plan) {
  o.allow_only({"name", "category", "grouped", "formals", "ops"});
  Body body;
  body.name = o.string("name");
  body.category = parse_enum<Category>(o, "category", kCategories);
  body.grouped = o.boolean_or("grouped", false);
  if (plan.records.empty()) o.fail("formals", "the plan has no records");
  for (uint64_t record : o.u64s("formals", 0, plan.records.size() - 1, 255))
    body.formals.push_back(static_cast<uint16_t>(record));
  for (const JsonObject& op : o.objects("ops", 0xfffe)) body.ops.push_back(read_op(op, plan, body));
  return body;
}

/// Rows of a program: dense lists of integers, checked one by one.
class ProgramReader {
 public:
  ProgramReader(const JsonObject& o, const Plan& plan) : o_(o), plan_(plan) {}

  Program read() {
    o_.allow_only({"pools", "events", "slots", "calls"});
    program_.num_events = o_.u32("events", 0, 0x7fff);
    read_pools();
    read_calls();
    check_pools_are_used();
    read_slots();
    return std::move(program_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw InputError(o_.file(), 0, path_, what); }
  uint64_t number(const nlohmann::json& value, uint64_t max) const { return json_u64(value, 0, max, o_.file(), path_); }
  const nlohmann::json& row(const nlohmann::json& value, size_t size, const char* expected) const {
    if (!value.is_array() || value.size() != size) fail(std::string("expected ") + expected);
    return value;
  }

  void read_pools() {
    const nlohmann::json& pools = o_.array("pools", kMaxPools);
    if (!pools.empty() && plan_.records.empty()) o_.fail("pools", "the plan has no records");
    for (size_t i = 0; i < pools.size(); ++i) {
      path_ = o_.path_of("pools") + "[" + std::to_string(i) + "]";
      const nlohmann::json& r = row(pools[i], 2, "[record, slots]");
      Pool pool;
      pool.record = static_cast<uint16_t>(number(r[0], plan_.records.size() - 1));
      pool.slots = static_cast<uint32_t>(number(r[1], kMaxSlots - 1));
      if (pool.slots && plan_.records[pool.record].bytes > kMaxBytes / pool.slots)
        fail("the pool is larger than 1 PiB");
      program_.pools.push_back(pool);
    }
  }

  /// What a file may make us allocate is bounded by its own length.
  void check_pools_are_used() {
    for (size_t i = 0; i < program_.pools.size(); ++i) {
      path_ = o_.path_of("pools") + "[" + std::to_string(i) + "]";
      if (program_.pools[i].slots > program_.args.size()) fail("more slots than the calls have arguments");
    }
  }

  void read_calls() {
    const nlohmann::json& calls = o_.array("calls", kMaxList);
    for (size_t i = 0; i < calls.size(); ++i) {
      path_ = o_.path_of("calls") + "[" + std::to_string(i) + "]";
      const nlohmann::json& r = row(calls[i], 5, "[body, layer, micro-batch, [args], [syncs]]");
      if (plan_.bodies.empty()) fail("the plan has no bodies");
      Call call;
      call.body = static_cast<uint16_t>(number(r[0], plan_.bodies.size() - 1));
      call.layer = static_cast<uint16_t>(number(r[1], 0xffff));
      call.micro_batch = static_cast<uint16_t>(number(r[2], 0xffff));
      for (const Op& op : plan_.bodies[call.body].ops) {
        if (micro_batch_of(call, op) > 0xffff) fail("an op's micro_batch_offset leaves 0 to 65535");
      }
      read_args(call, r[3]);
      read_syncs(call, r[4]);
      program_.calls.push_back(call);
    }
  }

  void read_args(Call& call, const nlohmann::json& list) {
    const Body& body = plan_.bodies[call.body];
    row(list, body.formals.size() * 3, "three numbers (pool, slot, flags) per formal of the body");
    call.first_arg = static_cast<uint32_t>(program_.args.size());
    for (size_t i = 0; i < body.formals.size(); ++i) {
      if (program_.pools.empty()) fail("the program has no pools");
      const uint32_t pool = static_cast<uint32_t>(number(list[3 * i], program_.pools.size() - 1));
      if (program_.pools[pool].record != body.formals[i]) {
        fail("argument " + std::to_string(i) + " of " + body.name + " must be a " +
             plan_.records[body.formals[i]].name);
      }
      if (program_.pools[pool].slots == 0) fail("argument " + std::to_string(i) + " uses an empty pool");
      const uint32_t slot = static_cast<uint32_t>(number(list[3 * i + 1], program_.pools[pool].slots - 1));
      const uint64_t flags = number(list[3 * i + 2], 3);
      program_.args.emplace_back(pool, slot, flags & 1, flags & 2);
    }
  }

  void read_syncs(Call& call, const nlohmann::json& list) {
    if (!list.is_array() || list.size() % 3 != 0 || list.size() / 3 > 0xffff) fail("expected three numbers per sync");
    call.first_sync = static_cast<uint32_t>(program_.syncs.size());
    call.num_syncs = static_cast<uint16_t>(list.size() / 3);
    const size_t ops = plan_.bodies[call.body].ops.size();
    uint16_t last_op = 0;
    bool last_records = false;
    for (size_t i = 0; i < call.num_syncs; ++i) {
      if (ops == 0 || program_.num_events == 0) fail("a sync without ops or events");
      Sync sync;
      sync.op = static_cast<uint16_t>(number(list[3 * i], ops - 1));
      sync.event = static_cast<uint16_t>(number(list[3 * i + 1], program_.num_events - 1));
      const bool records = number(list[3 * i + 2], 1) != 0;
      if (sync.op < last_op || (sync.op == last_op && last_records && !records)) fail("syncs are not in issue order");
      last_op = sync.op;
      last_records = records;
      if (records) sync.event |= Sync::kRecord;
      program_.syncs.push_back(sync);
    }
  }

  void read_slots() {
    const nlohmann::json& slots = o_.array("slots", kMaxList);
    uint64_t at = 0;
    for (size_t i = 0; i < slots.size(); ++i) {
      path_ = o_.path_of("slots") + "[" + std::to_string(i) + "]";
      const nlohmann::json& r = row(slots[i], 4, "[kind, stage, micro-batch, calls]");
      SlotOp slot;
      if (!r[0].is_string()) fail("expected the kind's name");
      const std::string kind = r[0].get<std::string>();
      int k = 0;
      while (k <= static_cast<int>(SlotKind::optimizer) && kind != name_of(static_cast<SlotKind>(k))) ++k;
      if (k > static_cast<int>(SlotKind::optimizer)) fail("unknown kind " + json_quoted(kind));
      slot.kind = static_cast<SlotKind>(k);
      slot.stage = static_cast<uint16_t>(number(r[1], 0xffff));
      slot.micro_batch = static_cast<uint16_t>(number(r[2], 0xffff));
      slot.first_call = static_cast<uint32_t>(at);
      slot.num_calls = static_cast<uint32_t>(number(r[3], program_.calls.size() - at));
      for (uint32_t c = 0; c < slot.num_calls; ++c) program_.calls[at++].slot_op = static_cast<uint32_t>(i);
      program_.slot_ops.push_back(slot);
    }
    path_ = o_.path_of("slots");
    if (at != program_.calls.size()) fail("the slots do not cover all calls");
  }

  const JsonObject& o_;
  const Plan& plan_;
  Program program_;
  std::string path_;
};

void read_mesh(const JsonObject& o, Mesh& mesh) {
  o.allow_only({"size", "order"});
  const std::vector<uint64_t> size = o.u64s("size", 1, 1u << 20, kMeshAxes),
                              order = o.u64s("order", 0, kMeshAxes - 1, kMeshAxes);
  if (size.size() != kMeshAxes) o.fail("size", "expected [tp, dp, pp]");
  uint8_t seen = 0;
  for (uint64_t axis : order) seen |= static_cast<uint8_t>(1u << axis);
  if (order.size() != kMeshAxes || seen != 7) o.fail("order", "expected a permutation of 0, 1, 2");
  uint64_t ranks = 1;
  for (int i = 0; i < kMeshAxes; ++i) {
    ranks *= size[i];
    mesh.size[i] = static_cast<uint32_t>(size[i]);
    mesh.order[i] = static_cast<uint8_t>(order[i]);
  }
  if (ranks > 1u << 20) o.fail("size", "more than 1,048,576 ranks");
}

}  // namespace

Plan plan_from_json(const std::string& text, const std::string& file_name) {
  const nlohmann::json document = parse_json(text, file_name);
  const JsonObject top(document, file_name);
  if (!top.has("format") || top.string("format") != "parallelogram plan") {
    top.fail("format", "expected \"parallelogram plan\"; this is not a plan file (pgram plan --out writes one)");
  }
  if (const uint32_t version = top.u32("version", 0, 1u << 30); version != kPlanVersion) {
    top.fail("version", "this program reads version " + std::to_string(kPlanVersion) + ", the file is version " +
                            std::to_string(version) + "; plan again with this program");
  }
  top.allow_only({"format", "version", "facts", "mesh", "attributes", "records", "comms", "bodies", "programs"});
  Plan plan;
  const JsonObject facts = top.object("facts");
  for (const std::string& key : facts.keys()) plan.facts[key] = facts.string(key);
  read_mesh(top.object("mesh"), plan.mesh);
  for (const JsonObject& o : top.objects("attributes", kMaxList)) plan.attributes.push_back(read_attributes(o));
  if (plan.attributes.empty()) plan.attributes.emplace_back();
  for (const JsonObject& o : top.objects("records", 0xfffe)) plan.records.push_back(read_record(o));
  for (const JsonObject& o : top.objects("comms", 0xfffe)) plan.comms.push_back(read_comm(o, plan.mesh.size[2]));
  for (const JsonObject& o : top.objects("bodies", 0xfffe)) plan.bodies.push_back(read_body(o, plan));
  for (const JsonObject& o : top.objects("programs", 0xffff)) plan.programs.push_back(ProgramReader(o, plan).read());
  if (plan.programs.size() != plan.mesh.size[2]) {
    top.fail("programs", "expected one per pipeline rank: " + std::to_string(plan.mesh.size[2]) + ", found " +
                             std::to_string(plan.programs.size()));
  }
  return plan;
}

Plan read_plan(const std::string& path) {
  return plan_from_json(read_text_file(path), path);
}

}  // namespace pgram
