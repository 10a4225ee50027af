// The NVIDIA driver's own library: driver version, GPUs, and how they are connected. Loaded if it is there; nothing of
// CUDA is needed to compile or to run this.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace pgram {

struct NvmlReport {
  struct Gpu {
    std::string name, pci;  ///< pci as "0000:1b:00.0"
    uint64_t memory_bytes = 0;
  };
  std::string error;   ///< why nothing is known; empty if something is
  std::string driver;  ///< "580.65.06"; empty if it cannot be read
  std::vector<Gpu> gpus;
  /// As `nvidia-smi topo -m` names them, between each two GPUs: "NV18" (18 NVLinks, direct or through switches), "PIX",
  /// "PXB", "PHB", "NODE", "SYS"; "X" for itself; empty if it cannot be read.
  std::vector<std::vector<std::string>> links;
};

constexpr const char* kNvmlLibrary = "libnvidia-ml.so.1";

NvmlReport look_at_nvml(const std::string& library = kNvmlLibrary);

/// A PCI address as both CUDA and NVML would write it: lower case, a domain of four digits.
std::string plain_pci(std::string address);

}  // namespace pgram
