// Routes of a fabric by arithmetic: the same links as in its graph, connected, worth what path() says.
#include "core/cluster/fabric.h"

#include <chrono>
#include <random>

#include "tests/cluster/routes.h"

namespace pgram {
namespace {

Cluster make(const Fabric& fabric) {
  Cluster cluster;
  build_topology(fabric, cluster);
  return cluster;
}

Fabric fabric_of(uint32_t nodes, uint32_t devices, uint32_t nics, uint32_t per_switch, uint32_t per_leaf) {
  Fabric f;
  f.nodes = nodes, f.devices_per_node = devices, f.nics = nics;
  f.devices_per_pcie_switch = per_switch, f.nodes_per_leaf = per_leaf;
  f.inside = {"nvlink", 300e9, 1e-6};
  f.pcie = {"pcie", 24e9, 1.2e-6};
  f.between = {"infiniband", 25e9, 0.5e-6};
  f.spine_latency = 0.5e-6;
  f.oversubscription = 1.5;
  return f;
}

TEST(FabricTopology, EveryLinkAndEveryRouteOfManyShapes) {
  int shapes = 0;
  for (const uint32_t nodes : {1u, 2u, 5u})
    for (const uint32_t per_leaf : {1u, 2u, 8u})
      for (const auto& [devices, nics, per_switch] :
           {std::array{1u, 1u, 1u}, {2, 1, 2}, {4, 2, 2}, {4, 1, 2}, {4, 4, 2}, {6, 3, 6}, {8, 2, 1}})
        for (const double inside_latency : {0.0, 1e-6, 3e-6})
          for (const double spine_latency : {0.0, 0.5e-6, 4e-6}) {
            Fabric fabric = fabric_of(nodes, devices, nics, per_switch, per_leaf);
            fabric.inside.latency = inside_latency, fabric.spine_latency = spine_latency;
            const Cluster cluster = make(fabric);
            ASSERT_NO_FATAL_FAILURE(expect_links_as_in_graph(cluster));
            ASSERT_NO_FATAL_FAILURE(expect_all_routes_are_walks(cluster));
            ++shapes;
          }
  EXPECT_EQ(shapes, 3 * 3 * 7 * 3 * 3);
}

/// Each link of a kind carries the same number of routes: nothing but the fabric's shape breaks the symmetry.
TEST(FabricTopology, RoutesLoadLikeLinksAlike) {
  // 4 nodes of 4 devices, each with its NIC and PCIe switch, 2 nodes a leaf. Every device sends to 15 others: to 3 in
  // its node and 2 x 4 in the other leaf group, over the spine; of the 4 in the node beside it 1 is on its rail, and 3
  // are reached over the spine too (1 us, against 2 us through the node).
  const Cluster cluster = make(fabric_of(4, 4, 4, 1, 2));
  const std::vector<uint32_t> count = routes_per_link(cluster);
  for (uint32_t i = 0; i < 4 * 8; ++i) EXPECT_EQ(count[i], 3u) << i;                       // inside
  for (uint32_t i = 4 * 8; i < 4 * 8 + 4 * 24; ++i) EXPECT_EQ(count[i], 12u) << i;         // PCIe, NIC, leaf
  for (uint32_t i = 4 * 8 + 4 * 24; i < count.size(); ++i) EXPECT_EQ(count[i], 22u) << i;  // 2 devices x (8 + 3)
}

TEST(FabricTopology, RoutesAroundLinksThatAreDown) {
  const Cluster cluster = make(fabric_of(5, 4, 4, 2, 2));
  const Topology& topology = *cluster.topology;
  std::vector<uint32_t> usual, links;
  std::mt19937_64 random(3);
  int changed = 0;
  for (int round = 0; round < 300; ++round) {
    const uint32_t from = static_cast<uint32_t>(random() % 20), to = static_cast<uint32_t>(random() % 20);
    if (from == to) continue;
    cluster.route(from, to, usual);
    std::vector<uint32_t> down;
    ASSERT_TRUE(topology.route_around(from, to, down, links));
    EXPECT_EQ(links, usual);
    // Not the first link nor the last: a device reaches others only through those and NVLink, so there is another way.
    down = {usual[usual.size() / 2]};
    if (usual.size() < 3) continue;
    ASSERT_TRUE(topology.route_around(from, to, down, links)) << from << " -> " << to;
    EXPECT_EQ(std::count(links.begin(), links.end(), down[0]), 0);
    uint32_t at = from;
    for (const uint32_t i : links) {
      ASSERT_EQ(cluster.graph().links[i].from, at);
      at = cluster.graph().links[i].to;
    }
    ASSERT_EQ(at, to);
    ++changed;
  }
  EXPECT_GT(changed, 100);

  // A device whose NVLink is down reaches the other of its PCIe switch through that, the rest of its node over a NIC.
  const std::vector<uint32_t> nvlink{0};
  ASSERT_TRUE(topology.route_around(0, 1, nvlink, links));
  EXPECT_EQ(links.size(), 2u);
  ASSERT_TRUE(topology.route_around(0, 2, nvlink, links));
  EXPECT_GT(links.size(), 2u);
  // With its PCIe down too it is cut off.
  const std::vector<uint32_t> both{0, 5 * 8};
  EXPECT_FALSE(topology.route_around(0, 2, both, links));
}

TEST(FabricTopology, ARouteOfAHugeClusterNeedsNoGraph) {
  const Cluster cluster = make(fabric_of(2048, 8, 8, 1, 32));
  std::vector<uint32_t> links;
  links.reserve(16);
  uint64_t sum = 0;
  constexpr uint32_t kRoutes = 1 << 20;
  const auto begin = std::chrono::steady_clock::now();
  for (uint32_t i = 0; i < kRoutes; ++i) {
    cluster.route(i % 16384, i * 2654435761u % 16384, links);
    sum += links.empty() ? 0 : links.back();
  }
  const double ns =
      std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - begin).count() / kRoutes;
  std::printf("%.1f ns a route (sum %llu)\n", ns, static_cast<unsigned long long>(sum));
  EXPECT_LT(ns, 2000);  // measured 20 to 30; far from the milliseconds of a search
}

}  // namespace
}  // namespace pgram
