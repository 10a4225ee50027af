// The stand-in's cuBLAS handle: which stream its products go to, and how they are to be done.
#pragma once
#include <cublas_v2.h>

#include <cstdint>
#include <string>

/// NVIDIA's header names the type and leaves its inside to the library.
struct cublasContext {
  int device = 0;  ///< current when the handle was made; its streams and operands have to be there
  cudaStream_t stream = nullptr;
  void* workspace = nullptr;  ///< device memory that products may write to; null: the library's own
  uint64_t workspace_bytes = 0;
  cublasMath_t math = CUBLAS_DEFAULT_MATH;
  cublasAtomicsMode_t atomics = CUBLAS_ATOMICS_NOT_ALLOWED;
  cublasPointerMode_t pointers = CUBLAS_POINTER_MODE_HOST;
};

namespace pgram::emulation {

/// First line of every function: counts the call. Success, or the planned failure, or NOT_INITIALIZED (with a report)
/// for a handle that is none or was destroyed.
cublasStatus_t begin_blas_call(const char* call, cublasHandle_t);

}  // namespace pgram::emulation
