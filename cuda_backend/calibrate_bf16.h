// What the tensor cores reach: bf16 products by cuBLAS. No plan runs them yet; bf16 plans are simulated with it.
// Private to calibration.
#pragma once
#include <cstdint>

#include "cuda_backend/gpu_timer.h"

namespace pgram {

/// Seconds of one product of two bf16 matrices of size x size, added up in float32, into a bf16 one.
Seconds measure_bf16_product(GpuTimer&, uint32_t size, Seconds seconds);

}  // namespace pgram
