#include "core/plan/kernel.h"

#include <string>

#include "core/base/errors.h"
#include "core/plan/kernel_rules.h"
#include "core/plan/plan.h"

namespace pgram {

static constexpr std::array<KernelRule, kKernels> kRules{{
    {"input", "n n", ""},
    {"embed", "nh", "n vh"},
    {"embed_dw", "vh", "nh n"},
    {"positions", "nh", "nh ph"},
    {"positions_dw", "ph", "nh"},
    {"rms_norm", "nh n", "nh h"},
    {"rms_norm_dx", "nh", "nh nh h n", "nh"},
    {"rms_norm_dw", "h", "nh nh n"},
    {"layer_norm", "nh n2", "nh h h"},
    {"layer_norm_dx", "nh", "nh nh h n2", "nh"},
    {"layer_norm_dw", "h h", "nh nh n2"},
    {"matmul", "no", "ni oi"},
    {"matmul_dx", "ni", "no oi", "ni"},
    {"matmul_dw", "oi", "no ni"},
    {"bias", "no", "no o"},
    {"bias_dw", "o", "no"},
    {"head_norm", "nq", "nq d d"},
    {"head_norm_dx", "nq", "nq nq d d"},
    {"head_norm_dw", "d d", "nq nq"},
    {"rope", "nq", ""},
    {"rope_bwd", "nq", ""},
    {"attention", "nw na", "nq"},
    {"attention_bwd", "nq", "nw nq nw na"},
    {"swiglu", "nf", "ng"},
    {"swiglu_bwd", "ng", "nf ng"},
    {"gelu", "nf", "nf"},
    {"gelu_bwd", "nf", "nf nf"},
    {"add", "nh", "nh nh"},
    {"ce_max", "n", "nv"},
    {"ce_sum", "n2", "nv n n"},
    {"ce_loss", "1", "n2 n"},
    {"ce_bwd", "nv", "nv n n2 n"},
    {"zero", "*", ""},
    {"sum_squares", "1", "*"},
    {"clip", "1 1", "1"},
    {"adamw", "* *", "* 1"},
    {"sgd", "*", "* 1"},
    {"opaque", "", ""},
    {"all_reduce", "*", ""},
    {"all_reduce_max", "*", ""},
    {"all_gather", "*", "*"},
    {"reduce_scatter", "*", "*"},
    {"send", "", "*"},
    {"recv", "*", ""},
}};

static constexpr std::array<std::string_view, kCategories> kCategoryNames{
    "forward", "backward", "optimizer", "tensor parallel", "data parallel", "pipeline", "other"};

const KernelRule& rule_of(Kernel kernel) {
  return kRules[static_cast<size_t>(kernel)];
}
std::string_view name_of(Kernel kernel) {
  return rule_of(kernel).name;
}
std::string_view name_of(Category category) {
  return kCategoryNames[static_cast<size_t>(category)];
}

Kernel parse_kernel(std::string_view name) {
  for (size_t i = 0; i < kRules.size(); ++i) {
    if (kRules[i].name == name) return static_cast<Kernel>(i);
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
  // What these write is not what they have to look at.
  const bool by_read = op.kernel == Kernel::sum_squares || op.kernel == Kernel::ce_sum ||
                       op.kernel == Kernel::embed_dw || op.kernel == Kernel::positions_dw;
  const int first = by_read ? op.num_writes : 0;
  for (int i = first; i < op.num_operands; ++i) {
    const OperandShape shape = operand_shape(plan, body, operands[i]);
    if (shape.num_dims == 2) return {shape.dims[0], shape.dims[1]};
  }
  return first < op.num_operands ? std::array<uint64_t, 4>{operand_shape(plan, body, operands[first]).dims[0]}
                                 : std::array<uint64_t, 4>{};
}

}  // namespace pgram
