#include "core/plan/verify.h"

#include "core/plan/plan.h"
#include "core/plan/verify_parts.h"

namespace pgram {

std::string task_text(const Plan& plan, size_t role, size_t call_index, int op) {
  const Call& call = plan.programs[role].calls[call_index];
  const Body& body = plan.bodies[call.body];
  const uint32_t micro_batch = op < 0 ? call.micro_batch : micro_batch_of(call, body.ops[static_cast<size_t>(op)]);
  std::string text = "role " + std::to_string(role) + " call " + std::to_string(call_index) + " " + body.name +
                     "(layer " + std::to_string(call.layer) + ", mb " + std::to_string(micro_batch) + ")";
  if (op >= 0) text += "." + std::to_string(op) + ":" + std::string(name_of(body.ops[static_cast<size_t>(op)].kernel));
  return text;
}

std::string verify(const Plan& plan) {
  // Matching first: a receive that is missing would otherwise be reported as a buffer nobody wrote.
  std::string error = verify_communication(plan);
  if (error.empty()) error = verify_buffers(plan);
  return error;
}

}  // namespace pgram
