// Cluster and node files.
#pragma once
#include <optional>
#include <string>

#include "core/cluster/fabric.h"

namespace pgram {

struct ClusterFile {
  std::string name, description;
  Device device;
  Fabric fabric;
  std::optional<CollectiveProfile> nccl;
};

/// A cluster file names a node of the library ("node: dgx-h100") or says the same itself (device, devices_per_node,
/// inside, between); then nodes, nodes_per_leaf, oversubscription.
ClusterFile read_cluster_file(const std::string& path);

/// InputError unless the numbers make a graph of a sensible size.
void validate(const Fabric&, const std::string& file, const std::string& field);

constexpr double kMaxOversubscription = 64;

}  // namespace pgram
