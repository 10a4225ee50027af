// Launches of kernels as nvcc's own PTX, which is interpreted.
#pragma once
#include <cuda_runtime.h>

#include <string>

#include "tests/emulation/engine/kernels.h"

namespace pgram::emulation {

void** register_ptx(const void* fat_binary_wrapper);
void unregister_ptx(void** handle);
/// See prepare_launch.
cudaError_t prepare_ptx(void** handle, const std::string& mangled_name, const LaunchShape&,
                        const void* const* arguments, Operation&);

}  // namespace pgram::emulation
