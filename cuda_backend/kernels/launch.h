// launch: the one way in which a kernel is started. Included by every .cu file.
//
// The same sources are compiled twice: by nvcc for GPUs, and as plain C++ for the stand-in GPU of the tests, which runs
// them without one (tests/emulation). So kernels keep to a small dialect: no <<<>>>, no dynamic shared memory, no
// anonymous namespaces (a kernel is found by its mangled name), no device globals.
#pragma once
#include <cuda_runtime.h>

namespace pgram::kernels {

#ifndef __CUDACC__
/// Makes `kernel` known to the stand-in GPU; defined by tests/emulation/engine/dialect.h.
template <auto kernel>
extern const bool registered;
#endif

/// Starts kernel<<<grid, block, 0, stream>>>(arguments...).
template <auto kernel, class... Arguments>
cudaError_t launch(dim3 grid, dim3 block, cudaStream_t stream, Arguments... arguments) {
#ifndef __CUDACC__
  static_cast<void>(registered<kernel>);
#endif
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.stream = stream;
  return cudaLaunchKernelEx(&config, kernel, arguments...);
}

}  // namespace pgram::kernels
