// Routes over random graphs against Bellman and Ford, the slow obvious way.
#include "core/cluster/shortest_routes.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

namespace pgram {
namespace {

struct Best {
  int64_t latency = std::numeric_limits<int64_t>::max() / 2;
  int64_t links = 0;
  double width = 0;
  bool is_reachable() const { return latency < std::numeric_limits<int64_t>::max() / 2; }
};

bool is_better(const Best& a, const Best& b) {
  if (a.latency != b.latency) return a.latency < b.latency;
  return a.links != b.links ? a.links < b.links : a.width > b.width;
}

/// From every vertex to `to`.
std::vector<Best> bellman_ford(const ClusterGraph& graph, uint32_t to, const std::vector<bool>& closed) {
  std::vector<Best> best(graph.vertices.size());
  best[to] = {0, 0, std::numeric_limits<double>::infinity()};
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t i = 0; i < graph.links.size(); ++i) {
      const Link& link = graph.links[i];
      if (closed[i] || !best[link.to].is_reachable()) continue;
      const Best& rest = best[link.to];
      const Best by = {rest.latency + to_picoseconds(link.latency), rest.links + 1,
                       std::min(rest.width, link.bytes_per_second / link.shared_by)};
      if (is_better(by, best[link.from])) best[link.from] = by, changed = true;
    }
  }
  return best;
}

TEST(ShortestRoutes, OfRandomGraphs) {
  std::mt19937_64 random(21);
  int routes = 0, chosen = 0, without = 0;
  for (int round = 0; round < 60; ++round) {
    ClusterGraph graph;
    const uint32_t vertices = 2 + static_cast<uint32_t>(random() % 20);
    for (uint32_t v = 0; v < vertices; ++v) {
      const uint64_t kind = random() % 4;
      graph.vertices.push_back({kind == 0 ? VertexKind::nic : VertexKind::device, "", v % 3});
    }
    for (uint64_t i = random() % 80; i > 0; --i) {
      Link link;
      link.from = static_cast<uint32_t>(random() % vertices), link.to = static_cast<uint32_t>(random() % vertices);
      link.bytes_per_second = 1e9 * static_cast<double>(1 + random() % 3);
      link.shared_by = 1 + static_cast<uint32_t>(random() % 2);
      link.latency = 1e-6 * static_cast<double>(random() % 3);  // some of none
      if (link.from != link.to) graph.links.push_back(link);
    }
    std::vector<uint32_t> down;
    std::vector<bool> closed(graph.links.size(), false), closed_inside = closed;
    for (uint32_t i = 0; i < graph.links.size(); ++i) {
      if (random() % 8 == 0) down.push_back(i), closed[i] = true;
      const auto at_nic = [&](uint32_t v) { return graph.vertices[v].kind == VertexKind::nic; };
      closed_inside[i] = closed[i] || at_nic(graph.links[i].from) || at_nic(graph.links[i].to);
    }
    const ShortestRoutes search(graph);
    const uint32_t to = static_cast<uint32_t>(random() % vertices);
    const std::vector<uint32_t> next = search.next_links(
        to,
        [&](uint32_t vertex, uint32_t device, std::span<const uint32_t> links) {
          EXPECT_EQ(device, to);
          EXPECT_GE(links.size(), 2u);
          for (const uint32_t link : links) EXPECT_EQ(graph.links[link].from, vertex);
          EXPECT_TRUE(std::is_sorted(links.begin(), links.end()));
          ++chosen;
          return links.size() - 1;
        },
        down);
    const std::vector<Best> across = bellman_ford(graph, to, closed), inside = bellman_ford(graph, to, closed_inside);
    std::vector<uint32_t> links;
    for (uint32_t from = 0; from < vertices; ++from) {
      if (from == to) continue;
      const bool found = search.follow(next, from, to, links);
      ASSERT_EQ(found, across[from].is_reachable());
      if (!found) {
        ++without;
        continue;
      }
      ++routes;
      const bool stays = inside[from].is_reachable();
      // A route that comes from a NIC may go on where no NIC is needed any more, by a longer way.
      bool all_alike = true;
      uint32_t at = from;
      for (const uint32_t i : links) {
        ASSERT_EQ(graph.links[i].from, at);
        ASSERT_FALSE(closed[i]);
        ASSERT_FALSE(stays && closed_inside[i]);
        at = graph.links[i].to;
        all_alike = all_alike && inside[at].is_reachable() == stays;
      }
      ASSERT_EQ(at, to);
      if (!all_alike && !stays) continue;
      const Path path = path_along(graph, links);
      const Best& best = stays ? inside[from] : across[from];
      ASSERT_EQ(to_picoseconds(path.latency), best.latency);
      ASSERT_EQ(static_cast<int64_t>(links.size()), best.links);
      ASSERT_EQ(path.bytes_per_second, best.width);
    }
  }
  EXPECT_GT(routes, 200);
  EXPECT_GT(chosen, 10);
  EXPECT_GT(without, 50);
}

}  // namespace
}  // namespace pgram
