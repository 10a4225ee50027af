// Loading the MPI plugin.
#pragma once
#include <string>

#include "cli/mpi/plugin.h"

namespace pgram {

struct LoadedMpi {
  const MpiApi* api = nullptr;  ///< lives until the program ends
  std::string reason;           ///< why it is not there, and what to install
  explicit operator bool() const { return api != nullptr; }
};

/// Looks in `folder` for kMpiLibrary.
LoadedMpi load_mpi(const std::string& folder);
/// Looks beside the running program.
LoadedMpi load_mpi();

}  // namespace pgram
