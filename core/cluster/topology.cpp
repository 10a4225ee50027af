#include <algorithm>
#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/dijkstra_shortest_paths.hpp>
#include <cassert>
#include <limits>
#include <numeric>

#include "core/cluster/fabric.h"

namespace pgram {

namespace {

/// Makes the graph of some of the fabric's nodes: of all of them, or of the few that stand for every kind of pair.
class GraphBuilder {
 public:
  GraphBuilder(const Fabric& fabric, const std::vector<uint32_t>& nodes) : fabric_(fabric), nodes_(nodes) {}

  ClusterGraph build() {
    reserve();
    for (const uint32_t node : nodes_)
      for (uint32_t d = 0; d < fabric_.devices_per_node; ++d)
        add_vertex(VertexKind::device, "n" + std::to_string(node) + ".d" + std::to_string(d), node);
    for (size_t i = 0; i < nodes_.size(); ++i) add_inside(i);
    if (fabric_.nodes > 1) add_network();
    return std::move(graph_);
  }

 private:
  uint32_t device(size_t index_of_node, uint32_t d) const {
    return static_cast<uint32_t>(index_of_node * fabric_.devices_per_node + d);
  }
  uint32_t devices_per_nic() const { return fabric_.devices_per_node / fabric_.nics; }

  void reserve() {
    const size_t per_node = fabric_.devices_per_node;
    graph_.vertices.reserve(nodes_.size() * (per_node * 3 + 1) + per_node * 4 + 1);
    graph_.links.reserve(nodes_.size() * per_node * 8 + per_node * 4);
  }

  uint32_t add_vertex(VertexKind kind, std::string name, uint32_t node) {
    graph_.vertices.push_back({kind, std::move(name), node});
    return static_cast<uint32_t>(graph_.vertices.size() - 1);
  }

  void connect(uint32_t a, uint32_t b, const Wire& wire, uint32_t shared_by = 1) {
    Link link;
    link.from = a, link.to = b;
    link.shared_by = shared_by;
    link.bytes_per_second = wire.bytes_per_second;
    link.latency = wire.latency;
    link.kind = wire.kind;
    graph_.links.push_back(link);
    std::swap(link.from, link.to);
    graph_.links.push_back(std::move(link));
  }

  void add_inside(size_t i) {
    if (fabric_.devices_per_node == 1) return;
    const uint32_t hub =
        add_vertex(VertexKind::switch_, "n" + std::to_string(nodes_[i]) + "." + fabric_.inside.kind, nodes_[i]);
    for (uint32_t d = 0; d < fabric_.devices_per_node; ++d) connect(device(i, d), hub, fabric_.inside);
  }

  void add_network() {
    for (size_t i = 0; i < nodes_.size(); ++i) add_nics(i);
    if (fabric_.nodes <= fabric_.nodes_per_leaf) return;
    const uint32_t spine = add_vertex(VertexKind::switch_, "spine", ~0u);
    // One link stands for all cables from a leaf upwards.
    Wire uplinks = fabric_.between;
    uplinks.bytes_per_second *= fabric_.nodes_per_leaf / fabric_.oversubscription;
    uplinks.latency = fabric_.spine_latency;
    for (const uint32_t leaf : leaves_) connect(leaf, spine, uplinks, fabric_.nodes_per_leaf * devices_per_nic());
  }

  void add_nics(size_t i) {
    const uint32_t node = nodes_[i];
    const std::string prefix = "n" + std::to_string(node);
    const uint32_t first_switch = static_cast<uint32_t>(graph_.vertices.size());
    for (uint32_t s = 0; s < fabric_.devices_per_node / fabric_.devices_per_pcie_switch; ++s)
      add_vertex(VertexKind::switch_, prefix + ".pcie" + std::to_string(s), node);
    const auto switch_of = [&](uint32_t d) { return first_switch + d / fabric_.devices_per_pcie_switch; };
    for (uint32_t d = 0; d < fabric_.devices_per_node; ++d) connect(device(i, d), switch_of(d), fabric_.pcie);

    Wire to_nic = fabric_.pcie;
    to_nic.latency /= 4;
    for (uint32_t r = 0; r < fabric_.nics; ++r) {
      const uint32_t nic = add_vertex(VertexKind::nic, prefix + ".nic" + std::to_string(r), node);
      const uint32_t first = r * devices_per_nic(), last = first + devices_per_nic() - 1;
      for (uint32_t s = switch_of(first); s <= switch_of(last); ++s)
        connect(s, nic, to_nic, std::min(fabric_.devices_per_pcie_switch, devices_per_nic()));
      connect(nic, leaf_of(node / fabric_.nodes_per_leaf, r), fabric_.between, devices_per_nic());
    }
  }

  /// Leaves are made as their first node comes by; nodes come in ascending order.
  uint32_t leaf_of(uint32_t group, uint32_t rail) {
    const uint64_t wanted = uint64_t{group} * fabric_.nics + rail;
    if (leaf_groups_.empty() || leaf_groups_.back() < group) {
      leaf_groups_.push_back(group);
      for (uint32_t r = 0; r < fabric_.nics; ++r)
        leaves_.push_back(add_vertex(VertexKind::switch_, "leaf" + std::to_string(wanted - rail + r), ~0u));
    }
    return leaves_[leaves_.size() - fabric_.nics + rail];
  }

