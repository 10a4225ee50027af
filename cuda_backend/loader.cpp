#include "cuda_backend/loader.h"

#include <dlfcn.h>

#include <filesystem>
#include <system_error>

namespace pgram {

CudaBackend load_cuda_backend(const std::string& folder, const std::string& driver) {
  const std::filesystem::path path = std::filesystem::path(folder) / kCudaBackendLibrary;
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    return {nullptr, "the CUDA backend is not built in this version; use --backend cpu"};
  }
  // The driver first: without it dlopen of the backend would fail with the linker's words instead of ours.
  if (!dlopen(driver.c_str(), RTLD_NOW | RTLD_GLOBAL)) {
    return {nullptr,
            "the NVIDIA driver (" + driver + ") is not installed on this machine; install it or use --backend cpu"};
  }
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    return {nullptr, "the CUDA backend cannot be loaded (" + std::string(dlerror()) + "); use --backend cpu"};
  }
  return {library, ""};
}

CudaBackend load_cuda_backend() {
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  return load_cuda_backend(error ? "." : program.parent_path().string(), kCudaDriverLibrary);
}

}  // namespace pgram
