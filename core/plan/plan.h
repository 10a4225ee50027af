// Plan: the execution DAG. Bodies (op lists written once) and Calls (a Body bound to buffer slots), one Program per
// role. It holds no times and depends on nothing. See docs/architecture.md, "The Plan".
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/plan/kernel.h"

namespace pgram {

enum class DType : uint8_t { f32, bf16, i32 };
constexpr uint32_t size_of(DType t) {
  return t == DType::bf16 ? 2 : 4;
}

/// Mesh axes as bits: a group of ranks is a mask of axes.
using AxisMask = uint8_t;
constexpr AxisMask kTp = 1, kDp = 2, kPp = 4;
constexpr int kMeshAxes = 3;

/// Streams of a rank. In order within a stream; across streams only events order.
enum class Stream : uint8_t { compute, tensor, data, misc, channel_first };
/// One stream per channel end: direction (to the next rank or the previous), payload (activation or gradient), end.
constexpr Stream channel_stream(bool up, bool gradient, bool receives) {
  return static_cast<Stream>(static_cast<int>(Stream::channel_first) + (up ? 4 : 0) + (gradient ? 2 : 0) +
                             (receives ? 1 : 0));
}
/// Paired point-to-point: one stream per neighbour, for both directions of data.
constexpr Stream neighbour_stream(bool up) {
  return static_cast<Stream>(static_cast<int>(Stream::channel_first) + 8 + (up ? 1 : 0));
}
constexpr int kStreams = static_cast<int>(Stream::channel_first) + 10;
const char* name_of(Stream);

struct Field {
  std::string name;
  DType dtype = DType::f32;
  uint8_t num_dims = 1;
  bool joined = false;  ///< lies directly behind the previous field, so that one operand can span both
  std::array<uint32_t, 2> dims{1, 1};
  uint8_t shard_dim = 0;    ///< which dim is split ...
  AxisMask shard_axes = 0;  ///< ... over these axes (0: every rank has the whole)
  AxisMask partial_axes =
      0;                   ///< a gradient that is complete only after a sum over these axes (kPp: over a listed group)
  bool duplicate = false;  ///< a tied copy that the gradient norm must not count again
  uint32_t full_dim = 0;   ///< whole size of shard_dim before padding; 0 = dims[shard_dim] * ranks
  uint64_t offset = 0;     ///< bytes from the record's start
  /// Parameters: the tensor's name in safetensors files, "{}" standing for the layer
  /// ("model.layers.{}.self_attn.q_proj.weight"); part `stored_part` of `stored_parts` equal slices of its output dim,
  /// transposed there if the file keeps [in, out] (GPT-2's Conv1D).
  std::string stored_name;
  uint8_t stored_part = 0, stored_parts = 1;
  bool stored_transposed = false;

  uint64_t count() const { return uint64_t{dims[0]} * dims[1]; }
  uint64_t bytes() const { return count() * size_of(dtype); }
};

enum class RecordKind : uint8_t { parameter, gradient, optimizer, saved, scratch, edge, input, misc };
const char* name_of(RecordKind);

/// A group of tensors that live together.
struct Record {
  std::string name;
  RecordKind kind = RecordKind::scratch;
  std::vector<Field> fields;
  uint64_t bytes = 0;

