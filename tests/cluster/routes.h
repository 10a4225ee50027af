// Checks of routes that every topology must pass.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/cluster/cluster.h"

namespace pgram {

/// Every link(i) is the graph's link i.
inline void expect_links_as_in_graph(const Cluster& cluster) {
  const ClusterGraph& graph = cluster.graph();
  ASSERT_EQ(cluster.topology->num_links(), graph.links.size());
  for (uint32_t i = 0; i < graph.links.size(); ++i) {
    ASSERT_EQ(cluster.topology->link(i).bytes_per_second, graph.links[i].bytes_per_second) << i;
    ASSERT_EQ(cluster.topology->link(i).latency, graph.links[i].latency) << i;
    ASSERT_LT(graph.links[i].from, graph.vertices.size());
    ASSERT_EQ(cluster.topology->ends(i).from, graph.links[i].from) << i;
    ASSERT_EQ(cluster.topology->ends(i).to, graph.links[i].to) << i;
    ASSERT_LT(graph.links[i].to, graph.vertices.size());
  }
}

/// The links lead from device to device, pass no vertex twice, and are worth what `path` says.
inline void expect_walk(const Cluster& cluster, uint32_t from, uint32_t to, const std::vector<uint32_t>& links,
                        const Path& path) {
  const ClusterGraph& graph = cluster.graph();
  Picoseconds latency = 0;
  double width = std::numeric_limits<double>::infinity(), alone = width;
  uint32_t at = from;
  std::vector<uint32_t> seen{from};
  for (const uint32_t i : links) {
    ASSERT_LT(i, graph.links.size());
    const Link& link = graph.links[i];
    ASSERT_EQ(link.from, at) << from << " -> " << to;
    at = link.to;
    ASSERT_EQ(std::count(seen.begin(), seen.end(), at), 0) << from << " -> " << to << " passes " << at << " twice";
    seen.push_back(at);
    latency += to_picoseconds(link.latency);
    width = std::min(width, link.bytes_per_second / link.shared_by);
    alone = std::min(alone, link.bytes_per_second);
  }
  ASSERT_EQ(at, to) << from << " -> " << to;
  ASSERT_EQ(to_picoseconds(path.latency), latency) << from << " -> " << to;
  ASSERT_EQ(path.bytes_per_second, width) << from << " -> " << to;
  ASSERT_EQ(path.alone_bytes_per_second, alone) << from << " -> " << to;
  ASSERT_EQ(path.crosses_nodes, cluster.node_of(from) != cluster.node_of(to));
}

/// Every route is a walk, and the same when asked for again.
inline void expect_all_routes_are_walks(const Cluster& cluster) {
  std::vector<uint32_t> links, again{1, 2, 3};
  for (uint32_t from = 0; from < cluster.devices; ++from)
    for (uint32_t to = 0; to < cluster.devices; ++to) {
      cluster.route(from, to, links);
      cluster.route(from, to, again);
      ASSERT_EQ(links, again);
      if (from == to)
        ASSERT_TRUE(links.empty());
      else
        ASSERT_NO_FATAL_FAILURE(expect_walk(cluster, from, to, links, cluster.path(from, to)));
    }
}

/// How many of the routes between all pairs of devices cross each link.
inline std::vector<uint32_t> routes_per_link(const Cluster& cluster) {
  std::vector<uint32_t> count(cluster.topology->num_links(), 0), links;
  for (uint32_t from = 0; from < cluster.devices; ++from)
    for (uint32_t to = 0; to < cluster.devices; ++to) {
      cluster.route(from, to, links);
      for (const uint32_t i : links) ++count[i];
    }
  return count;
}

}  // namespace pgram
