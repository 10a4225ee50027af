#include "cuda_backend/calibrate_bf16.h"

#include <random>
#include <string>

#include "cuda_backend/check.h"

namespace pgram {
namespace {

/// Random values of +-0.5 to 2: a card that multiplies zeros takes less power and runs faster than it would in a step.
PinnedMemory random_values(uint64_t bytes) {
  PinnedMemory memory = make_pinned_memory(bytes);
  std::minstd_rand random(1);
  auto* values = static_cast<uint16_t*>(memory.get());
  for (uint64_t i = 0; i < bytes / sizeof(uint16_t); ++i)
    values[i] = static_cast<uint16_t>(0x3f00 | (random() & 0x80ff));
  return memory;
}

}  // namespace

Seconds measure_bf16_product(GpuTimer& timer, uint32_t size, Seconds seconds) {
  const uint64_t bytes = uint64_t{size} * size * sizeof(uint16_t);
  const DeviceMemory a = make_device_memory(bytes), b = make_device_memory(bytes), c = make_device_memory(bytes);
  const PinnedMemory values = random_values(bytes);
  for (const DeviceMemory* operand : {&a, &b})
    PGRAM_CHECK(cudaMemcpyAsync(operand->get(), values.get(), bytes, cudaMemcpyHostToDevice, timer.stream()));
  const BlasHandle blas = make_blas();
  PGRAM_CHECK(cublasSetStream(blas.get(), timer.stream()));
  const int n = static_cast<int>(size);
  const float one = 1, zero = 0;
  const auto multiply = [&](uint32_t) {
    PGRAM_CHECK(cublasGemmEx(blas.get(), CUBLAS_OP_T, CUBLAS_OP_N, n, n, n, &one, a.get(), CUDA_R_16BF, n, b.get(),
                             CUDA_R_16BF, n, &zero, c.get(), CUDA_R_16BF, n, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
  };
  return timer.per_call("calibrate bf16 product " + std::to_string(size), multiply, seconds);
}

}  // namespace pgram
