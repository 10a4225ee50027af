// Kernels that can be launched, of either engine.
#pragma once
#include <cuda_runtime.h>

#include <functional>
#include <string>

#include "tests/emulation/runtime/runtime.h"

namespace pgram::emulation {

/// What nvcc's objects tell of themselves when they are loaded: a fat binary, and for each kernel the host function
/// that stands for it and its mangled name. The handle is good for kernels until the object is unloaded.
void** register_fat_binary(const void* wrapper);
void unregister_fat_binary(void** handle);
void register_host_function(void** handle, const void* host_function, const char* mangled_name);

/// Of the mangled name where there is one; else what was given.
std::string readable_name(const std::string& mangled_name);

struct LaunchShape {
  dim3 grid, block;
};
/// What a worker runs for this launch, with the arguments copied now. cudaErrorInvalidDeviceFunction, with a report, if
/// the chosen engine has no such kernel.
cudaError_t prepare_launch(const void* host_function, const LaunchShape&, const void* const* arguments, Operation&);
bool is_kernel(const void* host_function);

}  // namespace pgram::emulation
