#include "core/cluster/shortest_routes.h"

#include <algorithm>
#include <boost/graph/compressed_sparse_row_graph.hpp>
#include <boost/graph/dijkstra_shortest_paths_no_color_map.hpp>
#include <boost/property_map/function_property_map.hpp>
#include <boost/range/iterator_range.hpp>
#include <iterator>
#include <limits>

namespace pgram {

namespace {

/// Picoseconds times 2^32 plus the number of links: one number to compare and add, and equal means equal.
__extension__ using Length = unsigned __int128;
/// More than any route; a closed link is as long.
constexpr Length kUnreachable = Length{1} << 126;

Length length_of(const Link& link) {
  return (Length{static_cast<uint64_t>(to_picoseconds(link.latency))} << 32) + 1;
}

double width_of(const Link& link) {
  return link.bytes_per_second / link.shared_by;
}

struct LinkNumber {
  uint32_t link = 0;
};
using Arcs = boost::compressed_sparse_row_graph<boost::directedS, boost::no_property, LinkNumber, boost::no_property,
                                                uint32_t, uint32_t>;

/// Some of the cluster's links, and the same turned around, so that one search from a device finds all routes to it.
struct Part {
  Arcs forward, reversed;
};

Part make_part(const ClusterGraph& cluster, const std::vector<bool>& without) {
  std::vector<std::pair<uint32_t, uint32_t>> forward, reversed;
  std::vector<LinkNumber> numbers;
  for (uint32_t i = 0; i < cluster.links.size(); ++i) {
    if (without[i]) continue;
    const Link& link = cluster.links[i];
    forward.push_back({link.from, link.to});
    reversed.push_back({link.to, link.from});
    numbers.push_back({i});
  }
  const auto arcs = [&](const auto& ends) {
    return Arcs(boost::edges_are_unsorted_multi_pass, ends.begin(), ends.end(), numbers.begin(),
                static_cast<uint32_t>(cluster.vertices.size()));
  };
  return {arcs(forward), arcs(reversed)};
}

struct Found {
  std::vector<Length> lengths;  ///< of the shortest route from every vertex
  std::vector<uint32_t> order;  ///< vertices that have one, nearest first
};

Found search(const Arcs& reversed, const std::vector<Length>& lengths, uint32_t to) {
  Found found;
  found.lengths.resize(boost::num_vertices(reversed));
  found.order.reserve(found.lengths.size());
  const auto index = boost::get(boost::vertex_index, reversed);
  const auto length = [&](const Arcs::edge_descriptor& arc) { return lengths[reversed[arc].link]; };
  const auto note = boost::write_property(index, std::back_inserter(found.order), boost::on_examine_vertex());
  boost::dijkstra_shortest_paths_no_color_map(
      reversed, to,
      boost::weight_map(boost::make_function_property_map<Arcs::edge_descriptor, Length>(length))
          .distance_map(boost::make_iterator_property_map(found.lengths.begin(), index))
          .distance_inf(kUnreachable)
          .visitor(boost::make_dijkstra_visitor(note)));
  return found;
}

}  // namespace

struct ShortestRoutes::Graph {
  std::vector<Length> lengths;  ///< by link
  std::vector<double> widths;   ///< by link
  Part all, inside;             ///< inside: without the links at NICs
  bool has_nics = false;
};

ShortestRoutes::ShortestRoutes(const ClusterGraph& cluster) {
  auto graph = std::make_unique<Graph>();
  std::vector<bool> at_nic;
  for (const Link& link : cluster.links) {
    graph->lengths.push_back(length_of(link));
    graph->widths.push_back(width_of(link));
    at_nic.push_back(cluster.vertices[link.from].kind == VertexKind::nic ||
                     cluster.vertices[link.to].kind == VertexKind::nic);
    ends_.push_back(link.to);
  }
  graph->all = make_part(cluster, std::vector<bool>(at_nic.size(), false));
  graph->has_nics = std::find(at_nic.begin(), at_nic.end(), true) != at_nic.end();
  if (graph->has_nics) graph->inside = make_part(cluster, at_nic);
  graph_ = std::move(graph);
}

ShortestRoutes::~ShortestRoutes() = default;

std::vector<uint32_t> ShortestRoutes::next_links(uint32_t device, const NextLinkRule& rule,
                                                 std::span<const uint32_t> down) const {
  const Graph& graph = *graph_;
  std::vector<Length> lengths = graph.lengths;
  for (const uint32_t link : down) lengths[link] = kUnreachable;

  std::vector<uint32_t> next(boost::num_vertices(graph.all.forward), kNoLink), choices;
  std::vector<double> widths(next.size());
  // A vertex that has a next link keeps it.
  const auto add = [&](const Part& part) {
    const Found found = search(part.reversed, lengths, device);
    widths[device] = std::numeric_limits<double>::infinity();
    for (const uint32_t v : found.order) {
      if (v == device) continue;
      // The links on its shortest routes end in nearer vertices, whose widths are known.
      widths[v] = 0;
      choices.clear();
      for (const auto& arc : boost::make_iterator_range(boost::out_edges(v, part.forward))) {
        const uint32_t link = part.forward[arc].link, end = boost::target(arc, part.forward);
        if (found.lengths[end] + lengths[link] != found.lengths[v]) continue;
        const double width = std::min(widths[end], graph.widths[link]);
        if (width > widths[v]) choices.clear(), widths[v] = width;
        if (width == widths[v]) choices.push_back(link);
      }
      if (next[v] == kNoLink) next[v] = choices.size() == 1 ? choices[0] : choices[rule(v, device, choices)];
    }
  };
  if (graph.has_nics) add(graph.inside);
  add(graph.all);
  return next;
}

bool ShortestRoutes::follow(const std::vector<uint32_t>& next, uint32_t from, uint32_t to,
                            std::vector<uint32_t>& links) const {
  links.clear();
  for (uint32_t v = from; v != to; v = ends_[links.back()]) {
    if (next[v] == kNoLink) return links.clear(), false;
    links.push_back(next[v]);
  }
  return true;
}

Path path_along(const ClusterGraph& graph, std::span<const uint32_t> links) {
  Picoseconds latency = 0;
  double width = std::numeric_limits<double>::infinity(), alone = width;
  for (const uint32_t i : links) {
    latency += to_picoseconds(graph.links[i].latency);
    width = std::min(width, width_of(graph.links[i]));
    alone = std::min(alone, graph.links[i].bytes_per_second);
  }
  const bool crosses = !links.empty() && graph.vertices[graph.links[links.front()].from].node !=
                                             graph.vertices[graph.links[links.back()].to].node;
  return {width, to_seconds(latency), crosses, alone};
}

}  // namespace pgram
