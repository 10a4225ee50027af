// Reductions of collectives, in rank order.
#pragma once
#include "tests/emulation/nccl/call.h"

namespace pgram::emulation {

/// Whether the stand-in has this reduction: sum, maximum, minimum and average of float, bfloat16 and int32.
bool can_reduce(ncclDataType_t, ncclRedOp_t);
/// ((x0 op x1) op x2) ..., rounded to the type after every step, as a ring does. The average of floats multiplies each
/// by 1/n before it adds them, that of integers divides afterwards: NCCL's way. All of one size.
Bytes reduce(const std::vector<const Bytes*>& members, ncclDataType_t, ncclRedOp_t);

}  // namespace pgram::emulation
