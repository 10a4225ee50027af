#include "core/cluster/shortest_routes.h"

#include <algorithm>
#include <boost/graph/compressed_sparse_row_graph.hpp>
#include <boost/graph/dijkstra_shortest_paths.hpp>
#include <boost/property_map/function_property_map.hpp>
#include <limits>

namespace pgram {

namespace {

/// Whole picoseconds, so that equal means equal.
struct Length {
  Picoseconds latency = 0;
  uint32_t links = 0;
  double width = std::numeric_limits<double>::infinity();
  bool operator==(const Length&) const = default;
};
constexpr Length kUnreachable{std::numeric_limits<Picoseconds>::max() / 4, 0, 0};

bool is_reachable(const Length& length) {
  return length.latency < kUnreachable.latency;
}

struct Shorter {
  bool operator()(const Length& a, const Length& b) const {
    if (a.latency != b.latency) return a.latency < b.latency;
    return a.links != b.links ? a.links < b.links : a.width > b.width;
  }
};
struct Append {
  Length operator()(const Length& a, const Length& b) const {
    if (!is_reachable(a) || !is_reachable(b)) return kUnreachable;
    return {a.latency + b.latency, a.links + b.links, std::min(a.width, b.width)};
  }
};

struct LinkNumber {
  uint32_t link = 0;
};
/// Links turned around, so that one search from a device finds all routes to it.
using Reversed = boost::compressed_sparse_row_graph<boost::directedS, boost::no_property, LinkNumber>;

}  // namespace

struct ShortestRoutes::Graph {
  Reversed reversed;
  std::vector<Length> lengths;       ///< by link
  std::vector<bool> at_nic;          ///< by link
  std::vector<uint32_t> first, out;  ///< links that leave vertex v: out[first[v]] .. out[first[v + 1] - 1], ascending

  std::vector<Length> search(uint32_t to, const std::vector<bool>& closed) const {
    std::vector<Length> found(boost::num_vertices(reversed));
    const auto length = [&](const Reversed::edge_descriptor& edge) {
      const uint32_t link = reversed[edge].link;
      return closed[link] ? kUnreachable : lengths[link];
    };
    boost::dijkstra_shortest_paths(
        reversed, to,
        boost::weight_map(boost::make_function_property_map<Reversed::edge_descriptor, Length>(length))
            .distance_map(boost::make_iterator_property_map(found.begin(), boost::get(boost::vertex_index, reversed)))
            .distance_compare(Shorter())
            .distance_combine(Append())
            .distance_inf(kUnreachable)
            .distance_zero(Length{}));
    return found;
  }
};

ShortestRoutes::ShortestRoutes(const ClusterGraph& cluster) : cluster_(cluster) {
  auto graph = std::make_unique<Graph>();
  const size_t vertices = cluster.vertices.size();
  std::vector<std::pair<size_t, size_t>> edges;
  std::vector<LinkNumber> numbers;
  graph->first.assign(vertices + 1, 0);
  for (const Link& link : cluster.links) {
    edges.push_back({link.to, link.from});
    numbers.push_back({static_cast<uint32_t>(numbers.size())});
    graph->lengths.push_back({to_picoseconds(link.latency), 1, link.bytes_per_second / link.shared_by});
    graph->at_nic.push_back(cluster.vertices[link.from].kind == VertexKind::nic ||
                            cluster.vertices[link.to].kind == VertexKind::nic);
    ++graph->first[link.from + 1];
  }
  for (size_t v = 0; v < vertices; ++v) graph->first[v + 1] += graph->first[v];
  graph->out.resize(cluster.links.size());
  std::vector<uint32_t> place(graph->first.begin(), graph->first.end());
  for (uint32_t i = 0; i < cluster.links.size(); ++i) graph->out[place[cluster.links[i].from]++] = i;
  graph->reversed =
      Reversed(boost::edges_are_unsorted_multi_pass, edges.begin(), edges.end(), numbers.begin(), vertices);
  graph_ = std::move(graph);
}

ShortestRoutes::~ShortestRoutes() = default;

std::vector<uint32_t> ShortestRoutes::next_links(uint32_t device, const NextLinkRule& rule,
                                                 std::span<const uint32_t> down) const {
  const Graph& graph = *graph_;
  std::vector<bool> closed(cluster_.links.size(), false);
  for (const uint32_t link : down) closed[link] = true;
  const std::vector<Length> across = graph.search(device, closed);
  std::vector<bool> closed_inside = closed;
  for (size_t i = 0; i < closed.size(); ++i) closed_inside[i] = closed[i] || graph.at_nic[i];
  const bool has_nics = closed_inside != closed;
  const std::vector<Length> inside = has_nics ? graph.search(device, closed_inside) : std::vector<Length>();

  std::vector<uint32_t> next(cluster_.vertices.size(), kNoLink), choices;
  for (uint32_t v = 0; v < next.size(); ++v) {
    if (v == device || !is_reachable(across[v])) continue;
    const bool stays = has_nics && is_reachable(inside[v]);
    const std::vector<Length>& lengths = stays ? inside : across;
    const std::vector<bool>& shut = stays ? closed_inside : closed;
    choices.clear();
    for (uint32_t i = graph.first[v]; i < graph.first[v + 1]; ++i) {
      const uint32_t link = graph.out[i];
      if (!shut[link] && Append()(graph.lengths[link], lengths[cluster_.links[link].to]) == lengths[v])
        choices.push_back(link);
    }
    next[v] = choices.size() == 1 ? choices[0] : choices[rule(v, device, choices)];
  }
  return next;
}

bool follow(const ClusterGraph& graph, const std::vector<uint32_t>& next, uint32_t from, uint32_t to,
            std::vector<uint32_t>& links) {
  links.clear();
  for (uint32_t v = from; v != to; v = graph.links[links.back()].to) {
    if (next[v] == ShortestRoutes::kNoLink) return links.clear(), false;
    links.push_back(next[v]);
  }
  return true;
}

Path path_along(const ClusterGraph& graph, std::span<const uint32_t> links) {
  Length sum;
  for (const uint32_t i : links) {
    const Link& link = graph.links[i];
    sum = Append()(sum, {to_picoseconds(link.latency), 1, link.bytes_per_second / link.shared_by});
  }
  const bool crosses = !links.empty() && graph.vertices[graph.links[links.front()].from].node !=
                                             graph.vertices[graph.links[links.back()].to].node;
  return {sum.width, to_seconds(sum.latency), crosses};
}

}  // namespace pgram
