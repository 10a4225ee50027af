// The CUDA backend is a shared library of its own, so that pgram starts on any machine; this finds it, or says why not.
#pragma once
#include <string>

#include "cuda_backend/plugin.h"

namespace pgram {

struct LoadedCuda {
  const CudaApi* api = nullptr;  ///< good for the life of the program; null if not usable
  std::string reason;            ///< one sentence: why it is not usable and what to do; empty if it is
  explicit operator bool() const { return api != nullptr; }
};

constexpr const char* kCudaBackendLibrary = "libpgram_cuda_backend.so";

/// Looks for the backend beside the running program. It loads without the NVIDIA driver, which CudaApi::count_devices()
/// looks for, but not without the CUDA toolkit's libraries and NCCL. Never throws for a missing one.
LoadedCuda load_cuda_backend();
/// The same with the folder given.
LoadedCuda load_cuda_backend(const std::string& folder);

}  // namespace pgram
