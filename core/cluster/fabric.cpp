#include "core/cluster/fabric.h"

#include <algorithm>
#include <cassert>
#include <limits>
#include <numeric>

#include "core/cluster/shortest_routes.h"

namespace pgram {

namespace {

Link link_of(const Wire& wire, uint32_t shared_by = 1) {
  Link link;
  link.shared_by = shared_by;
  link.bytes_per_second = wire.bytes_per_second;
  link.latency = wire.latency;
  link.kind = wire.kind;
  return link;
}

double share(const Link& link) {
  return link.bytes_per_second / link.shared_by;
}

/// Whole picoseconds, so that equal means equal.
bool is_better(const Link& a, const Link& b) {
  const Picoseconds latency_a = to_picoseconds(a.latency), latency_b = to_picoseconds(b.latency);
  return latency_a != latency_b ? latency_a < latency_b : share(a) > share(b);
}

}  // namespace

inline FabricTopology::Pair FabricTopology::pair(uint32_t from, uint32_t to) const {
  Pair p;
  p.node_from = by_node_(from), p.node_to = by_node_(to);
  p.from = from - p.node_from * fabric_.devices_per_node, p.to = to - p.node_to * fabric_.devices_per_node;
  p.scope = p.node_from == p.node_to ? kInside : by_leaf_(p.node_from) == by_leaf_(p.node_to) ? kLeaf : kSpine;
  p.relation = p.scope != kInside && by_nic_(p.from) == by_nic_(p.to) ? kSameRail
               : by_pcie_switch_(p.from) == by_pcie_switch_(p.to)     ? kSameSwitch
                                                                      : kOther;
  return p;
}

FabricTopology::FabricTopology(const Fabric& fabric)
    : fabric_(fabric),
      devices_per_nic_(fabric.devices_per_node / fabric.nics),
      switches_per_nic_(std::max(1u, devices_per_nic_ / fabric.devices_per_pcie_switch)),
      by_node_(fabric.devices_per_node),
      by_leaf_(fabric.nodes_per_leaf),
      by_nic_(devices_per_nic_),
      by_pcie_switch_(fabric.devices_per_pcie_switch) {
  const bool has_network = fabric.nodes > 1, has_spine = fabric.nodes > fabric.nodes_per_leaf;
  const uint32_t groups = (fabric.nodes + fabric.nodes_per_leaf - 1) / fabric.nodes_per_leaf;
  node_links_ = fabric.devices_per_node > 1 ? 2 * fabric.devices_per_node : 0;
  network_links_ = has_network ? 2 * fabric.devices_per_node + fabric.nics * 2 * (switches_per_nic_ + 1) : 0;
  first_network_link_ = fabric.nodes * node_links_;
  first_spine_link_ = first_network_link_ + fabric.nodes * network_links_;
  num_links_ = first_spine_link_ + (has_spine ? 2 * groups * fabric.nics : 0);

  Wire to_nic = fabric.pcie, uplinks = fabric.between;
  to_nic.latency /= 4;
  // One link stands for all cables from a leaf upwards.
  uplinks.bytes_per_second *= fabric.nodes_per_leaf / fabric.oversubscription;
  uplinks.latency = fabric.spine_latency;
  inside_ = link_of(fabric.inside);
  pcie_ = link_of(fabric.pcie);
  nic_ = link_of(to_nic, std::min(fabric.devices_per_pcie_switch, devices_per_nic_));
  leaf_ = link_of(fabric.between, devices_per_nic_);
  spine_ = link_of(uplinks, fabric.nodes_per_leaf * devices_per_nic_);

  switch_mates_by_pcie_ = has_network && is_better(pcie_, inside_);
  // Both ways end on the same NICs, so only what is wider than those counts as wider.
  const double narrowest = std::min({share(pcie_), share(nic_), share(leaf_)});
  Link by_spine = spine_, by_inside = inside_;
  by_spine.bytes_per_second = std::min(share(spine_), narrowest), by_spine.shared_by = 1;
  by_inside.bytes_per_second = std::min(share(inside_), narrowest);
  rails_by_spine_ = has_spine && is_better(by_spine, by_inside);

  // Node 0, one beside it on the same leaf, one on the next leaf: every kind of pair.
  std::vector<uint32_t> nodes{0}, links;
  if (has_network && fabric.nodes_per_leaf > 1) nodes.push_back(1);
  if (has_spine) nodes.push_back(fabric.nodes_per_leaf);
  for (const uint32_t node : nodes)
    for (uint32_t d = 0; d < fabric.devices_per_node; ++d) {
      const uint32_t to = node * fabric.devices_per_node + d;
      if (to == 0) continue;
      route(0, to, links);
      double width = std::numeric_limits<double>::infinity(), alone = width;
      Picoseconds latency = 0;
      for (const uint32_t i : links) {
        width = std::min(width, share(kind_of(i)));
        alone = std::min(alone, kind_of(i).bytes_per_second);
        latency += to_picoseconds(kind_of(i).latency);
      }
      const Pair kind = pair(0, to);
      paths_[kind.scope][kind.relation] = {width, to_seconds(latency), kind.scope != kInside, alone};
    }
}

const Link& FabricTopology::kind_of(uint32_t link) const {
  assert(link < num_links_);
  if (link < first_network_link_) return inside_;
  if (link >= first_spine_link_) return spine_;
  const uint32_t in_node = (link - first_network_link_) % network_links_;
  if (in_node < 2 * fabric_.devices_per_node) return pcie_;
  const uint32_t per_nic = 2 * (switches_per_nic_ + 1);
  return (in_node - 2 * fabric_.devices_per_node) % per_nic < 2 * switches_per_nic_ ? nic_ : leaf_;
}

Topology::LinkSpeed FabricTopology::link(uint32_t number) const {
  const Link& link = kind_of(number);
  return {link.bytes_per_second, link.latency};
}

/// Vertices in the order in which the graph is made: devices, then the inside switch of each node, then of each node
/// its PCIe switches and NICs, with a group's leaves behind the first NIC of its first node, and the spine at the end.
Topology::LinkEnds FabricTopology::ends(uint32_t link) const {
  const uint32_t devices = fabric_.devices_per_node, all = fabric_.nodes * devices;
  const auto directed = [&](uint32_t a, uint32_t b) { return link % 2 ? LinkEnds{b, a} : LinkEnds{a, b}; };
  if (link < first_network_link_) {
    const uint32_t node = link / node_links_;
    return directed(node * devices + link % node_links_ / 2, all + node);
  }
  const uint32_t first = all + (devices > 1 ? fabric_.nodes : 0), per_leaf = fabric_.nodes_per_leaf;
  const uint32_t switches = devices / fabric_.devices_per_pcie_switch,
                 groups = (fabric_.nodes + per_leaf - 1) / per_leaf;
  const auto first_of = [&](uint32_t node) {
    const uint32_t leaf_groups_before = (node + per_leaf - 1) / per_leaf;
    return first + node * (switches + fabric_.nics) + leaf_groups_before * fabric_.nics;
  };
  const auto leaf = [&](uint32_t group, uint32_t rail) { return first_of(group * per_leaf) + switches + 1 + rail; };
  if (link >= first_spine_link_) {
    const uint32_t number = (link - first_spine_link_) / 2;
    return directed(leaf(number / fabric_.nics, number % fabric_.nics),
                    first + fabric_.nodes * (switches + fabric_.nics) + groups * fabric_.nics);
  }
  const uint32_t node = (link - first_network_link_) / network_links_, own = first_of(node);
  uint32_t in_node = (link - first_network_link_) % network_links_ / 2;
  if (in_node < devices) return directed(node * devices + in_node, own + in_node / fabric_.devices_per_pcie_switch);
  in_node -= devices;
  const uint32_t rail = in_node / (switches_per_nic_ + 1), of_nic = in_node % (switches_per_nic_ + 1);
  const uint32_t nic = own + switches + rail + (node % per_leaf == 0 && rail > 0 ? fabric_.nics : 0);
  if (of_nic == switches_per_nic_) return directed(nic, leaf(node / per_leaf, rail));
  return directed(own + rail * devices_per_nic_ / fabric_.devices_per_pcie_switch + of_nic, nic);
}

void FabricTopology::route(uint32_t from, uint32_t to, std::vector<uint32_t>& links) const {
  if (from == to) {
    links.clear();
    return;
  }
  const Pair p = pair(from, to);
  if (p.scope == kInside) {
    const bool by_pcie = p.relation == kSameSwitch && switch_mates_by_pcie_;
    links.resize(2);
    links[0] = by_pcie ? pcie_link(p.node_from, p.from, 0) : inside_link(p.node_from, p.from, 0);
    links[1] = by_pcie ? pcie_link(p.node_to, p.to, 1) : inside_link(p.node_to, p.to, 1);
    return;
  }
  const uint32_t rail_to = by_nic_(p.to);
  const bool by_spine = p.scope == kSpine || (p.relation == kOther && rails_by_spine_);
  const bool changes_rail = !by_spine && p.relation == kOther;
  const uint32_t rail_from = by_spine ? by_nic_(p.from) : rail_to;
  const uint32_t sender = changes_rail ? p.to : p.from;  // the device whose PCIe switch the data leave by
  links.resize(by_spine || changes_rail ? 8 : 6);
  uint32_t* next = links.data();
  if (changes_rail) {
    *next++ = inside_link(p.node_from, p.from, 0);
    *next++ = inside_link(p.node_from, p.to, 1);
  }
  *next++ = pcie_link(p.node_from, sender, 0);
  *next++ = nic_link(p.node_from, sender, rail_from, 0);
  *next++ = leaf_link(p.node_from, rail_from, 0);
  if (by_spine) {
    *next++ = spine_link(p.node_from, rail_from, 0);
    *next++ = spine_link(p.node_to, rail_to, 1);
  }
  *next++ = leaf_link(p.node_to, rail_to, 1);
  *next++ = nic_link(p.node_to, p.to, rail_to, 1);
  *next++ = pcie_link(p.node_to, p.to, 1);
}

bool FabricTopology::route_around(uint32_t from, uint32_t to, std::span<const uint32_t> down,
                                  std::vector<uint32_t>& links) const {
  route(from, to, links);
  const auto is_down = [&](uint32_t link) { return std::binary_search(down.begin(), down.end(), link); };
  if (std::none_of(links.begin(), links.end(), is_down)) return true;

  // The two nodes and the switches between them are a fabric of their own, whose links have other numbers.
  const uint32_t node_from = from / fabric_.devices_per_node, node_to = to / fabric_.devices_per_node;
  std::vector<uint32_t> nodes{std::min(node_from, node_to)};
  if (node_from != node_to) nodes.push_back(std::max(node_from, node_to));
  const ClusterGraph graph = fabric_graph(fabric_, nodes);
  const uint32_t count = static_cast<uint32_t>(nodes.size());
  const auto number_of = [&](uint32_t i) {
    if (i < count * node_links_) return nodes[i / node_links_] * node_links_ + i % node_links_;
    i -= count * node_links_;
    if (i < count * network_links_)
      return first_network_link_ + nodes[i / network_links_] * network_links_ + i % network_links_;
    i -= count * network_links_;
    const uint32_t leaf = i / 2;
    return spine_link(leaf < fabric_.nics ? nodes.front() : nodes.back(), leaf % fabric_.nics, i % 2);
  };
  std::vector<uint32_t> down_here;
  for (uint32_t i = 0; i < graph.links.size(); ++i)
    if (is_down(number_of(i))) down_here.push_back(i);
  const auto here = [&](uint32_t device) {
    const bool second = device / fabric_.devices_per_node != nodes.front();
    return device % fabric_.devices_per_node + (second ? fabric_.devices_per_node : 0);
  };
  const NextLinkRule by_index = [](uint32_t, uint32_t device, std::span<const uint32_t> choices) {
    return device % choices.size();
  };
  const ShortestRoutes routes(graph);
  if (!routes.follow(routes.next_links(here(to), by_index, down_here), here(from), here(to), links)) return false;
  for (uint32_t& link : links) link = number_of(link);
  return true;
}

Path FabricTopology::path(uint32_t from, uint32_t to) const {
  const Pair p = pair(from, to);
  return paths_[p.scope][p.relation];
}

const ClusterGraph& FabricTopology::graph() const {
  std::call_once(graph_made_, [this] {
    std::vector<uint32_t> nodes(fabric_.nodes);
    std::iota(nodes.begin(), nodes.end(), 0u);
    graph_ = fabric_graph(fabric_, nodes);
  });
  return graph_;
}

void build_topology(const Fabric& fabric, Cluster& cluster) {
  assert(fabric.devices_per_node % fabric.nics == 0);
  cluster.devices = fabric.devices_per_node * fabric.nodes;
  cluster.devices_per_node = fabric.devices_per_node;
  cluster.topology = std::make_shared<const FabricTopology>(fabric);
}

}  // namespace pgram
