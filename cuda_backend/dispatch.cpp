#include "cuda_backend/dispatch.h"

#include <algorithm>
#include <array>
#include <numbers>

#include "core/base/errors.h"
#include "core/exec/arguments.h"
#include "core/exec/rope_frequencies.h"
#include "core/model/model.h"
#include "cuda_backend/check.h"
#include "cuda_backend/kernels/kernels.h"
#include "cuda_backend/matmul.h"
#include "cuda_backend/optimizer_lists.h"

namespace pgram {
namespace {

using kernels::Heads;
using kernels::TokenRange;

TokenRange token_range(const Launch& launch, int64_t local, const DispatchContext& context) {
  const VocabularyShard shard(local, launch.attributes->vocabulary, context.tp_rank);
  return {shard.first, shard.real};
}
int columns(const Launch& launch, int operand) {
  return static_cast<int>(width(launch, operand));
}
Heads heads_of(const Launch& launch) {
  const Attributes& a = *launch.attributes;
  return {static_cast<int>(a.head_dim), static_cast<int>(a.heads), static_cast<int>(a.kv_heads)};
}
int64_t tokens_of(const Launch& launch, int qkv) {
  return count(launch, qkv) / HeadShape(*launch.attributes).width();
}
float* partial_sums(const DispatchContext& context) {
  return reinterpret_cast<float*>(context.workspace);
}

void input(const Launch& launch, const DispatchContext&, cudaStream_t stream) {
  const uint64_t bytes = launch.operands[0].bytes;
  PGRAM_CHECK(cudaMemcpyAsync(integers(launch, 0), launch.host_tokens, bytes, cudaMemcpyHostToDevice, stream));
  PGRAM_CHECK(cudaMemcpyAsync(integers(launch, 1), launch.host_tokens + count(launch, 0), bytes, cudaMemcpyHostToDevice,
                              stream));
}
void zero(const Launch& launch, const DispatchContext&, cudaStream_t stream) {
  PGRAM_CHECK(cudaMemsetAsync(launch.operands[0].data, 0, launch.operands[0].bytes, stream));
}

void embed(const Launch& launch, const DispatchContext& context, cudaStream_t stream) {
  PGRAM_CHECK(kernels::embed(floats(launch, 0), integers(launch, 1), floats(launch, 2), count(launch, 1),
                             columns(launch, 0), token_range(launch, rows(launch, 2), context), stream));
}
void embed_dw(const Launch& launch, const DispatchContext& context, cudaStream_t stream) {
  PGRAM_CHECK(kernels::embed_dw(floats(launch, 0), floats(launch, 1), integers(launch, 2), count(launch, 2),
                                columns(launch, 1), token_range(launch, rows(launch, 0), context),
                                reinterpret_cast<int32_t*>(context.workspace), stream));
}
void positions(const Launch& launch, const DispatchContext& context, cudaStream_t stream) {
  const int64_t n = rows(launch, 0);
  PGRAM_CHECK(kernels::positions(floats(launch, 0), floats(launch, 1), floats(launch, 2), n, columns(launch, 0),
                                 first_token(launch, n, context.tp_rank), launch.attributes->sequence, stream));
}
void positions_dw(const Launch& launch, const DispatchContext& context, cudaStream_t stream) {
  const int64_t n = rows(launch, 1);
  PGRAM_CHECK(kernels::positions_dw(floats(launch, 0), floats(launch, 1), n, columns(launch, 1),
                                    first_token(launch, n, context.tp_rank), launch.attributes->sequence, stream));
}

void rms_norm(const Launch& launch, const DispatchContext&, cudaStream_t stream) {
  PGRAM_CHECK(kernels::rms_norm(floats(launch, 0), floats(launch, 1), floats(launch, 2), floats(launch, 3),
                                rows(launch, 2), columns(launch, 2), launch.attributes->epsilon, stream));
}
void rms_norm_dx(const Launch& launch, const DispatchContext&, cudaStream_t stream) {
  PGRAM_CHECK(kernels::rms_norm_dx(floats(launch, 0), floats(launch, 1), floats(launch, 2), floats(launch, 3),
                                   floats(launch, 4), optional_floats(launch, 5), rows(launch, 2), columns(launch, 2),
                                   stream));
}
void rms_norm_dw(const Launch& launch, const DispatchContext& context, cudaStream_t stream) {
  PGRAM_CHECK(kernels::rms_norm_dw(floats(launch, 0), floats(launch, 1), floats(launch, 2), floats(launch, 3),
                                   rows(launch, 2), columns(launch, 2), partial_sums(context), stream));
}
void layer_norm(const Launch& launch, const DispatchContext&, cudaStream_t stream) {
  PGRAM_CHECK(kernels::layer_norm(floats(launch, 0), floats(launch, 1), floats(launch, 2), floats(launch, 3),
                                  floats(launch, 4), rows(launch, 2), columns(launch, 2), launch.attributes->epsilon,
                                  stream));
}
void layer_norm_dx(const Launch& launch, const DispatchContext&, cudaStream_t stream) {
  PGRAM_CHECK(kernels::layer_norm_dx(floats(launch, 0), floats(launch, 1), floats(launch, 2), floats(launch, 3),
                                     floats(launch, 4), optional_floats(launch, 5), rows(launch, 2), columns(launch, 2),
                                     stream));
}
void layer_norm_dw(const Launch& launch, const DispatchContext& context, cudaStream_t stream) {
  PGRAM_CHECK(kernels::layer_norm_dw(floats(launch, 0), floats(launch, 1), floats(launch, 2), floats(launch, 3),
                                     floats(launch, 4), rows(launch, 3), columns(launch, 3), partial_sums(context),
                                     stream));
}

void bias(const Launch& launch, const DispatchContext&, cudaStream_t stream) {
  PGRAM_CHECK(kernels::bias(floats(launch, 0), floats(launch, 1), floats(launch, 2), rows(launch, 0),
                            columns(launch, 0), stream));
}
void bias_dw(const Launch& launch, const DispatchContext& context, cudaStream_t stream) {
  PGRAM_CHECK(kernels::bias_dw(floats(launch, 0), floats(launch, 1), rows(launch, 1), columns(launch, 1),
                               partial_sums(context), stream));
}

void head_norm(const Launch& launch, const DispatchContext&, cudaStream_t stream) {
  PGRAM_CHECK(kernels::head_norm(floats(launch, 0), floats(launch, 1), floats(launch, 2), floats(launch, 3),
                                 tokens_of(launch, 1), heads_of(launch), launch.attributes->epsilon, stream));
}
void head_norm_dx(const Launch& launch, const DispatchContext&, cudaStream_t stream) {
  PGRAM_CHECK(kernels::head_norm_dx(floats(launch, 0), floats(launch, 1), floats(launch, 2), floats(launch, 3),
                                    floats(launch, 4), tokens_of(launch, 1), heads_of(launch),
                                    launch.attributes->epsilon, stream));
}
void head_norm_dw(const Launch& launch, const DispatchContext& context, cudaStream_t stream) {
  PGRAM_CHECK(kernels::head_norm_dw(floats(launch, 0), floats(launch, 1), floats(launch, 2), floats(launch, 3),
                                    tokens_of(launch, 2), heads_of(launch), launch.attributes->epsilon,
                                    partial_sums(context), stream));
}

void rotate(const Launch& launch, float direction, cudaStream_t stream) {
  kernels::Rotation rotation;
  rotation.pairs = static_cast<int>(launch.attributes->rotary_dims / 2);
  rotation.direction = direction;
  for (int j = 0; j < rotation.pairs; ++j)
    rotation.turns[j] = rope_frequency(*launch.attributes, j) / (2 * std::numbers::pi);
  PGRAM_CHECK(kernels::rope(floats(launch, 0), rotation, tokens_of(launch, 0), launch.attributes->sequence,
                            heads_of(launch), stream));
}
void rope(const Launch& launch, const DispatchContext&, cudaStream_t stream) {
  rotate(launch, 1, stream);
}
void rope_bwd(const Launch& launch, const DispatchContext&, cudaStream_t stream) {
  rotate(launch, -1, stream);
}

void attention(const Launch& launch, const DispatchContext&, cudaStream_t stream) {
  PGRAM_CHECK(kernels::attention(floats(launch, 0), floats(launch, 1), floats(launch, 2), tokens_of(launch, 2),
                                 static_cast<int>(launch.attributes->sequence), heads_of(launch), stream));
}
void attention_bwd(const Launch& launch, const DispatchContext& context, cudaStream_t stream) {
  PGRAM_CHECK(kernels::attention_bwd(floats(launch, 0), floats(launch, 1), floats(launch, 2), floats(launch, 3),
                                     floats(launch, 4), tokens_of(launch, 2),
                                     static_cast<int>(launch.attributes->sequence), heads_of(launch),
                                     partial_sums(context), stream));
}

void swiglu(const Launch& launch, const DispatchContext&, cudaStream_t stream) {
  PGRAM_CHECK(kernels::swiglu(floats(launch, 0), floats(launch, 1), rows(launch, 0), columns(launch, 0), stream));
}
void swiglu_bwd(const Launch& launch, const DispatchContext&, cudaStream_t stream) {
  PGRAM_CHECK(kernels::swiglu_bwd(floats(launch, 0), floats(launch, 1), floats(launch, 2), rows(launch, 1),
                                  columns(launch, 1), stream));
}
bool uses_tanh(const Launch& launch) {
  return static_cast<Activation>(launch.attributes->activation) == Activation::gelu_tanh;
}
void gelu(const Launch& launch, const DispatchContext&, cudaStream_t stream) {
  PGRAM_CHECK(kernels::gelu(floats(launch, 0), floats(launch, 1), count(launch, 0), uses_tanh(launch), stream));
}
void gelu_bwd(const Launch& launch, const DispatchContext&, cudaStream_t stream) {
  PGRAM_CHECK(kernels::gelu_bwd(floats(launch, 0), floats(launch, 1), floats(launch, 2), count(launch, 0),
                                uses_tanh(launch), stream));
}
void add(const Launch& launch, const DispatchContext&, cudaStream_t stream) {
  PGRAM_CHECK(kernels::add(floats(launch, 0), floats(launch, 1), floats(launch, 2), count(launch, 0), stream));
}

void ce_max(const Launch& launch, const DispatchContext& context, cudaStream_t stream) {
  PGRAM_CHECK(kernels::ce_max(floats(launch, 0), floats(launch, 1), rows(launch, 1), columns(launch, 1),
                              token_range(launch, width(launch, 1), context), stream));
}
void ce_sum(const Launch& launch, const DispatchContext& context, cudaStream_t stream) {
  PGRAM_CHECK(kernels::ce_sum(floats(launch, 0), floats(launch, 1), floats(launch, 2), integers(launch, 3),
                              rows(launch, 1), columns(launch, 1), token_range(launch, width(launch, 1), context),
                              stream));
}
void ce_loss(const Launch& launch, const DispatchContext&, cudaStream_t stream) {
  PGRAM_CHECK(
      kernels::ce_loss(floats(launch, 0), floats(launch, 1), count(launch, 1) / 2, launch.attributes->scale, stream));
}
void ce_bwd(const Launch& launch, const DispatchContext& context, cudaStream_t stream) {
  PGRAM_CHECK(kernels::ce_bwd(floats(launch, 0), floats(launch, 1), floats(launch, 2), floats(launch, 3),
                              integers(launch, 4), rows(launch, 1), columns(launch, 1),
                              token_range(launch, width(launch, 1), context), launch.attributes->scale, stream));
}

using Issue = void (*)(const Launch&, const DispatchContext&, cudaStream_t);

std::array<Issue, kKernels> make_table() {
  std::array<Issue, kKernels> table{};
  const auto set = [&](Kernel kernel, Issue issue) { table[static_cast<size_t>(kernel)] = issue; };
  set(Kernel::input, input);
  set(Kernel::embed, embed);
  set(Kernel::embed_dw, embed_dw);
  set(Kernel::positions, positions);
  set(Kernel::positions_dw, positions_dw);
  set(Kernel::rms_norm, rms_norm);
  set(Kernel::rms_norm_dx, rms_norm_dx);
  set(Kernel::rms_norm_dw, rms_norm_dw);
  set(Kernel::layer_norm, layer_norm);
  set(Kernel::layer_norm_dx, layer_norm_dx);
  set(Kernel::layer_norm_dw, layer_norm_dw);
  set(Kernel::matmul, matmul);
  set(Kernel::matmul_dx, matmul_dx);
  set(Kernel::matmul_dw, matmul_dw);
  set(Kernel::bias, bias);
  set(Kernel::bias_dw, bias_dw);
  set(Kernel::head_norm, head_norm);
  set(Kernel::head_norm_dx, head_norm_dx);
  set(Kernel::head_norm_dw, head_norm_dw);
  set(Kernel::rope, rope);
  set(Kernel::rope_bwd, rope_bwd);
  set(Kernel::attention, attention);
  set(Kernel::attention_bwd, attention_bwd);
  set(Kernel::swiglu, swiglu);
  set(Kernel::swiglu_bwd, swiglu_bwd);
  set(Kernel::gelu, gelu);
  set(Kernel::gelu_bwd, gelu_bwd);
  set(Kernel::add, add);
  set(Kernel::ce_max, ce_max);
  set(Kernel::ce_sum, ce_sum);
  set(Kernel::ce_loss, ce_loss);
  set(Kernel::ce_bwd, ce_bwd);
  set(Kernel::zero, zero);
  set(Kernel::sum_squares, sum_squares);
  set(Kernel::clip, clip);
  set(Kernel::adamw, adamw);
  set(Kernel::sgd, sgd);
  return table;
}

Issue issue_of(Kernel kernel) {
  static const std::array<Issue, kKernels> kTable = make_table();
  return kTable[static_cast<size_t>(kernel)];
}

/// Bytes of DispatchContext::workspace that the task uses.
uint64_t workspace_of(const Launch& launch) {
  switch (launch.op->kernel) {
    case Kernel::embed_dw:
      return 2 * sizeof(int32_t) * static_cast<uint64_t>(count(launch, 2));
    case Kernel::bias_dw:
      return sizeof(float) * kernels::column_partials(rows(launch, 1), columns(launch, 1), 1);
    case Kernel::rms_norm_dw:
      return sizeof(float) * kernels::column_partials(rows(launch, 2), columns(launch, 2), 1);
    case Kernel::layer_norm_dw:
      return sizeof(float) * kernels::column_partials(rows(launch, 3), columns(launch, 3), 2);
    case Kernel::head_norm_dw:
      return sizeof(float) *
             kernels::column_partials(tokens_of(launch, 2), static_cast<int>(launch.attributes->head_dim), 2);
    case Kernel::attention_bwd:
      return sizeof(float) * static_cast<uint64_t>(tokens_of(launch, 2)) * launch.attributes->heads;
    case Kernel::sum_squares:
      return sizeof(double) * square_partials(*launch.operands[1].record);
    default:
      return 0;
  }
}

/// The op with shapes and no data.
Launch shapes_of(const Plan& plan, const Body& body, const Op& op) {
  Launch launch;
  launch.op = &op;
  launch.attributes = &plan.attributes[op.attributes];
  for (int i = 0; i < op.num_operands; ++i) {
    const Operand operand = body.operands[op.first_operand + i];
    const OperandShape shape = operand_shape(plan, body, operand);
    Tensor& tensor = launch.operands[i];
    tensor.bytes = shape.bytes;
    tensor.dtype = shape.dtype;
    tensor.dims = shape.dims;
    if (operand.field == kWhole) tensor.record = &plan.records[body.formals[operand.formal]];
  }
  return launch;
}

bool uses_bf16(const Launch& launch) {
  const auto is_bf16 = [](const Field& field) { return field.dtype == DType::bf16; };
  return std::any_of(launch.operands.begin(), launch.operands.begin() + launch.op->num_operands, [&](const Tensor& t) {
    return t.record ? std::any_of(t.record->fields.begin(), t.record->fields.end(), is_bf16) : t.dtype == DType::bf16;
  });
}

std::string unsupported_op(const Launch& launch) {
  if (launch.op->kernel == Kernel::opaque) return "has no data, only a duration";
  if (uses_bf16(launch)) return "works on bf16, the CUDA backend on fp32 only";
  if (is_communication(launch.op->kernel)) return "";
  if (!issue_of(launch.op->kernel)) return "has no kernel in the CUDA backend";
  if (launch.attributes->head_dim > kernels::kMaxHeadSize) {
    return "has heads of " + std::to_string(launch.attributes->head_dim) + ", the CUDA backend's are at most " +
           std::to_string(kernels::kMaxHeadSize);
  }
  return "";
}

}  // namespace

std::string unsupported(const Plan& plan) {
  for (const Body& body : plan.bodies) {
    for (size_t i = 0; i < body.ops.size(); ++i) {
      const std::string reason = unsupported_op(shapes_of(plan, body, body.ops[i]));
      if (!reason.empty())
        return body.name + "." + std::to_string(i) + ":" + std::string(name_of(body.ops[i].kernel)) + " " + reason;
    }
  }
  return "";
}

uint64_t workspace_bytes(const Plan& plan, uint32_t role) {
  std::vector<bool> used(plan.bodies.size());
  for (const Call& call : plan.programs[role].calls) used[call.body] = true;
  uint64_t bytes = 0;
  for (size_t b = 0; b < plan.bodies.size(); ++b) {
    if (!used[b]) continue;
    for (const Op& op : plan.bodies[b].ops) bytes = std::max(bytes, workspace_of(shapes_of(plan, plan.bodies[b], op)));
  }
  return bytes;
}

void dispatch(const Launch& launch, const DispatchContext& context, cudaStream_t stream) {
  const Issue issue = issue_of(launch.op->kernel);
  if (!issue)
    throw RunError("kernel " + std::string(name_of(launch.op->kernel)) + " does not run on a compute stream of a GPU");
  const uint64_t needed = workspace_of(launch);
  if (needed > context.workspace_bytes) {
    throw RunError("kernel " + std::string(name_of(launch.op->kernel)) + " needs a workspace of " +
                   std::to_string(needed) + " bytes, not " + std::to_string(context.workspace_bytes));
  }
  issue(launch, context, stream);
}

}  // namespace pgram