  const Fabric& fabric_;
  const std::vector<uint32_t>& nodes_;
  ClusterGraph graph_;
  std::vector<uint32_t> leaf_groups_, leaves_;
};

/// Length of a route: latency first; of two equally long ones the wider is shorter. Whole picoseconds, so that equal
/// means equal.
struct Length {
  Picoseconds latency = 0;
  double width = std::numeric_limits<double>::infinity();
};
struct Shorter {
  bool operator()(const Length& a, const Length& b) const {
    return a.latency != b.latency ? a.latency < b.latency : a.width > b.width;
  }
};
struct Append {
  Length operator()(const Length& a, const Length& b) const {
    return {a.latency + b.latency, std::min(a.width, b.width)};
  }
};
constexpr Picoseconds kUnreachable = std::numeric_limits<Picoseconds>::max() / 4;

using RouteGraph = boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS, boost::no_property, Length>;

RouteGraph route_graph(const ClusterGraph& graph, bool with_nics) {
  RouteGraph routes(graph.vertices.size());
  for (const Link& link : graph.links) {
    const bool at_nic =
        graph.vertices[link.from].kind == VertexKind::nic || graph.vertices[link.to].kind == VertexKind::nic;
    if (at_nic && !with_nics) continue;
    boost::add_edge(link.from, link.to, Length{to_picoseconds(link.latency), link.bytes_per_second / link.shared_by},
                    routes);
  }
  return routes;
}

std::vector<Length> shortest(const RouteGraph& routes, uint32_t from) {
  std::vector<Length> lengths(boost::num_vertices(routes));
  boost::dijkstra_shortest_paths(
      routes, from,
      boost::weight_map(boost::get(boost::edge_bundle, routes))
          .distance_map(boost::make_iterator_property_map(lengths.begin(), boost::get(boost::vertex_index, routes)))
          .distance_compare(Shorter())
          .distance_combine(Append())
          .distance_inf(Length{kUnreachable, 0})
          .distance_zero(Length{}));
  return lengths;
}

Path to_path(const Length& length, bool crosses_nodes) {
  return {length.width, to_seconds(length.latency), crosses_nodes};
}

}  // namespace

Topology::Topology(const Fabric& fabric)
    : fabric_(fabric),
      devices_per_node_(fabric.devices_per_node),
      devices_per_nic_(fabric.devices_per_node / fabric.nics),
      devices_per_switch_(fabric.devices_per_pcie_switch),
      nodes_per_leaf_(fabric.nodes_per_leaf) {
  // Node 0, one beside it on the same leaf, one on the next leaf.
  std::vector<uint32_t> nodes{0};
  if (fabric.nodes > 1 && nodes_per_leaf_ > 1) nodes.push_back(1);
  if (fabric.nodes > nodes_per_leaf_) nodes.push_back(nodes_per_leaf_);

  const ClusterGraph graph = GraphBuilder(fabric, nodes).build();
  const std::vector<Length> inside = shortest(route_graph(graph, false), 0);
  const std::vector<Length> across = shortest(route_graph(graph, true), 0);
  for (size_t i = 0; i < nodes.size(); ++i) {
    const Scope scope = i == 0 ? kInside : nodes[i] < nodes_per_leaf_ ? kLeaf : kSpine;
    // Descending: the least device of each relation stays.
    for (uint32_t d = devices_per_node_; d-- > 0;) {
      const size_t target = i * devices_per_node_ + d;
      if (target == 0) continue;
      paths_[scope][relation(scope, 0, d)] =
          scope == kInside ? to_path(inside[target], false) : to_path(across[target], true);
    }
  }
}

Topology::Relation Topology::relation(Scope scope, uint32_t from, uint32_t to) const {
  if (scope != kInside && from / devices_per_nic_ == to / devices_per_nic_) return kSameRail;
  return from / devices_per_switch_ == to / devices_per_switch_ ? kSameSwitch : kOther;
}

Path Topology::path(uint32_t from, uint32_t to) const {
  const uint32_t node_from = from / devices_per_node_, node_to = to / devices_per_node_;
  const Scope scope = node_from == node_to                                       ? kInside
                      : node_from / nodes_per_leaf_ == node_to / nodes_per_leaf_ ? kLeaf
                                                                                 : kSpine;
  return paths_[scope][relation(scope, from % devices_per_node_, to % devices_per_node_)];
}

const ClusterGraph& Topology::graph() const {
  std::call_once(graph_made_, [this] {
    std::vector<uint32_t> nodes(fabric_.nodes);
    std::iota(nodes.begin(), nodes.end(), 0u);
    graph_ = GraphBuilder(fabric_, nodes).build();
  });
  return graph_;
}

void build_topology(const Fabric& fabric, Cluster& cluster) {
  assert(fabric.devices_per_node % fabric.nics == 0);
  cluster.devices = fabric.devices_per_node * fabric.nodes;
  cluster.devices_per_node = fabric.devices_per_node;
  cluster.topology = std::make_shared<const Topology>(fabric);
}

const ClusterGraph& Cluster::graph() const {
  return topology->graph();
}

Path Cluster::path(uint32_t from, uint32_t to) const {
  assert(from < devices && to < devices);
  if (from == to) return {device.memory_bytes_per_second, 0, false};
  return topology->path(from, to);
}

}  // namespace pgram
