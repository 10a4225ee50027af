// The CUDA backend is a shared library of its own, so that pgram starts on any machine; this finds it, or says why not.
#pragma once
#include <string>

namespace pgram {

struct CudaBackend {
  void* library = nullptr;  ///< dlopen's handle, open for the life of the program; null if not usable
  std::string reason;       ///< one sentence: why it is not usable and what to do; empty if it is
  explicit operator bool() const { return library != nullptr; }
};

constexpr const char* kCudaBackendLibrary = "libpgram_cuda_backend.so";
constexpr const char* kCudaDriverLibrary = "libcuda.so.1";

/// Looks for the backend beside the running program, then for the NVIDIA driver. Never throws for a missing one.
CudaBackend load_cuda_backend();
/// The same with the folder and the driver's file name given.
CudaBackend load_cuda_backend(const std::string& folder, const std::string& driver);

}  // namespace pgram
