#include "core/cluster/graph_topology.h"

#include <algorithm>
#include <cassert>

namespace pgram {

GraphTopology::GraphTopology(ClusterGraph graph, uint32_t devices, NextLinkRule rule)
    : graph_(std::move(graph)),
      devices_(devices),
      rule_(std::move(rule)),
      routes_(graph_),
      next_(std::make_unique<std::atomic<const Next*>[]>(devices)) {
  assert(uint64_t{devices} * graph_.vertices.size() <= kMaxRouteEntries);
}

GraphTopology::~GraphTopology() {
  for (uint32_t device = 0; device < devices_; ++device) delete next_[device].load();
}

Topology::LinkSpeed GraphTopology::link(uint32_t number) const {
  const Link& link = graph_.links[number];
  return {link.bytes_per_second, link.latency};
}

const GraphTopology::Next& GraphTopology::next_links(uint32_t to) const {
  if (const Next* known = next_[to].load(std::memory_order_acquire)) return *known;
  auto made = std::make_unique<const Next>(routes_.next_links(to, rule_));
  // Two threads may find the same; the first one's stays.
  const Next* expected = nullptr;
  if (next_[to].compare_exchange_strong(expected, made.get(), std::memory_order_acq_rel)) return *made.release();
  return *expected;
}

void GraphTopology::route(uint32_t from, uint32_t to, std::vector<uint32_t>& links) const {
  links.clear();
  if (from != to) routes_.follow(next_links(to), from, to, links);
}

bool GraphTopology::route_around(uint32_t from, uint32_t to, std::span<const uint32_t> down,
                                 std::vector<uint32_t>& links) const {
  route(from, to, links);
  const auto is_down = [&](uint32_t link) { return std::binary_search(down.begin(), down.end(), link); };
  if (std::none_of(links.begin(), links.end(), is_down)) return true;
  return routes_.follow(routes_.next_links(to, rule_, down), from, to, links);
}

Path GraphTopology::path(uint32_t from, uint32_t to) const {
  std::vector<uint32_t> links;
  route(from, to, links);
  return path_along(graph_, links);
}

Unreachable find_unreachable(const ClusterGraph& graph, uint32_t devices) {
  // From device 0 along the links and against them: whoever is in both sets reaches everyone in both sets.
  for (const bool forward : {true, false}) {
    std::vector<std::vector<uint32_t>> next(graph.vertices.size());
    for (const Link& link : graph.links) next[forward ? link.from : link.to].push_back(forward ? link.to : link.from);
    std::vector<bool> seen(graph.vertices.size(), false);
    std::vector<uint32_t> todo{0};
    seen[0] = true;
    while (!todo.empty()) {
      const uint32_t v = todo.back();
      todo.pop_back();
      for (const uint32_t w : next[v])
        if (!seen[w]) seen[w] = true, todo.push_back(w);
    }
    for (uint32_t device = 0; device < devices; ++device)
      if (!seen[device]) return {true, forward ? 0 : device, forward ? device : 0};
  }
  return {};
}

}  // namespace pgram
