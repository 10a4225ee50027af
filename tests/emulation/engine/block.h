// Runs the grid of a kernel that g++ compiled: one block after another, the CUDA threads of a block as fibers.
#pragma once
#include <cuda_runtime.h>

#include <string>

#include "tests/emulation/engine/kernel_abi.h"

namespace pgram::emulation {

/// A kernel did what it must not; the rest of the grid was not run.
struct KernelFault {
  std::string message;  ///< "barrier divergence: ... at file:line"
  cudaError_t error = cudaErrorLaunchFailure;
};

/// On the calling thread; `thread` runs one CUDA thread. Throws KernelFault.
///
/// A fiber runs CUDA threads one after another until one has to wait, so that a kernel without barriers costs no
/// switches.
void run_grid(dim3 grid, dim3 block, const Invocation& thread);

}  // namespace pgram::emulation
