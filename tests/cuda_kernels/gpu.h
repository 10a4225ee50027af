// Gpu: a stream, a cuBLAS handle and the memory of one task, to run a KernelCase as the backend does.
#pragma once
#include <vector>

#include "cuda_backend/dispatch.h"
#include "cuda_backend/handles.h"
#include "tests/cpu_kernels/kernel_case.h"

namespace pgram {

/// A plan of one call with one op: that of the case.
Plan plan_of(const KernelCase&);

class Gpu {
 public:
  Gpu();
  bool deterministic = false;
  uint32_t offset = 0;  ///< bytes by which every operand lies behind a 256-byte boundary

  /// The operands after the task ran with exactly the workspace that workspace_bytes() says, less `missing`.
  std::vector<std::vector<float>> run(const KernelCase&, uint64_t missing = 0) const;
  /// Puts a launch on the stream and waits for it; `bytes` of workspace.
  void issue(const Launch&, const RankInfo&, uint64_t bytes) const;
  DeviceMemory to_device(const void* data, uint64_t bytes) const;
  void to_host(void* data, const DeviceMemory&, uint64_t bytes) const;

 private:
  CudaStream stream_;
  BlasHandle blas_;
};

}  // namespace pgram
