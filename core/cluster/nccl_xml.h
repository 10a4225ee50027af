// NCCL's topology of a node (NCCL_TOPO_DUMP_FILE, NCCL_TOPO_FILE) as a cluster.
#pragma once
#include <string>

#include "core/cluster/cluster_file.h"

namespace pgram {

/// One node: its GPUs by `dev` (or `rank`), PCI bridges, CPUs, NICs, NVLink, an NVSwitch where a link leads to one.
/// Speeds are those that NCCL counts on: a kind of GPU's NVLink times `count`, PCIe by `link_speed` and `link_width`,
/// CPUs by vendor and model. Partial files are taken: GPUs and NICs known by their PCI class only, no NVLink, no speeds
/// (NCCL's defaults). The kind of device is that of `sm` and the PCI device number; where there is neither,
/// kDefaultGpu, and the description says so. InputError names file, line and element.
ClusterFile read_nccl_topology(const std::string& path);
ClusterFile parse_nccl_topology(const std::string& text, const std::string& file_name);

}  // namespace pgram
