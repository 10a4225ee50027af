#include "core/cluster/network_graph.h"

#include <algorithm>

namespace pgram {

namespace {

uint32_t divide_up(uint32_t a, uint32_t b) {
  return (a + b - 1) / b;
}

class NetworkGraph {
 public:
  NetworkGraph(const Fabric& fabric, const NodeWires& wires, const Network& network)
      : fabric_(fabric), network_(network), nics_(add_nodes(graph_, fabric, wires)) {}

  ShapedGraph build() {
    if (fabric_.nodes > 1) {
      if (network_.kind == Network::Kind::dragonfly)
        add_dragonfly();
      else
        add_leaves();
    }
    ShapedGraph shaped;
    shaped.devices = fabric_.nodes * fabric_.devices_per_node;
    shaped.devices_per_node = fabric_.devices_per_node;
    shaped.graph = graph_.take();
    shaped.rule = rule(shaped.graph);
    return shaped;
  }

 private:
  bool by_rail() const { return network_.kind == Network::Kind::rail; }
  uint32_t devices_per_nic() const { return fabric_.devices_per_node / fabric_.nics; }

  std::vector<uint32_t> add_switches(uint32_t count, const std::string& name) {
    std::vector<uint32_t> made;
    for (uint32_t i = 0; i < count; ++i) made.push_back(graph_.add(VertexKind::switch_, name + std::to_string(i)));
    return made;
  }

  void add_leaves() {
    const uint32_t groups = divide_up(fabric_.nodes, fabric_.nodes_per_leaf), rails = by_rail() ? fabric_.nics : 1;
    const std::vector<uint32_t> leaves = add_switches(groups * rails, "leaf");
    for (uint32_t i = 0; i < nics_.size(); ++i) {
      const uint32_t node = i / fabric_.nics, rail = i % fabric_.nics % rails;
      graph_.connect(nics_[i], leaves[node / fabric_.nodes_per_leaf * rails + rail], fabric_.between,
                     devices_per_nic());
    }
    // One link stands for all cables between two switches.
    const uint32_t nics_below = fabric_.nodes_per_leaf * fabric_.nics / rails;
    Wire up = fabric_.between;
    up.latency = fabric_.spine_latency;
    up.bytes_per_second *= nics_below / fabric_.oversubscription / network_.spines;
    const uint32_t devices_up = nics_below * devices_per_nic() / network_.spines;
    const uint32_t per_pod = network_.cores > 0 ? network_.leaves_per_pod : static_cast<uint32_t>(leaves.size());
    const uint32_t pods = divide_up(static_cast<uint32_t>(leaves.size()), per_pod);
    if (groups == 1) return;
    const std::vector<uint32_t> spines = add_switches(pods * network_.spines, "spine");
    for (uint32_t l = 0; l < leaves.size(); ++l) {
      set_stride(leaves[l], 1);
      for (uint32_t s = 0; s < network_.spines; ++s)
        graph_.connect(leaves[l], spines[l / per_pod * network_.spines + s], up, devices_up);
    }
    if (pods == 1) return;
    up.bytes_per_second *= per_pod / network_.core_oversubscription / network_.cores;
    const std::vector<uint32_t> cores = add_switches(network_.spines * network_.cores, "core");
    for (uint32_t i = 0; i < spines.size(); ++i) {
      set_stride(spines[i], network_.spines);
      for (uint32_t c = 0; c < network_.cores; ++c)
        graph_.connect(spines[i], cores[i % network_.spines * network_.cores + c], up,
                       std::max(1u, devices_up * per_pod / network_.cores));
    }
  }

  void add_dragonfly() {
    const uint32_t groups = network_.groups, routers = network_.routers, others = groups - 1;
    const std::vector<uint32_t> all = add_switches(groups * routers, "router");
    for (uint32_t i = 0; i < nics_.size(); ++i)
      graph_.connect(nics_[i], all[i / fabric_.nics / fabric_.nodes_per_leaf], fabric_.between, devices_per_nic());
    const uint32_t devices_below = fabric_.nodes_per_leaf * fabric_.devices_per_node;
    for (uint32_t g = 0; g < groups; ++g)
      for (uint32_t a = 0; a < routers; ++a)
        for (uint32_t b = a + 1; b < routers; ++b)
          graph_.connect(all[g * routers + a], all[g * routers + b], network_.local,
                         divide_up(devices_below, routers - 1));
    // Port k of a group leads to the group 1 + k further on (then round again); there it is the port that leads back.
    for (uint32_t g = 0; g < groups; ++g)
      for (uint32_t k = 0; k < routers * network_.global_links; ++k) {
        const uint32_t offset = 1 + k % others, target = (g + offset) % groups;
        const uint32_t back = k / others * others + (groups - offset - 1);
        if (g < target)
          graph_.connect(all[g * routers + k / network_.global_links],
                         all[target * routers + back / network_.global_links], network_.global,
                         divide_up(devices_below, network_.global_links));
      }
    for (const uint32_t router : all) set_stride(router, 1);
  }

  void set_stride(uint32_t vertex, uint32_t stride) {
    strides_.resize(graph_.graph().vertices.size(), 0);
    strides_[vertex] = stride;
  }

  NextLinkRule rule(const ClusterGraph& graph) {
    // Inside a node the first kind of wire goes before others (a change of rail happens by NVLink at the sender).
    std::vector<std::string> kinds;
    std::vector<uint8_t> kind_of;
    for (const Link& link : graph.links) {
      size_t k = 0;
      while (k < kinds.size() && kinds[k] != link.kind) ++k;
      if (k == kinds.size()) kinds.push_back(link.kind);
      kind_of.push_back(static_cast<uint8_t>(k));
    }
    strides_.resize(graph.vertices.size(), 0);
    const uint32_t devices_per_key = by_rail() ? fabric_.devices_per_node : devices_per_nic();
    return [strides = std::move(strides_), kind_of = std::move(kind_of), devices_per_key](
               uint32_t vertex, uint32_t device, std::span<const uint32_t> links) -> size_t {
      if (strides[vertex] > 0) return device / devices_per_key / strides[vertex] % links.size();
      size_t alike = 1;
      while (alike < links.size() && kind_of[links[alike]] == kind_of[links[0]]) ++alike;
      return device % alike;
    };
  }

  const Fabric& fabric_;
  const Network& network_;
  GraphBuilder graph_;
  std::vector<uint32_t> nics_;
  std::vector<uint32_t> strides_;  ///< by vertex; 0 inside nodes
};

}  // namespace

ShapedGraph network_graph(const Fabric& fabric, const NodeWires& wires, const Network& network) {
  return NetworkGraph(fabric, wires, network).build();
}

GraphSize network_size(const Fabric& fabric, const Network& network) {
  const uint64_t groups = divide_up(fabric.nodes, fabric.nodes_per_leaf), spines = network.spines;
  const uint64_t nics = uint64_t{fabric.nodes} * fabric.nics;
  if (network.kind == Network::Kind::dragonfly) {
    const uint64_t routers = uint64_t{network.groups} * network.routers;
    return {routers, 2 * nics + routers * network.routers + 2 * routers * network.global_links};
  }
  const uint64_t leaves = network.kind == Network::Kind::rail ? groups * fabric.nics : groups;
  const uint64_t pods = network.cores > 0 ? (leaves + network.leaves_per_pod - 1) / network.leaves_per_pod : 1;
  return {leaves + pods * spines + spines * network.cores,
          2 * (nics + leaves * spines + pods * spines * network.cores)};
}

}  // namespace pgram
