// PreparedPlan: what the interpreter looks up for every task, worked out once per run: operands as offsets into
// records, and which ops of a body need an event of their own.
#pragma once
#include <cstdint>
#include <vector>

#include "core/exec/backend.h"

namespace pgram {

/// An operand whose address is: arena of the argument's pool + slot * record bytes + offset.
struct PreparedOperand {
  uint8_t formal = 0;
  uint64_t offset = 0;
  Tensor tensor;  ///< data unset
};

constexpr uint16_t kNoEvent = 0xffff;

struct PreparedOp {
  std::vector<PreparedOperand> operands;
  std::vector<uint16_t> waits;  ///< events of earlier ops of the body on other streams
  uint16_t records = kNoEvent;  ///< event that later ops of the body wait for
};

struct PreparedBody {
  std::vector<PreparedOp> ops;
};

struct PreparedPlan {
  /// InputError for what this interpreter cannot run: 16-bit fields, too many operands or events.
  explicit PreparedPlan(const Plan&);

  const Plan& plan;
  std::vector<PreparedBody> bodies;
  uint32_t micro_batches = 0;  ///< of one replica and step, counted by their `input` tasks
};

}  // namespace pgram
