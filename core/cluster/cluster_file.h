// Cluster and node files.
#pragma once
#include <optional>
#include <string>

#include "core/cluster/network_graph.h"

namespace pgram {

struct ClusterFile {
  std::string name, description;
  Device device;
  Fabric fabric;
  NodeWires wires;
  Network network;
  std::optional<ShapedGraph> graph;  ///< instead of all three: ring, torus, fully connected, or a graph written out
  std::string shape;                 ///< for people: "torus 4 x 4 x 4"
  std::optional<CollectiveProfile> nccl;
  Operation operation;
};

/// A cluster file names a node of the library ("node: dgx-h100") or says the same itself (device, devices_per_node,
/// inside, between); then nodes, nodes_per_leaf, oversubscription, topology.
ClusterFile read_cluster_file(const std::string& path);

/// What `pgram` takes for a cluster by its name's end: .xml is NCCL's topology of a node, .txt what `nvidia-smi topo
/// -m` prints, all else a cluster file.
ClusterFile read_any_cluster_file(const std::string& path);

/// `nodes` nodes instead of what the file says; an oversubscription (0: the file's). InputError where they do not fit.
void resize(ClusterFile&, uint64_t nodes, double oversubscription);

/// Sets devices, devices_per_node, shape and topology.
void build_topology(const ClusterFile&, Cluster&);

/// InputError unless the numbers make a graph of a sensible size.
void validate(const Fabric&, const std::string& file, const std::string& field);

constexpr double kMaxOversubscription = 64;

}  // namespace pgram
