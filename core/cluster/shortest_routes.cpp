#include "core/cluster/shortest_routes.h"

#include <algorithm>
#include <limits>
#include <map>

namespace pgram {

namespace {

/// Whole picoseconds, so that equal means equal.
struct Length {
  Picoseconds latency = 0;
  uint32_t links = 0;
  double width = std::numeric_limits<double>::infinity();
};
constexpr Length kUnreachable{std::numeric_limits<Picoseconds>::max() / 4, 0, 0};

bool is_reachable(const Length& length) {
  return length.latency < kUnreachable.latency;
}

Length append(const Length& route, const Length& link) {
  return {route.latency + link.latency, route.links + link.links, std::min(route.width, link.width)};
}

}  // namespace

struct ShortestRoutes::Graph {
  struct Way {
    uint32_t link, end;  ///< the vertex at the other end
  };
  std::vector<Length> lengths;  ///< by link
  std::vector<bool> at_nic;     ///< by link
  bool has_nics = false;
  std::vector<uint32_t> first_out, first_in;  ///< ways of vertex v are out[first_out[v]] .. out[first_out[v + 1] - 1]
  std::vector<Way> out, in;                   ///< ascending by link

  /// The length of the shortest route from every vertex to `to`. Vertices wait in groups of those that are as far by
  /// latency and links: clusters have few such distances, so that nothing needs sorting, and the widest of them is
  /// known before the first is taken, since a shorter route has fewer links or less latency.
  std::vector<Length> search(uint32_t to, const std::vector<bool>& closed) const {
    std::vector<Length> found(first_out.size() - 1, kUnreachable);
    std::map<std::pair<Picoseconds, uint32_t>, std::vector<uint32_t>> waiting;
    found[to] = {};
    waiting[{0, 0}] = {to};
    while (!waiting.empty()) {
      const auto nearest = waiting.extract(waiting.begin());
      for (const uint32_t v : nearest.mapped()) {
        if (std::pair(found[v].latency, found[v].links) != nearest.key()) continue;  // a shorter one came later
        for (uint32_t i = first_in[v]; i < first_in[v + 1]; ++i) {
          if (closed[in[i].link]) continue;
          const Length length = append(found[v], lengths[in[i].link]);
          Length& known = found[in[i].end];
          if (length.latency < known.latency || (length.latency == known.latency && length.links < known.links)) {
            known = length;
            waiting[{length.latency, length.links}].push_back(in[i].end);
          } else if (length.latency == known.latency && length.links == known.links) {
            known.width = std::max(known.width, length.width);
          }
        }
      }
    }
    return found;
  }
};

ShortestRoutes::ShortestRoutes(const ClusterGraph& cluster) {
  auto graph = std::make_unique<Graph>();
  const size_t vertices = cluster.vertices.size(), links = cluster.links.size();
  graph->first_out.assign(vertices + 1, 0);
  graph->first_in.assign(vertices + 1, 0);
  for (const Link& link : cluster.links) {
    graph->lengths.push_back({to_picoseconds(link.latency), 1, link.bytes_per_second / link.shared_by});
    graph->at_nic.push_back(cluster.vertices[link.from].kind == VertexKind::nic ||
                            cluster.vertices[link.to].kind == VertexKind::nic);
    ++graph->first_out[link.from + 1];
    ++graph->first_in[link.to + 1];
    ends_.push_back(link.to);
  }
  for (size_t v = 0; v < vertices; ++v) {
    graph->first_out[v + 1] += graph->first_out[v];
    graph->first_in[v + 1] += graph->first_in[v];
  }
  graph->out.resize(links);
  graph->in.resize(links);
  std::vector<uint32_t> out = graph->first_out, in = graph->first_in;
  for (uint32_t i = 0; i < links; ++i) {
    graph->out[out[cluster.links[i].from]++] = {i, cluster.links[i].to};
    graph->in[in[cluster.links[i].to]++] = {i, cluster.links[i].from};
  }
  graph->has_nics = std::find(graph->at_nic.begin(), graph->at_nic.end(), true) != graph->at_nic.end();
  graph_ = std::move(graph);
}

ShortestRoutes::~ShortestRoutes() = default;

std::vector<uint32_t> ShortestRoutes::next_links(uint32_t device, const NextLinkRule& rule,
                                                 std::span<const uint32_t> down) const {
  const Graph& graph = *graph_;
  std::vector<bool> closed(ends_.size(), false);
  for (const uint32_t link : down) closed[link] = true;
  std::vector<bool> closed_inside = graph.at_nic;
  for (const uint32_t link : down) closed_inside[link] = true;
  const std::vector<Length> across = graph.search(device, closed);
  const std::vector<Length> inside = graph.has_nics ? graph.search(device, closed_inside) : std::vector<Length>();

  std::vector<uint32_t> next(across.size(), kNoLink), choices;
  for (uint32_t v = 0; v < next.size(); ++v) {
    if (v == device || !is_reachable(across[v])) continue;
    const bool stays = graph.has_nics && is_reachable(inside[v]);
    const std::vector<Length>& lengths = stays ? inside : across;
    const std::vector<bool>& shut = stays ? closed_inside : closed;
    choices.clear();
    for (uint32_t i = graph.first_out[v]; i < graph.first_out[v + 1]; ++i) {
      const auto [link, end] = graph.out[i];
      if (shut[link]) continue;
      const Length length = append(lengths[end], graph.lengths[link]);
      if (length.latency == lengths[v].latency && length.links == lengths[v].links && length.width == lengths[v].width)
        choices.push_back(link);
    }
    next[v] = choices.size() == 1 ? choices[0] : choices[rule(v, device, choices)];
  }
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
  Length sum;
  for (const uint32_t i : links) {
    const Link& link = graph.links[i];
    sum = append(sum, {to_picoseconds(link.latency), 1, link.bytes_per_second / link.shared_by});
  }
  const bool crosses = !links.empty() && graph.vertices[graph.links[links.front()].from].node !=
                                             graph.vertices[graph.links[links.back()].to].node;
  return {sum.width, to_seconds(sum.latency), crosses};
}

}  // namespace pgram
