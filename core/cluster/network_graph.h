// Networks between nodes: leaf and spine by rail, fat-trees, dragonfly.
#pragma once
#include "core/cluster/node_graph.h"
#include "core/cluster/shortest_routes.h"

namespace pgram {

/// What is between the fabric's nodes; the fabric says how many there are, how many share a leaf, and the
/// oversubscription.
struct Network {
  enum class Kind : uint8_t {
    rail,      ///< NIC r of every node on a leaf of rail r, all leaves on every spine
    fat_tree,  ///< all NICs of a node on one leaf
    dragonfly  ///< groups of routers, all in a group connected, groups connected by global links
  };
  Kind kind = Kind::rail;
  uint32_t spines = 1;
  /// A fat-tree of three levels: leaves of a pod meet in its spines, spine i of all pods in `cores` switches of its
  /// own. 0: two levels.
  uint32_t leaves_per_pod = 0;
  uint32_t cores = 0;
  double core_oversubscription = 1;
  /// Dragonfly; the fabric's `nodes_per_leaf` are those of a router, its `nodes` are those of all groups.
  uint32_t groups = 0, routers = 0, global_links = 0;  ///< routers of a group, global links of a router
  Wire local, global;
};

/// A graph, and how routes are chosen in it.
struct ShapedGraph {
  ClusterGraph graph;
  uint32_t devices = 0, devices_per_node = 1;
  NextLinkRule rule;
};

/// Equal routes up a tree are taken by the number of the receiver's NIC: on the first level by its remainder, on the
/// next by what is left, so that neighbours take different ways and every way has as many receivers (D-mod-k routing).
/// On rails it is the number of the receiver's node, since all NICs below a leaf are of one rail.
ShapedGraph network_graph(const Fabric&, const NodeWires&, const Network&);

/// What lies between the nodes.
GraphSize network_size(const Fabric&, const Network&);

}  // namespace pgram
