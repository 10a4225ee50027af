// A node where it is more than devices around one switch: devices wired to one another, PCIe switches that meet in
// CPUs.
#pragma once
#include <vector>

#include "core/cluster/graph_builder.h"

namespace pgram {

/// `count` wires side by side between two devices of a node.
struct MeshWire {
  uint32_t a = 0, b = 0, count = 1;
};

/// What a Fabric does not say of a node.
struct NodeWires {
  std::vector<MeshWire> mesh;  ///< of the fabric's wire `inside`, instead of a switch
  uint32_t cpus = 0;           ///< the PCIe switches hang on them in equal parts; 0: they do not meet
  Wire socket;                 ///< each way between two CPUs
  bool empty() const { return mesh.empty() && cpus == 0; }
};

/// Adds the fabric's nodes with all that is in them. Gives the NICs, those of node 0 first; none where there is one
/// node.
std::vector<uint32_t> add_nodes(GraphBuilder&, const Fabric&, const NodeWires&);

/// How many vertices and links (one way) add_nodes makes of a node.
struct GraphSize {
  uint64_t vertices = 0, links = 0;
};
GraphSize node_size(const Fabric&, const NodeWires&);

}  // namespace pgram
