// The CUDA backend for commands that need a GPU.
#pragma once
#include "cuda_backend/plugin.h"

namespace pgram::cli {

/// InputError when the backend is not built or lacks libraries; NoDevice when there is no driver or no GPU.
const CudaApi& usable_cuda();

}  // namespace pgram::cli
