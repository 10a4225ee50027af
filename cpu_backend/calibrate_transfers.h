// Transfers and per-task costs through the real backend, on plans made for it; private to calibration.
#pragma once
#include <cstdint>
#include <stop_token>

#include "core/base/units.h"
#include "core/plan/plan.h"
#include "cpu_backend/kernels/kernels.h"

namespace pgram {

/// What a tiny task costs on its stream while the queue is never empty: taking it from the queue, and two looks at the
/// clock.
Seconds measure_task_overhead(KernelSet);

/// Seconds that a collective (or, for Kernel::send, a transfer to the neighbour) of `bytes` adds to the compute tasks
/// before and after it: with it less without it. So the waking of the streams is in it, and that what came lies in
/// another core's cache. `groups` groups of `ranks` do it at once. Takes about `seconds`, but a few calls at least.
Seconds measure_transfer(Kernel, uint32_t ranks, uint32_t groups, Bytes bytes, KernelSet, Seconds seconds);

}  // namespace pgram