  /// Sets offsets (64-byte alignment, joined fields packed) and bytes. Scratch offsets may overlap by liveness, so
  /// the lowering sets those itself.
  void lay_out();
};

/// `fields` consecutive fields of a formal's record from `field` on; kWhole = the whole record.
struct Operand {
  uint8_t formal = 0, fields = 1;
  uint16_t field = 0;
};
constexpr uint16_t kWhole = 0xffff;
constexpr uint16_t kNoComm = 0xffff;

struct Plan;
struct Body;
/// What an operand spans: one field, joined fields (rows added up), or a whole record (one dim of 4-byte elements).
struct OperandShape {
  std::array<uint32_t, 2> dims{1, 1};
  uint8_t num_dims = 1;
  DType dtype = DType::f32;
  uint64_t offset = 0, bytes = 0;  ///< within the record
};
OperandShape operand_shape(const Plan&, const Body&, Operand);

/// Numbers a kernel needs beside its operands; deduplicated, Op::attributes is an index.
struct Attributes {
  uint32_t sequence = 0, head_dim = 0, heads = 0, kv_heads = 0;  ///< heads of this rank
  uint32_t rotary_dims = 0;
  float rope_base = 0;
  float rope_factor = 1, rope_low = 1, rope_high = 4;
  uint32_t rope_original = 0;
  float epsilon = 0;
  float scale = 1;          ///< ce_loss, ce_bwd: 1 / tokens of the global batch
  uint32_t vocabulary = 0;  ///< unpadded, global
  uint8_t activation = 0;   ///< Activation
  uint8_t opaque_kind = 0;  ///< 0 F, 1 B, 2 I, 3 W
  bool operator==(const Attributes&) const = default;
};

struct Op {
  Kernel kernel = Kernel::opaque;
  Stream stream = Stream::compute;
  uint8_t num_operands = 0, num_writes = 0;
  uint8_t read_writes = 0;  ///< bit i: written operand i is read as well (accumulated into)
  uint8_t num_waits = 0;
  uint16_t comm = kNoComm;
  uint32_t first_operand = 0, first_wait = 0;
  uint32_t attributes = 0;
  /// Of a grouped Body: what this op moves belongs to the micro-batch of the Call plus this.
  int32_t micro_batch_offset = 0;
  uint64_t flops = 0, bytes = 0;  ///< communication: bytes = nccl-tests' size
};
static_assert(sizeof(Op) == 40);

struct Body {
  std::string name;  ///< "layer.f"
  Category category = Category::other;
  /// Its ops are sends and receives of one stream, at most one per channel, that start together: one group call. For
  /// its stream the group is one operation; a Call's waits are before its first op, its records after the last.
  bool grouped = false;
  std::vector<uint16_t> formals;  ///< record of each formal
  std::vector<Op> ops;
  std::vector<Operand> operands;
  std::vector<uint16_t> waits;  ///< ops of this body that an op waits for
};

/// [31 alloc][30 free][29..22 pool][21..0 slot]
struct Arg {
  uint32_t bits = 0;
  Arg() = default;
  Arg(uint32_t pool, uint32_t slot, bool alloc = false, bool free = false)
      : bits((alloc ? 1u << 31 : 0) | (free ? 1u << 30 : 0) | pool << 22 | slot) {}
  uint32_t pool() const { return bits >> 22 & 0xff; }
  uint32_t slot() const { return bits & 0x3fffff; }
  bool allocates() const { return bits >> 31 & 1; }
  bool frees() const { return bits >> 30 & 1; }
};
constexpr uint32_t kMaxSlots = 1u << 22;
constexpr uint32_t kMaxPools = 256;

/// Between calls: before `op` the event is waited for, or after it the event is recorded.
struct Sync {
  uint16_t op = 0, event = 0;  ///< event bit 15: record
  static constexpr uint16_t kRecord = 0x8000;
  bool records() const { return event & kRecord; }
  uint16_t slot() const { return event & 0x7fff; }
};

struct Call {
  uint32_t first_arg = 0, first_sync = 0;
  uint32_t slot_op = 0;  ///< index into Program::slot_ops
  uint16_t body = 0, layer = 0, micro_batch = 0, num_syncs = 0;
};
static_assert(sizeof(Call) == 20);
constexpr uint32_t micro_batch_of(const Call& call, const Op& op) {
  return static_cast<uint32_t>(call.micro_batch + op.micro_batch_offset);
}

enum class SlotKind : uint8_t { F, B, I, W, send_f, recv_f, send_b, recv_b, prologue, gradients, optimizer };
const char* name_of(SlotKind);

/// "2F0": the schedule's level, a run of calls. The receive of an exchange has none: it is in the call of its send.
struct SlotOp {
  SlotKind kind = SlotKind::F;
  uint16_t stage = 0, micro_batch = 0;
  uint32_t first_call = 0, num_calls = 0;
};

struct Pool {
  uint16_t record = 0;
  uint32_t slots = 0;
};

/// A role's Calls in issue order. A role is a pipeline rank; all ranks of its tp and dp coordinates share it.
struct Program {
  std::vector<Pool> pools;
  std::vector<Call> calls;
  std::vector<Arg> args;
  std::vector<Sync> syncs;
  std::vector<SlotOp> slot_ops;
  uint32_t num_events = 0;
};

struct Communicator {
  std::string name;
  AxisMask axes = 0;      ///< members differ in these coordinates only
  bool directed = false;  ///< a channel from role `source` to role `target`
  uint16_t source = 0, target = 0;
  std::vector<uint16_t> roles;   ///< with kPp: only these roles (empty = all)
  Stream stream = Stream::misc;  ///< the one stream it belongs to; a channel's stream is the end's own
};

struct Mesh {
  std::array<uint32_t, kMeshAxes> size{1, 1, 1};  ///< tp, dp, pp
  std::array<uint8_t, kMeshAxes> order{0, 1, 2};  ///< fastest first

  uint32_t ranks() const { return size[0] * size[1] * size[2]; }
  std::array<uint32_t, kMeshAxes> coordinates(uint32_t rank) const;
  uint32_t rank(const std::array<uint32_t, kMeshAxes>& coordinates) const;
  uint32_t stride(int axis) const;
};

struct Plan {
  Mesh mesh;
  std::vector<Attributes> attributes;
  std::vector<Record> records;
  std::vector<Body> bodies;
  std::vector<Communicator> comms;
  std::vector<Program> programs;  ///< per role
  /// What it was made from, as text: model, cluster, layout, schedule, global_batch, micro_batch, sequence, precision,
  /// optimizer, flops_per_step ... Consumers of the DAG itself need none of it.
  std::map<std::string, std::string> facts;

  uint32_t role(uint32_t rank) const { return mesh.coordinates(rank)[2]; }
  uint64_t tasks() const;                      ///< of one rank of every role
  uint64_t memory_bytes(uint32_t role) const;  ///< all pools of a role: the arena
};

/// A Task is never stored; it is the name of a span in text, simulation, measurement and error message.
struct Task {
  uint32_t rank = 0, call = 0;
  uint16_t op = 0;
  auto operator<=>(const Task&) const = default;
};
/// "rank 3 layer.f(layer 2, mb 1).4:matmul"
std::string to_text(const Plan&, const Task&);
/// Category of one op: communication by its stream, else its body's.
Category category_of(const Body&, const Op&);

/// Members of the group of `rank` on `comm`, ascending by coordinate; a channel: {source, target}. Empty if rank's
/// role is not in it.
std::vector<uint32_t> members(const Plan&, uint16_t comm, uint32_t rank);
/// Number of ranks in each group of the communicator.
uint32_t group_size(const Plan&, uint16_t comm);

}  // namespace pgram
