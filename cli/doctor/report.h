// What `pgram doctor` says of a machine. Empty texts and zeros are what could not be read: nothing is guessed.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "cli/doctor/nvml.h"
#include "cuda_backend/plugin.h"

namespace pgram {

struct DoctorReport {
  struct Library {
    std::string name, version;
  };
  /// A command and what it lacks here.
  struct CommandState {
    std::string command, missing, cure;  ///< both empty: it works
  };

  std::string version;                        ///< of pgram
  std::string processor, vectors;             ///< vectors: "AVX-512 (512 bits)"
  uint32_t cores = 0;                         ///< that this process may use
  uint64_t memory_bytes = 0;                  ///< likewise
  std::vector<Library> libraries;             ///< what pgram runs on
  NvmlReport nvml;                            ///< the driver's view
  std::string no_cuda;                        ///< why the CUDA backend cannot be loaded; empty if it could
  CudaReport cuda;                            ///< its view
  std::string mpirun, mpi;                    ///< the path; "Open MPI 4.1.4"
  bool has_gui = false, has_display = false;  ///< pgram was built with Qt; there is a screen
  std::vector<CommandState> commands;
};

/// Versions as the libraries give them: 13000 -> "13.0", 130002 -> "13.0.2", 22809 -> "2.28.9"; "" for 0.
std::string cuda_version_text(int version);
std::string cublas_version_text(int version);
std::string nccl_version_text(int version);

/// Which commands work with what the other fields say, and what the others lack.
std::vector<DoctorReport::CommandState> command_states(const DoctorReport&);

/// At most 40 lines of at most 100 columns.
std::string to_text(const DoctorReport&);
/// One JSON object; null is what could not be read.
std::string to_json(const DoctorReport&);

/// Looks at everything; never throws for what is missing. What pgram was built with it cannot see by itself.
DoctorReport look_at_this_machine(const std::string& pgram_version, bool has_gui);

}  // namespace pgram
