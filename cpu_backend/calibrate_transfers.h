// Transfers and per-task costs through the real backend, on plans made for it; private to calibration.
#pragma once
#include <cstdint>
#include <stop_token>

#include "core/base/units.h"
#include "core/plan/plan.h"
#include "cpu_backend/kernels/kernels.h"

namespace pgram {

/// What a task costs on its stream beyond the kernel: from the end of one tiny kernel to the start of the next, while
/// the queue is never empty.
Seconds measure_task_overhead(KernelSet);

/// Seconds that a collective (or, for Kernel::send, a transfer to the neighbour) of `bytes` adds between the compute
/// task before it and the one after it, the waking of the streams included. `groups` groups of `ranks` do it at once.
Seconds measure_transfer(Kernel, uint32_t ranks, uint32_t groups, Bytes, KernelSet, Seconds task_overhead);

}  // namespace pgram
