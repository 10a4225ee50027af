// The MPI of this machine, which starts processes on several machines.
#pragma once
#include <string>

namespace pgram {

/// The first executable of this name in the folders of `path` (as in PATH); empty if there is none.
std::string find_program(const std::string& name, const std::string& path);
/// "Open MPI 4.1.4" from what `mpirun --version` prints; empty if it is not understood.
std::string mpi_version(const std::string& output);

}  // namespace pgram
