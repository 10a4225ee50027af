// The runtime API of kernels: what launchers call, and what nvcc's objects call when they are loaded.
#include <algorithm>

#include "tests/emulation/engine/kernels.h"
#include "tests/emulation/runtime/device.h"
#include "tests/emulation/runtime/reports.h"
#include "tests/emulation/runtime/runtime.h"

using namespace pgram::emulation;

// NVIDIA declares some of these nowhere, others in crt/host_runtime.h, which only nvcc can read.
extern "C" {
void** CUDARTAPI __cudaRegisterFatBinary(void* wrapper);
void CUDARTAPI __cudaRegisterFatBinaryEnd(void** handle);
void CUDARTAPI __cudaUnregisterFatBinary(void** handle);
void CUDARTAPI __cudaRegisterFunction(void** handle, const char* host_function, char* device_function,
                                      const char* device_name, int thread_limit, uint3*, uint3*, dim3*, dim3*, int*);
char CUDARTAPI __cudaInitModule(void** handle);
unsigned CUDARTAPI __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, CUstream_st* stream);
cudaError_t CUDARTAPI __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* shared, void* stream);
cudaError_t CUDARTAPI __cudaGetKernel(cudaKernel_t* kernel, const void* host_function);
cudaError_t CUDARTAPI __cudaLaunchKernel(cudaKernel_t, dim3 grid, dim3 block, void** arguments, size_t shared,
                                         cudaStream_t);
}

namespace {

constexpr unsigned kMaxBlockThreads = 1024;

cudaError_t launch(const void* function, dim3 grid, dim3 block, void** arguments, size_t shared, cudaStream_t stream) {
  const uint64_t threads = uint64_t(block.x) * block.y * block.z, blocks = uint64_t(grid.x) * grid.y * grid.z;
  if (threads == 0 || threads > kMaxBlockThreads || block.z > 64 || blocks == 0 || grid.y > 65535 || grid.z > 65535)
    return remember(cudaErrorInvalidConfiguration);
  Operation operation;
  if (const cudaError_t error = prepare_launch(function, {grid, block}, arguments, operation)) return remember(error);
  if (shared) {
    report("dynamic shared memory: " + operation.name + " asks for it, which the stand-in does not give");
    return remember(cudaErrorInvalidValue);
  }
  return remember(enqueue(stream, std::move(operation)));
}

struct CallConfiguration {
  dim3 grid, block;
  size_t shared = 0;
  CUstream_st* stream = nullptr;
};
thread_local CallConfiguration configuration;

}  // namespace

cudaError_t CUDARTAPI cudaLaunchKernel(const void* function, dim3 grid, dim3 block, void** arguments, size_t shared,
                                       cudaStream_t stream) {
  if (const cudaError_t error = begin_call("cudaLaunchKernel")) return error;
  return launch(function, grid, block, arguments, shared, stream);
}

cudaError_t CUDARTAPI cudaLaunchKernelExC(const cudaLaunchConfig_t* config, const void* function, void** arguments) {
  if (const cudaError_t error = begin_call("cudaLaunchKernelExC")) return error;
  if (config->numAttrs) return remember(cudaErrorNotSupported);
  return launch(function, config->gridDim, config->blockDim, arguments, config->dynamicSmemBytes, config->stream);
}

/// Registers and spills are ptxas's to tell, not ours: docs/kernels.md has them.
cudaError_t CUDARTAPI cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* function) {
  if (const cudaError_t error = begin_call("cudaFuncGetAttributes")) return error;
  if (!is_kernel(function)) return remember(cudaErrorInvalidDeviceFunction);
  *attributes = {};
  attributes->maxThreadsPerBlock = kMaxBlockThreads;
  attributes->binaryVersion = attributes->ptxVersion = 90;
  return cudaSuccess;
}

cudaError_t CUDARTAPI cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* function, int threads,
                                                                    size_t) {
  if (const cudaError_t error = begin_call("cudaOccupancyMaxActiveBlocksPerMultiprocessor")) return error;
  if (!is_kernel(function)) return remember(cudaErrorInvalidDeviceFunction);
  if (threads <= 0 || threads > int(kMaxBlockThreads)) return remember(cudaErrorInvalidValue);
  *blocks = std::min(32, 2048 / ((threads + 31) / 32 * 32));
  return cudaSuccess;
}

void** __cudaRegisterFatBinary(void* wrapper) {
  return register_fat_binary(wrapper);
}
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void** handle) {
  unregister_fat_binary(handle);
}
void __cudaRegisterFunction(void** handle, const char* host_function, char*, const char* device_name, int, uint3*,
                            uint3*, dim3*, dim3*, int*) {
  register_host_function(handle, host_function, device_name);
}
char __cudaInitModule(void**) {
  return 1;
}

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, CUstream_st* stream) {
  configuration = {grid, block, shared, stream};
  return 0;
}
cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* shared, void* stream) {
  *grid = configuration.grid;
  *block = configuration.block;
  *shared = configuration.shared;
  *static_cast<CUstream_st**>(stream) = configuration.stream;
  return cudaSuccess;
}

/// A kernel's handle is the host function that stands for it.
cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* host_function) {
  *kernel = reinterpret_cast<cudaKernel_t>(const_cast<void*>(host_function));
  return cudaSuccess;
}
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments, size_t shared,
                               cudaStream_t stream) {
  return cudaLaunchKernel(reinterpret_cast<const void*>(kernel), grid, block, arguments, shared, stream);
}
