// Makes graphs of devices, switches and cables; shared by the shapes of this folder.
#pragma once
#include "core/cluster/fabric.h"

namespace pgram {

class GraphBuilder {
 public:
  static constexpr uint32_t kBetweenNodes = ~0u;

  uint32_t add(VertexKind kind, std::string name, uint32_t node = kBetweenNodes) {
    graph_.vertices.push_back({kind, std::move(name), node});
    return static_cast<uint32_t>(graph_.vertices.size() - 1);
  }
  /// Devices of equal nodes, called "n3.d0"; they must come before anything else.
  void add_devices(uint32_t nodes, uint32_t per_node) {
    for (uint32_t node = 0; node < nodes; ++node)
      for (uint32_t d = 0; d < per_node; ++d)
        add(VertexKind::device, "n" + std::to_string(node) + ".d" + std::to_string(d), node);
  }
  /// One way; gives the link's number.
  uint32_t add_link(uint32_t from, uint32_t to, const Wire& wire, uint32_t shared_by = 1) {
    Link link;
    link.from = from, link.to = to;
    link.shared_by = shared_by;
    link.bytes_per_second = wire.bytes_per_second;
    link.latency = wire.latency;
    link.kind = wire.kind;
    graph_.links.push_back(std::move(link));
    return static_cast<uint32_t>(graph_.links.size() - 1);
  }
  /// Both directions.
  void connect(uint32_t a, uint32_t b, const Wire& wire, uint32_t shared_by = 1) {
    add_link(a, b, wire, shared_by);
    add_link(b, a, wire, shared_by);
  }
  const ClusterGraph& graph() const { return graph_; }
  ClusterGraph take() { return std::move(graph_); }

 private:
  ClusterGraph graph_;
};

}  // namespace pgram
