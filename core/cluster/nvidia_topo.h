// What `nvidia-smi topo -m` prints, as a cluster of one node.
#pragma once
#include <string>

#include "core/cluster/cluster_file.h"

namespace pgram {

/// NV# is that many NVLinks between two GPUs, or, where every pair has more of them than a GPU has links, from each to
/// an NVSwitch. PIX: one PCIe switch; PXB: switches behind one bridge; PHB, NODE: one CPU; SYS: two CPUs. Speeds are
/// those that NCCL counts on for the kind of GPU. That is told by lines of `nvidia-smi -L` in the same text ("GPU 0:
/// NVIDIA H100 80GB HBM3"); else by the number of NVLinks (18: H100, 12: A100, 6 in all: V100); else it is kDefaultGpu,
/// and the description says so. InputError names file, line and what is wrong in it.
ClusterFile read_nvidia_topology(const std::string& path);
ClusterFile parse_nvidia_topology(const std::string& text, const std::string& file_name);

}  // namespace pgram
