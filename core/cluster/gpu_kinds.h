// Kinds of GPUs as other programs name them, and what NCCL counts on between them.
#pragma once
#include <string>

#include "core/base/units.h"

namespace pgram {

/// Taken where a file does not say what its GPUs are.
inline constexpr const char* kDefaultGpu = "h100-sxm";

/// The library's device for a compute capability (NCCL's `sm`: 90) and a PCI device number (0x2330; 0: not known).
/// Empty for one that the library does not have.
std::string device_of_sm(uint32_t sm, uint32_t pci_device);
/// For what the driver calls it: "NVIDIA H100 80GB HBM3".
std::string device_of_gpu_name(const std::string& name);

/// One NVLink in one direction, bytes/s (NCCL 2.28 graph/topo.h).
double nvlink_bytes_per_second(uint32_t sm);
/// PCIe x16 of the GPU's generation in one direction, as NCCL counts it (its table: 12, 24 and 48 GB/s).
double pcie_bytes_per_second(uint32_t sm);
/// The compute capability of a device of the library; 90 for one that is not known.
uint32_t sm_of_device(const std::string& device);

/// Latencies of imported nodes, which such files do not have: as in models/nodes.
inline constexpr Seconds kToNvSwitch = 1e-6, kNvLink = 2e-6, kToPcieSwitch = 1.2e-6, kBeyondPcieSwitch = 0.3e-6,
                         kBetweenCpus = 2e-6;

}  // namespace pgram
