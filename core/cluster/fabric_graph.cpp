// The graph of a fabric.
#include <algorithm>

#include "core/cluster/graph_builder.h"

namespace pgram {

namespace {

class FabricGraph {
 public:
  FabricGraph(const Fabric& fabric, const std::vector<uint32_t>& nodes) : fabric_(fabric), nodes_(nodes) {}

  ClusterGraph build() {
    for (const uint32_t node : nodes_)
      for (uint32_t d = 0; d < fabric_.devices_per_node; ++d)
        graph_.add(VertexKind::device, "n" + std::to_string(node) + ".d" + std::to_string(d), node);
    for (size_t i = 0; i < nodes_.size(); ++i) add_inside(i);
    if (fabric_.nodes > 1) add_network();
    return graph_.take();
  }

 private:
  uint32_t device(size_t index_of_node, uint32_t d) const {
    return static_cast<uint32_t>(index_of_node * fabric_.devices_per_node + d);
  }
  uint32_t devices_per_nic() const { return fabric_.devices_per_node / fabric_.nics; }

  void add_inside(size_t i) {
    if (fabric_.devices_per_node == 1) return;
    const uint32_t hub =
        graph_.add(VertexKind::switch_, "n" + std::to_string(nodes_[i]) + "." + fabric_.inside.kind, nodes_[i]);
    for (uint32_t d = 0; d < fabric_.devices_per_node; ++d) graph_.connect(device(i, d), hub, fabric_.inside);
  }

  void add_network() {
    for (size_t i = 0; i < nodes_.size(); ++i) add_nics(i);
    if (fabric_.nodes <= fabric_.nodes_per_leaf) return;
    const uint32_t spine = graph_.add(VertexKind::switch_, "spine", ~0u);
    // One link stands for all cables from a leaf upwards.
    Wire uplinks = fabric_.between;
    uplinks.bytes_per_second *= fabric_.nodes_per_leaf / fabric_.oversubscription;
    uplinks.latency = fabric_.spine_latency;
    for (const uint32_t leaf : leaves_)
      graph_.connect(leaf, spine, uplinks, fabric_.nodes_per_leaf * devices_per_nic());
  }

  void add_nics(size_t i) {
    const uint32_t node = nodes_[i];
    const std::string prefix = "n" + std::to_string(node);
    const uint32_t first_switch = static_cast<uint32_t>(graph_.graph().vertices.size());
    for (uint32_t s = 0; s < fabric_.devices_per_node / fabric_.devices_per_pcie_switch; ++s)
      graph_.add(VertexKind::switch_, prefix + ".pcie" + std::to_string(s), node);
    const auto switch_of = [&](uint32_t d) { return first_switch + d / fabric_.devices_per_pcie_switch; };
    for (uint32_t d = 0; d < fabric_.devices_per_node; ++d) graph_.connect(device(i, d), switch_of(d), fabric_.pcie);

    Wire to_nic = fabric_.pcie;
    to_nic.latency /= 4;
    for (uint32_t r = 0; r < fabric_.nics; ++r) {
      const uint32_t nic = graph_.add(VertexKind::nic, prefix + ".nic" + std::to_string(r), node);
      const uint32_t first = r * devices_per_nic(), last = first + devices_per_nic() - 1;
      for (uint32_t s = switch_of(first); s <= switch_of(last); ++s)
        graph_.connect(s, nic, to_nic, std::min(fabric_.devices_per_pcie_switch, devices_per_nic()));
      graph_.connect(nic, leaf_of(node / fabric_.nodes_per_leaf, r), fabric_.between, devices_per_nic());
    }
  }

  /// Leaves are made as their first node comes by; nodes come in ascending order.
  uint32_t leaf_of(uint32_t group, uint32_t rail) {
    const uint64_t wanted = uint64_t{group} * fabric_.nics + rail;
    if (leaf_groups_.empty() || leaf_groups_.back() < group) {
      leaf_groups_.push_back(group);
      for (uint32_t r = 0; r < fabric_.nics; ++r)
        leaves_.push_back(graph_.add(VertexKind::switch_, "leaf" + std::to_string(wanted - rail + r), ~0u));
    }
    return leaves_[leaves_.size() - fabric_.nics + rail];
  }

  const Fabric& fabric_;
  const std::vector<uint32_t>& nodes_;
  GraphBuilder graph_;
  std::vector<uint32_t> leaf_groups_, leaves_;
};

}  // namespace

ClusterGraph fabric_graph(const Fabric& fabric, const std::vector<uint32_t>& nodes) {
  return FabricGraph(fabric, nodes).build();
}

}  // namespace pgram
