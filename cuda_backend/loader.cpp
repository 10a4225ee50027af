#include "cuda_backend/loader.h"

#include <dlfcn.h>

#include <filesystem>
#include <system_error>

namespace pgram {
namespace {

/// dlopen names the first library that it misses: "libnccl.so.2: cannot open shared object file: No such file ...".
std::string missing_library(const std::string& error) {
  const size_t end = error.find(": cannot open shared object file");
  return end == std::string::npos ? "" : error.substr(0, end);
}

}  // namespace

LoadedCuda load_cuda_backend(const std::string& folder) {
  const std::filesystem::path path = std::filesystem::path(folder) / kCudaBackendLibrary;
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    return {nullptr, "the CUDA backend is not built in this version; use --backend cpu"};
  }
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const std::string error = dlerror();
    const std::string missing = missing_library(error);
    if (missing.empty()) return {nullptr, "the CUDA backend cannot be loaded (" + error + "); use --backend cpu"};
    return {nullptr,
            "the CUDA backend needs " + missing +
                ", which was not found; install the CUDA toolkit's libraries and NCCL, or name their folder in "
                "LD_LIBRARY_PATH, or use --backend cpu"};
  }
  using Entry = const CudaApi* (*)();
  const auto entry = reinterpret_cast<Entry>(dlsym(library, kCudaApiSymbol));
  const CudaApi* api = entry ? entry() : nullptr;
  if (!api || api->version != kCudaApiVersion) {
    dlclose(library);
    return {nullptr, "the CUDA backend beside pgram (" + path.string() +
                         ") belongs to another version; build both together, or use --backend cpu"};
  }
  return {api, ""};
}

LoadedCuda load_cuda_backend() {
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  return load_cuda_backend(error ? "." : program.parent_path().string());
}

}  // namespace pgram
