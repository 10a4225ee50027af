#include "core/plan/plan.h"

#include <algorithm>
#include <cassert>

namespace pgram {

static constexpr uint64_t kAlignment = 64;
static uint64_t align(uint64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

const char* name_of(Stream stream) {
  static constexpr std::array kNames{"compute",     "tensor",      "data",        "misc",      "down.f.send",
                                     "down.f.recv", "down.b.send", "down.b.recv", "up.f.send", "up.f.recv",
                                     "up.b.send",   "up.b.recv",   "down",        "up"};
  return kNames[static_cast<size_t>(stream)];
}

const char* name_of(RecordKind kind) {
  static constexpr std::array kNames{"parameter", "gradient", "optimizer", "saved", "scratch", "edge", "input", "misc"};
  return kNames[static_cast<size_t>(kind)];
}

const char* name_of(SlotKind kind) {
  static constexpr std::array kNames{"F",      "B",      "I",        "W",         "SEND_F",   "RECV_F",
                                     "SEND_B", "RECV_B", "PROLOGUE", "GRADIENTS", "OPTIMIZER"};
  return kNames[static_cast<size_t>(kind)];
}

void Record::lay_out() {
  uint64_t end = 0;
  for (Field& field : fields) {
    field.offset = field.joined ? end : align(end);
    end = field.offset + field.bytes();
  }
  bytes = align(end);
}

OperandShape operand_shape(const Plan& plan, const Body& body, Operand operand) {
  const Record& record = plan.records[body.formals[operand.formal]];
  OperandShape shape;
  if (operand.field == kWhole) {
    shape.bytes = record.bytes;
    shape.dims = {static_cast<uint32_t>(record.bytes / 4), 1};
    return shape;
  }
  const Field& first = record.fields[operand.field];
  shape.dims = first.dims;
  shape.num_dims = first.num_dims;
  shape.dtype = first.dtype;
  shape.offset = first.offset;
  shape.bytes = first.bytes();
  for (int i = 1; i < operand.fields; ++i) {
    const Field& next = record.fields[operand.field + i];
    shape.dims[0] += next.dims[0];
    shape.bytes += next.bytes();
  }
  return shape;
}

std::array<uint32_t, kMeshAxes> Mesh::coordinates(uint32_t rank) const {
  std::array<uint32_t, kMeshAxes> at{};
  for (uint8_t axis : order) at[axis] = rank % size[axis], rank /= size[axis];
  return at;
}

uint32_t Mesh::rank(const std::array<uint32_t, kMeshAxes>& at) const {
  uint32_t rank = 0, step = 1;
  for (uint8_t axis : order) rank += at[axis] * step, step *= size[axis];
  return rank;
}

uint32_t Mesh::stride(int axis) const {
  uint32_t step = 1;
  for (uint8_t faster : order) {
    if (faster == axis) break;
    step *= size[faster];
  }
  return step;
}

uint64_t Plan::tasks() const {
  uint64_t n = 0;
  for (const Program& program : programs) {
    for (const Call& call : program.calls) n += bodies[call.body].ops.size();
  }
  return n;
}

uint64_t Plan::memory_bytes(uint32_t role) const {
  uint64_t n = 0;
  for (const Pool& pool : programs[role].pools) n += uint64_t{pool.slots} * records[pool.record].bytes;
  return n;
}

std::string to_text(const Plan& plan, const Task& task) {
  const Call& call = plan.programs[plan.role(task.rank)].calls[task.call];
  const Body& body = plan.bodies[call.body];
  return "rank " + std::to_string(task.rank) + " " + body.name + "(layer " + std::to_string(call.layer) + ", mb " +
         std::to_string(micro_batch_of(call, body.ops[task.op])) + ")." + std::to_string(task.op) + ":" +
         std::string(name_of(body.ops[task.op].kernel));
}

Category category_of(const Body& body, const Op& op) {
  if (!is_communication(op.kernel)) return body.category;
  if (op.stream == Stream::tensor) return Category::tensor_comm;
  if (op.stream == Stream::data) return Category::data_comm;
  return is_point_to_point(op.kernel) ? Category::pipeline_comm : Category::other;
}

std::vector<uint32_t> members(const Plan& plan, uint16_t comm, uint32_t rank) {
  const Communicator& group = plan.comms[comm];
  const Mesh& mesh = plan.mesh;
  const auto at = mesh.coordinates(rank);
  const auto with_role = [&](uint32_t role) { return mesh.rank({at[0], at[1], role}); };
  if (group.directed) {
    if (at[2] != group.source && at[2] != group.target) return {};
    return {with_role(group.source), with_role(group.target)};
  }
  std::vector<uint32_t> roles{at[2]};
  if (group.axes & kPp) {
    if (group.roles.empty()) {
      roles.resize(mesh.size[2]);
      for (uint32_t i = 0; i < mesh.size[2]; ++i) roles[i] = i;
    } else {
      roles.assign(group.roles.begin(), group.roles.end());
      if (std::find(roles.begin(), roles.end(), at[2]) == roles.end()) return {};
    }
  }
  std::vector<uint32_t> result;
  const uint32_t tp_first = group.axes & kTp ? 0 : at[0], tp_last = group.axes & kTp ? mesh.size[0] : at[0] + 1;
  const uint32_t dp_first = group.axes & kDp ? 0 : at[1], dp_last = group.axes & kDp ? mesh.size[1] : at[1] + 1;
  for (uint32_t role : roles) {
    for (uint32_t dp = dp_first; dp < dp_last; ++dp) {
      for (uint32_t tp = tp_first; tp < tp_last; ++tp) result.push_back(mesh.rank({tp, dp, role}));
    }
  }
  return result;
}

uint32_t group_size(const Plan& plan, uint16_t comm) {
  const Communicator& group = plan.comms[comm];
  if (group.directed) return 2;
  uint32_t n = 1;
  if (group.axes & kTp) n *= plan.mesh.size[0];
  if (group.axes & kDp) n *= plan.mesh.size[1];
  if (group.axes & kPp) n *= group.roles.empty() ? plan.mesh.size[2] : static_cast<uint32_t>(group.roles.size());
  return n;
}

}  // namespace pgram
