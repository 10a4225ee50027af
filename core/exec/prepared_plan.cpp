#include "core/exec/prepared_plan.h"

#include <algorithm>

#include "core/base/errors.h"

namespace pgram {
namespace {

PreparedOperand prepare_operand(const Plan& plan, const Body& body, Operand operand) {
  const OperandShape shape = operand_shape(plan, body, operand);
  PreparedOperand prepared;
  prepared.formal = operand.formal;
  prepared.offset = shape.offset;
  prepared.tensor.bytes = shape.bytes;
  prepared.tensor.dtype = shape.dtype;
  prepared.tensor.dims = shape.dims;
  if (operand.field == kWhole) prepared.tensor.record = &plan.records[body.formals[operand.formal]];
  return prepared;
}

PreparedOp prepare_op(const Plan& plan, const Body& body, const Op& op) {
  PreparedOp prepared;
  if (op.num_operands > kMaxOperands) {
    throw InputError("plan", "body " + body.name + ": " + std::to_string(op.num_operands) +
                                 " operands, expected at most " + std::to_string(kMaxOperands));
  }
  for (int i = 0; i < op.num_operands; ++i) {
    prepared.operands.push_back(prepare_operand(plan, body, body.operands[op.first_operand + i]));
  }
  return prepared;
}

/// An op that a later op on another stream waits for records an event behind those of the Program. Every body uses the
/// same ones: a wait means the record issued last before it, so they are free again when the body has been issued.
PreparedBody prepare_body(const Plan& plan, const Body& body, uint32_t first_event) {
  PreparedBody prepared;
  uint32_t next_event = first_event;
  for (const Op& op : body.ops) {
    PreparedOp item = prepare_op(plan, body, op);
    for (int i = 0; i < op.num_waits; ++i) {
      const uint16_t earlier = body.waits[op.first_wait + i];
      if (body.ops[earlier].stream == op.stream) continue;
      uint16_t& event = prepared.ops[earlier].records;
      if (event == kNoEvent) {
        if (next_event >= kNoEvent) throw InputError("plan", "body " + body.name + ": more than 65,534 events");
        event = static_cast<uint16_t>(next_event++);
      }
      item.waits.push_back(event);
    }
    prepared.ops.push_back(std::move(item));
  }
  return prepared;
}

void refuse_16_bit(const Plan& plan) {
  for (const Record& record : plan.records) {
    for (const Field& field : record.fields) {
      if (field.dtype != DType::bf16) continue;
      throw InputError("precision", "record " + record.name + " has the bf16 field " + field.name +
                                        "; a run computes in fp32 only: plan with --precision fp32 (a bf16 plan can be "
                                        "simulated)");
    }
  }
}

bool has_input(const Body& body) {
  return std::any_of(body.ops.begin(), body.ops.end(), [](const Op& op) { return op.kernel == Kernel::input; });
}

}  // namespace

PreparedPlan::PreparedPlan(const Plan& p) : plan(p) {
  refuse_16_bit(plan);
  uint32_t events = 0;
  for (const Program& program : plan.programs) {
    events = std::max(events, program.num_events);
    for (const Call& call : program.calls) {
      if (has_input(plan.bodies[call.body])) micro_batches = std::max<uint32_t>(micro_batches, call.micro_batch + 1u);
    }
  }
  for (const Body& body : plan.bodies) bodies.push_back(prepare_body(plan, body, events));
}

}  // namespace pgram
