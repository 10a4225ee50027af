// DeviceChoice: which GPU each rank of this process gets, and all that is refused before anything is allocated.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cuda_backend/plugin.h"
#include "cuda_backend/processes.h"

namespace pgram {

/// The oldest compute capability that the kernels are compiled for.
constexpr int kOldestCapability = 8;

/// Number of usable GPUs. RunError in one line: no driver, one that is too old, no device.
int count_devices();
/// A report without GPUs.
CudaReport library_versions();
CudaReport report();

struct DeviceChoice {
  std::map<uint32_t, int> ordinal;     ///< by rank of this process
  std::vector<std::string> gpu_names;  ///< of the devices in use, each once
};

/// InputError, the same one at every process, for: too few GPUs or one GPU twice (without share_gpu), GPUs of several
/// kinds or of an old one, a plan that does not fit their free memory, operations that this backend lacks. Called by
/// all processes.
DeviceChoice choose_devices(const Plan&, const CudaOptions&, Processes&);

}  // namespace pgram
