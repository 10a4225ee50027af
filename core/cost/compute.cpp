// Compute ops: measured, interpolated, or by the roofline.
#include <algorithm>

#include "core/cost/cost.h"
#include "core/cost/measured.h"

namespace pgram {

const char* name_of(Provenance provenance) {
  switch (provenance) {
    case Provenance::measured:
      return "measured";
    case Provenance::interpolated:
      return "interpolated";
    case Provenance::fitted:
      return "fitted";
    case Provenance::roofline:
      return "roofline";
  }
  return "";
}

/// Weight gradients are summed in fp32 but multiplied in bf16, so one bf16 operand decides.
static bool multiplies_in_bf16(const Plan& plan, const Body& body, const Op& op) {
  for (int i = 0; i < op.num_operands; ++i) {
    const Operand& operand = body.operands[op.first_operand + i];
    const std::vector<Field>& fields = plan.records[body.formals[operand.formal]].fields;
    const size_t field = operand.field == kWhole ? 0 : operand.field;
    if (field < fields.size() && fields[field].dtype == DType::bf16) return true;
  }
  return false;
}

static Duration roofline(const Plan& plan, const Body& body, const Op& op, const Device& device) {
  const bool bf16 = multiplies_in_bf16(plan, body, op);
  const bool attends = op.kernel == Kernel::attention || op.kernel == Kernel::attention_bwd;
  const double peak = bf16 ? device.bf16_flops_per_second : device.fp32_flops_per_second;
  const double efficiency = attends ? device.attention_efficiency : device.matmul_efficiency;
  const Seconds arithmetic = static_cast<double>(op.flops) / (peak * efficiency);
  const Seconds memory = static_cast<double>(op.bytes) / (device.memory_bytes_per_second * device.memory_efficiency);
  // Attention was measured forwards only.
  const bool fitted_arithmetic =
      attends ? op.kernel == Kernel::attention && device.fitted.attention : device.fitted.matmul;
  const bool fitted = arithmetic > memory ? bf16 && fitted_arithmetic : device.fitted.memory;
  return {bounded_picoseconds(device.launch_seconds + std::max(arithmetic, memory)),
          fitted ? Provenance::fitted : Provenance::roofline};
}

Duration compute_duration(const Plan& plan, const Body& body, const Op& op, const Device& device, uint32_t busy,
                          uint32_t threads) {
  // Tables are of fp32, which is what both backends run.
  if (!device.kernels.empty() && !multiplies_in_bf16(plan, body, op))
    if (const auto found = measured_kernel(device, op.kernel, kernel_shape(plan, body, op), busy, threads))
      return {bounded_picoseconds(found->seconds), found->provenance};
  return roofline(plan, body, op, device);
}

}  // namespace pgram
