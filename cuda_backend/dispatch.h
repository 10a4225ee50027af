// Compute tasks on a GPU: which kernel or cuBLAS product a Launch becomes.
#pragma once
#include <cublas_v2.h>
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "core/exec/backend.h"
#include "core/plan/plan.h"

namespace pgram {

/// One rank's place, and what its compute tasks on one stream may use. The cuBLAS handle is bound to that stream and
/// has its own workspace.
struct DispatchContext {
  uint32_t tp_rank = 0, tp_size = 1;
  cublasHandle_t blas = nullptr;
  std::byte* workspace = nullptr;  ///< device memory for partial sums, one per stream: tasks of a stream run in order
  uint64_t workspace_bytes = 0;
  bool deterministic = false;
};

/// Empty if every compute op of the plan can be run here; else which op cannot and why, for the end of a sentence.
std::string unsupported(const Plan&);
/// Device workspace that the compute tasks of this role need on any one stream.
uint64_t workspace_bytes(const Plan&, uint32_t role);
/// Issues the task. Never allocates, never waits for the device. RunError if CUDA refuses. `input` copies from
/// Launch::host_tokens, which must be pinned memory that stays as it is until the task is done.
void dispatch(const Launch&, const DispatchContext&, cudaStream_t);

}  // namespace pgram
