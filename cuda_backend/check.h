// PGRAM_CHECK: the one way to look at the status that a CUDA, cuBLAS or NCCL call returns.
#pragma once
#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <nccl.h>

#include "core/base/errors.h"

namespace pgram {

/// A call of CUDA, cuBLAS or NCCL failed. what(): "cudaMalloc(&p, n) failed at cuda_backend/device.cpp:31:
/// cudaErrorMemoryAllocation (out of memory)".
class CudaError : public RunError {
 public:
  CudaError(const char* expression, const char* file, int line, const char* name, const char* text);
};

void check(cudaError_t, const char* expression, const char* file, int line);
void check(cublasStatus_t, const char* expression, const char* file, int line);
void check(ncclResult_t, const char* expression, const char* file, int line);

}  // namespace pgram

#define PGRAM_CHECK(call) ::pgram::check((call), #call, __FILE__, __LINE__)
