#include "core/cluster/node_graph.h"

#include <algorithm>

namespace pgram {

namespace {

class NodeGraph {
 public:
  NodeGraph(GraphBuilder& graph, const Fabric& fabric, const NodeWires& wires)
      : graph_(graph), fabric_(fabric), wires_(wires) {}

  void add(uint32_t node) {
    node_ = node;
    add_inside();
    if (fabric_.nodes > 1 || wires_.cpus > 0) add_pcie();
    if (fabric_.nodes > 1) add_nics();
  }
  std::vector<uint32_t> nics;

 private:
  uint32_t device(uint32_t d) const { return node_ * fabric_.devices_per_node + d; }
  std::string name(const std::string& part) const { return "n" + std::to_string(node_) + "." + part; }
  uint32_t pcie_switch(uint32_t d) const { return first_switch_ + d / fabric_.devices_per_pcie_switch; }

  void add_inside() {
    for (const MeshWire& wire : wires_.mesh) {
      Wire wires = fabric_.inside;
      wires.bytes_per_second *= wire.count;
      graph_.connect(device(wire.a), device(wire.b), wires);
    }
    if (!wires_.mesh.empty() || fabric_.devices_per_node == 1 || fabric_.inside.bytes_per_second == 0) return;
    const uint32_t hub = graph_.add(VertexKind::switch_, name(fabric_.inside.kind), node_);
    for (uint32_t d = 0; d < fabric_.devices_per_node; ++d) graph_.connect(device(d), hub, fabric_.inside);
  }

  void add_pcie() {
    const uint32_t switches = fabric_.devices_per_node / fabric_.devices_per_pcie_switch;
    first_switch_ = static_cast<uint32_t>(graph_.graph().vertices.size());
    for (uint32_t s = 0; s < switches; ++s) graph_.add(VertexKind::switch_, name("pcie" + std::to_string(s)), node_);
    for (uint32_t d = 0; d < fabric_.devices_per_node; ++d) graph_.connect(device(d), pcie_switch(d), fabric_.pcie);
    if (wires_.cpus == 0) return;
    const uint32_t first_cpu = static_cast<uint32_t>(graph_.graph().vertices.size());
    for (uint32_t c = 0; c < wires_.cpus; ++c) graph_.add(VertexKind::switch_, name("cpu" + std::to_string(c)), node_);
    for (uint32_t s = 0; s < switches; ++s)
      graph_.connect(first_switch_ + s, first_cpu + s / (switches / wires_.cpus), beyond_switch(),
                     fabric_.devices_per_pcie_switch);
    for (uint32_t a = 0; a < wires_.cpus; ++a)
      for (uint32_t b = a + 1; b < wires_.cpus; ++b)
        graph_.connect(first_cpu + a, first_cpu + b, wires_.socket, fabric_.devices_per_node / wires_.cpus);
  }

  void add_nics() {
    const uint32_t per_nic = fabric_.devices_per_node / fabric_.nics;
    for (uint32_t r = 0; r < fabric_.nics; ++r) {
      const uint32_t nic = graph_.add(VertexKind::nic, name("nic" + std::to_string(r)), node_);
      for (uint32_t s = pcie_switch(r * per_nic); s <= pcie_switch(r * per_nic + per_nic - 1); ++s)
        graph_.connect(s, nic, beyond_switch(), std::min(fabric_.devices_per_pcie_switch, per_nic));
      nics.push_back(nic);
    }
  }

  /// Wires of a PCIe switch that do not end in a device have a quarter of the latency; see Fabric.
  Wire beyond_switch() const {
    Wire wire = fabric_.pcie;
    wire.latency /= 4;
    return wire;
  }

  GraphBuilder& graph_;
  const Fabric& fabric_;
  const NodeWires& wires_;
  uint32_t node_ = 0, first_switch_ = 0;
};

}  // namespace

std::vector<uint32_t> add_nodes(GraphBuilder& graph, const Fabric& fabric, const NodeWires& wires) {
  graph.add_devices(fabric.nodes, fabric.devices_per_node);
  NodeGraph nodes(graph, fabric, wires);
  for (uint32_t node = 0; node < fabric.nodes; ++node) nodes.add(node);
  return std::move(nodes.nics);
}

GraphSize node_size(const Fabric& fabric, const NodeWires& wires) {
  const uint64_t devices = fabric.devices_per_node, switches = devices / fabric.devices_per_pcie_switch;
  const uint64_t cpus = wires.cpus, mesh = wires.mesh.size();
  return {devices + 1 + switches + cpus + fabric.nics,
          2 * (devices + mesh + devices + switches + cpus * cpus + switches + 2 * fabric.nics)};
}

}  // namespace pgram
