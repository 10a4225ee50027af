// The section `topology:` of a cluster file.
#pragma once
#include "core/cluster/cluster_file.h"

namespace pgram {

class YamlFields;

/// Kinds that say by themselves what their devices are wired to: no node, no fabric.
bool is_direct(const std::string& kind);
/// ring, torus, full, graph. `devices_per_node`: of the cluster file.
ShapedGraph read_direct_topology(YamlFields topology, uint32_t devices_per_node, std::string& shape);
/// rail, fat-tree, dragonfly; sets network, and for a dragonfly how many nodes there are.
void read_network(YamlFields topology, ClusterFile&);

/// InputError unless the network fits the fabric's nodes and its routes fit into memory.
void validate_network(const ClusterFile&, const std::string& file);

Wire read_wire(YamlFields);

}  // namespace pgram
