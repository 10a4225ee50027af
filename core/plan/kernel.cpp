#include "core/plan/kernel.h"

#include <string>

#include "core/base/errors.h"
#include "core/plan/plan.h"

namespace pgram {

static constexpr std::array<std::string_view, kKernels> kKernelNames{
    "input",       "embed",         "embed_dw",      "positions",     "positions_dw",   "rms_norm",    "rms_norm_dx",
    "rms_norm_dw", "layer_norm",    "layer_norm_dx", "layer_norm_dw", "matmul",         "matmul_dx",   "matmul_dw",
    "bias",        "bias_dw",       "head_norm",     "head_norm_dx",  "head_norm_dw",   "rope",        "rope_bwd",
    "attention",   "attention_bwd", "swiglu",        "swiglu_bwd",    "gelu",           "gelu_bwd",    "add",
    "ce_max",      "ce_sum",        "ce_loss",       "ce_bwd",        "zero",           "sum_squares", "clip",
    "adamw",       "sgd",           "opaque",        "all_reduce",    "all_reduce_max", "all_gather",  "reduce_scatter",
    "send",        "recv"};

static constexpr std::array<std::string_view, kCategories> kCategoryNames{
    "forward", "backward", "optimizer", "tensor parallel", "data parallel", "pipeline", "other"};

std::string_view name_of(Kernel kernel) {
  return kKernelNames[static_cast<size_t>(kernel)];
}
Arity arity_of(Kernel kernel) {
  const auto exactly = [](uint8_t writes, uint8_t reads) { return Arity{writes, writes, reads, reads}; };
  const auto or_one_more = [](uint8_t writes, uint8_t reads) {
    return Arity{writes, writes, reads, static_cast<uint8_t>(reads + 1)};
  };
  switch (kernel) {
    case Kernel::zero:
    case Kernel::rope:
    case Kernel::rope_bwd:
    case Kernel::all_reduce:
    case Kernel::all_reduce_max:
    case Kernel::recv:
      return exactly(1, 0);
    case Kernel::send:
      return exactly(0, 1);
    case Kernel::input:
      return exactly(2, 0);
    case Kernel::positions_dw:
    case Kernel::bias_dw:
    case Kernel::swiglu:
    case Kernel::gelu:
    case Kernel::ce_max:
    case Kernel::sum_squares:
    case Kernel::all_gather:
    case Kernel::reduce_scatter:
      return exactly(1, 1);
    case Kernel::clip:
    case Kernel::attention:
      return exactly(2, 1);
    case Kernel::embed:
    case Kernel::embed_dw:
    case Kernel::positions:
    case Kernel::matmul:
    case Kernel::matmul_dw:
    case Kernel::bias:
    case Kernel::swiglu_bwd:
    case Kernel::gelu_bwd:
    case Kernel::add:
    case Kernel::ce_loss:
      return exactly(1, 2);
    case Kernel::matmul_dx:
      return or_one_more(1, 2);
    case Kernel::rms_norm:
    case Kernel::head_norm_dw:
      return exactly(2, 2);
    case Kernel::rms_norm_dw:
    case Kernel::head_norm:
    case Kernel::ce_sum:
      return exactly(1, 3);
    case Kernel::layer_norm:
    case Kernel::layer_norm_dw:
      return exactly(2, 3);
    case Kernel::rms_norm_dx:
    case Kernel::layer_norm_dx:
      return or_one_more(1, 4);
    case Kernel::head_norm_dx:
    case Kernel::attention_bwd:
    case Kernel::ce_bwd:
      return exactly(1, 4);
    case Kernel::adamw:
    case Kernel::sgd:
      return {1, 2, 2, 2};  // sgd keeps state only with a master copy
    case Kernel::opaque:
      return {0, 8, 0, 8};
  }
  return {};
}

std::string_view name_of(Category category) {
  return kCategoryNames[static_cast<size_t>(category)];
}

Kernel parse_kernel(std::string_view name) {
  for (size_t i = 0; i < kKernelNames.size(); ++i) {
    if (kKernelNames[i] == name) return static_cast<Kernel>(i);
  }
  throw InputError("kernel", "unknown kernel '" + std::string(name) + "'");
}

std::array<uint64_t, 4> kernel_shape(const Plan& plan, const Body& body, const Op& op) {
  const Operand* operands = body.operands.data() + op.first_operand;
  const auto dims = [&](int i) { return operand_shape(plan, body, operands[i]).dims; };
  if (is_communication(op.kernel)) return {op.bytes};
  switch (op.kernel) {
    case Kernel::matmul:
      return {dims(0)[0], dims(0)[1], dims(1)[1]};  // y[n,o] <- x[n,i]
    case Kernel::matmul_dx:
      return {dims(0)[0], dims(1)[1], dims(0)[1]};  // dx[n,i] <- dy[n,o]
    case Kernel::matmul_dw:
      return {dims(1)[0], dims(1)[1], dims(2)[1]};  // dW <- dy[n,o], x[n,i]
    case Kernel::attention:
    case Kernel::attention_bwd: {
      const Attributes& a = plan.attributes[op.attributes];
      return {dims(0)[0], a.heads, uint64_t{a.kv_heads} << 32 | a.head_dim, a.sequence};
    }
    default:
      break;
  }
  // What these write is no measure of their work.
  const bool by_source = op.kernel == Kernel::sum_squares || op.kernel == Kernel::ce_sum ||
                         op.kernel == Kernel::embed_dw || op.kernel == Kernel::positions_dw;
  const int first = by_source ? op.num_writes : 0;
  for (int i = first; i < op.num_operands; ++i) {
    const OperandShape shape = operand_shape(plan, body, operands[i]);
    if (shape.num_dims == 2) return {shape.dims[0], shape.dims[1]};
  }
  return first < op.num_operands ? std::array<uint64_t, 4>{operand_shape(plan, body, operands[first]).dims[0]}
                                 : std::array<uint64_t, 4>{};
}

}  // namespace pgram
