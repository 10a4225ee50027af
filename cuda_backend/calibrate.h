// Calibration on GPUs: their kernels, copies and collectives, measured by the code that runs plans, as a Device.
#pragma once
#include "core/cluster/cluster.h"
#include "cuda_backend/plugin.h"

namespace pgram {

/// Measures GPU 0, and transfers between all GPUs of its kind. First single figures, then the exact shapes of the given
/// plans' kernels and the sizes that fix a transfer's latency and bandwidth; then, as long as there is time, other
/// sizes and a grid of shapes. A kernel's seconds are a task's in a queue that is never empty, with the event that a
/// run records after it; a transfer's are nccl-tests': many in a row, by the slowest member. RunError when a call
/// fails; InputError for a plan that this backend cannot run.
Device calibrate_cuda(const CudaCalibrateOptions&);

}  // namespace pgram
