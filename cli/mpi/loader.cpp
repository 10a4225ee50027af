#include "cli/mpi/loader.h"

#include <dlfcn.h>

#include <filesystem>
#include <system_error>

namespace pgram {

LoadedMpi load_mpi(const std::string& folder) {
  const std::filesystem::path path = std::filesystem::path(folder) / kMpiLibrary;
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    return {nullptr,
            "this pgram is built without MPI; install Open MPI with its headers (Debian: openmpi-bin libopenmpi-dev) "
            "and build it again"};
  }
  // Open MPI loads parts of itself that look for its symbols among the program's.
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (!library) {
    const std::string error = dlerror();
    const size_t end = error.find(": cannot open shared object file");
    if (end == std::string::npos) return {nullptr, "pgram's part for MPI cannot be loaded (" + error + ")"};
    return {nullptr, "pgram's part for MPI needs " + error.substr(0, end) +
                         ", which was not found; install Open MPI (Debian: openmpi-bin), or name the folder in "
                         "LD_LIBRARY_PATH"};
  }
  using Entry = const MpiApi* (*)();
  const auto entry = reinterpret_cast<Entry>(dlsym(library, kMpiApiSymbol));
  const MpiApi* api = entry ? entry() : nullptr;
  if (!api || api->version != kMpiApiVersion) {
    return {nullptr, "pgram's part for MPI (" + path.string() + ") belongs to another version; build both together"};
  }
  return {api, ""};
}

LoadedMpi load_mpi() {
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  return load_mpi(error ? "." : program.parent_path().string());
}

}  // namespace pgram
