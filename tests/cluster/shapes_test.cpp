// Every kind of topology: hops, bisection and load of the links by hand.
#include <random>
#include <set>
#include <thread>

#include "core/cluster/graph_topology.h"
#include "core/cluster/network_graph.h"
#include "tests/cluster/files.h"
#include "tests/cluster/routes.h"

namespace pgram {
namespace {

Cluster cluster_of(const std::string& topology, const std::string& device = "device: h100-sxm\n") {
  return find_cluster(
      write_cluster_file("shape.yaml", "pgram_cluster: 1\nname: x\n" + device + "topology: " + topology + "\n"));
}

const char kWire[] = "link: {kind: nvlink, bandwidth_gb_per_s: 100, latency_us: 1}";

/// Nodes of 4 devices around a switch, each with a NIC of its own.
const char kNode[] =
    "device: h100-sxm\ndevices_per_node: 4\n"
    "inside: {kind: nvlink, bandwidth_gb_per_s: 200, latency_us: 1}\n"
    "pcie: {bandwidth_gb_per_s: 50, latency_us: 1.2}\n"
    "between: {kind: infiniband, bandwidth_gb_per_s: 50, latency_us: 0.5}\n";
/// One device with one NIC.
const char kBareNode[] =
    "device: h100-sxm\ndevices_per_node: 1\n"
    "pcie: {bandwidth_gb_per_s: 50, latency_us: 1.2}\n"
    "between: {kind: infiniband, bandwidth_gb_per_s: 50, latency_us: 0.5}\n";

size_t hops(const Cluster& cluster, uint32_t from, uint32_t to) {
  std::vector<uint32_t> links;
  cluster.route(from, to, links);
  return links.size();
}

void expect_sound(const Cluster& cluster) {
  ASSERT_NO_FATAL_FAILURE(expect_links_as_in_graph(cluster));
  ASSERT_NO_FATAL_FAILURE(expect_all_routes_are_walks(cluster));
}

/// Bytes/s of all links from the vertices that `inside` tells to the others.
double cut(const Cluster& cluster, const std::function<bool(uint32_t vertex)>& inside) {
  double sum = 0;
  for (const Link& link : cluster.graph().links)
    if (inside(link.from) && !inside(link.to)) sum += link.bytes_per_second;
  return sum;
}

/// Routes over each link whose ends have names that begin so.
std::set<uint32_t> loads(const Cluster& cluster, const std::string& from, const std::string& to) {
  const std::vector<uint32_t> count = routes_per_link(cluster);
  std::set<uint32_t> found;
  for (size_t i = 0; i < count.size(); ++i) {
    const Link& link = cluster.graph().links[i];
    if (cluster.graph().vertices[link.from].name.starts_with(from) &&
        cluster.graph().vertices[link.to].name.starts_with(to))
      found.insert(count[i]);
  }
  return found;
}

uint32_t around(uint32_t a, uint32_t b, uint32_t size) {
  const uint32_t distance = a > b ? a - b : b - a;
  return std::min(distance, size - distance);
}

TEST(Torus, OfThreeDimensions) {
  const Cluster cluster = find_cluster("torus-4x4x4");
  EXPECT_EQ(cluster.devices, 64u);
  EXPECT_EQ(cluster.devices_per_node, 4u);
  EXPECT_EQ(cluster.shape, "torus 4 x 4 x 4");
  EXPECT_EQ(cluster.topology->num_links(), 64u * 6);
  ASSERT_NO_FATAL_FAILURE(expect_sound(cluster));
  for (uint32_t a = 0; a < 64; ++a)
    for (uint32_t b = 0; b < 64; ++b)
      ASSERT_EQ(hops(cluster, a, b),
                around(a / 16, b / 16, 4) + around(a / 4 % 4, b / 4 % 4, 4) + around(a % 4, b % 4, 4));
  // From a device the distances along one dimension add up to 0 + 1 + 2 + 1 = 4, over 16 places in the others: 64 a
  // dimension, 192 in all. 64 x 192 crossings on 384 links: 32 each, since half-way round both directions are used.
  EXPECT_EQ(loads(cluster, "n", "n"), std::set<uint32_t>{32});
  // Between the halves x < 2 and x >= 2: 16 columns, each with two links that way (one is the wrap): 32 x 75 x 0.824.
  EXPECT_NEAR(cut(cluster, [](uint32_t v) { return v < 32; }), 32 * 75e9 * 0.824, 1);
}

TEST(Torus, OfOddShapes) {
  for (const std::array<uint32_t, 3> dims : {std::array<uint32_t, 3>{2, 3, 5}, {1, 2, 2}, {6, 1, 3}}) {
    const auto [x, y, z] = dims;
    const Cluster cluster = cluster_of("{kind: torus, dims: [" + std::to_string(x) + ", " + std::to_string(y) + ", " +
                                       std::to_string(z) + "], " + kWire + "}");
    ASSERT_EQ(cluster.devices, x * y * z);
    ASSERT_NO_FATAL_FAILURE(expect_sound(cluster));
    for (uint32_t a = 0; a < cluster.devices; ++a)
      for (uint32_t b = 0; b < cluster.devices; ++b)
        ASSERT_EQ(hops(cluster, a, b),
                  around(a / (y * z), b / (y * z), x) + around(a / z % y, b / z % y, y) + around(a % z, b % z, z));
  }
}

TEST(Ring, OfSix) {
  const Cluster cluster = cluster_of(std::string("{kind: ring, devices: 6, ") + kWire + "}");
  ASSERT_NO_FATAL_FAILURE(expect_sound(cluster));
  EXPECT_EQ(cluster.topology->num_links(), 12u);
  EXPECT_EQ(hops(cluster, 0, 3), 3u);
  EXPECT_EQ(hops(cluster, 5, 1), 2u);
  // 1 + 2 + 3 + 2 + 1 = 9 hops from each of 6, on 12 links: 4.5. Opposite devices are reached forwards when even, 3
  // hops for each of three, backwards when odd; their walks of 3 begin at odd (even) places, so a link has 1 or 2 of
  // them.
  EXPECT_EQ(loads(cluster, "n", "n"), (std::set<uint32_t>{4, 5}));
  EXPECT_DOUBLE_EQ(cut(cluster, [](uint32_t v) { return v < 3; }), 2 * 100e9);
}

TEST(FullyConnected, EveryDeviceIsOneHopAway) {
  const Cluster cluster =
      cluster_of(std::string("{kind: full, devices: 6, ") + kWire + "}", "device: h100-sxm\ndevices_per_node: 3\n");
  ASSERT_NO_FATAL_FAILURE(expect_sound(cluster));
  EXPECT_EQ(cluster.topology->num_links(), 30u);
  EXPECT_EQ(loads(cluster, "n", "n"), std::set<uint32_t>{1});
  EXPECT_TRUE(cluster.path(0, 3).crosses_nodes);
  EXPECT_FALSE(cluster.path(0, 2).crosses_nodes);
  EXPECT_DOUBLE_EQ(cut(cluster, [](uint32_t v) { return v < 3; }), 9 * 100e9);
}

TEST(Dgx1V, IsAHybridCubeMesh) {
  const Cluster cluster = find_cluster("dgx-1v");
  ASSERT_NO_FATAL_FAILURE(expect_sound(cluster));
  // Six NVLinks a GPU: 24 pairs' worth of 20 GB/s each way, so 48 one-way links' worth.
  double nvlink = 0;
  for (const Link& link : cluster.graph().links)
    if (link.kind == "nvlink") nvlink += link.bytes_per_second;
  EXPECT_NEAR(nvlink, 8 * 6 * 20e9, 1);
  for (uint32_t a = 0; a < 8; ++a)
    for (uint32_t b = 0; b < 8; ++b) {
      if (a == b) continue;
      // Within a quad and to the counterpart in the other: one NVLink, 2 us. Else two, 4 us, and never over the CPUs.
      const bool wired = a / 4 == b / 4 || a % 4 == b % 4;
      EXPECT_EQ(hops(cluster, a, b), wired ? 1u : 2u) << a << " -> " << b;
      EXPECT_NEAR(cluster.path(a, b).latency, wired ? 2e-6 : 4e-6, 1e-15);
    }
  EXPECT_DOUBLE_EQ(cluster.path(0, 3).bytes_per_second, 40e9);
  EXPECT_DOUBLE_EQ(cluster.path(0, 1).bytes_per_second, 20e9);
  // 0 to 7 by 3 has 40 and then 20 GB/s, by 4 40 and 40: the wider is taken.
  EXPECT_DOUBLE_EQ(cluster.path(0, 7).bytes_per_second, 40e9);
  // Between the quads 2 + 2 + 1 + 1 NVLinks of 20 GB/s, and 6 GB/s between the CPUs.
  const ClusterGraph& graph = cluster.graph();
  const auto first_half = [&](uint32_t v) {
    const std::string& name = graph.vertices[v].name;
    return v < 4 || name == "n0.pcie0" || name == "n0.pcie1" || name == "n0.cpu0";
  };
  EXPECT_DOUBLE_EQ(cut(cluster, first_half), 126e9);

  // Without the NVLinks of GPU 0 it is reached over PCIe: to 1 on its switch, to 5 over both CPUs.
  std::vector<uint32_t> down, links;
  for (uint32_t i = 0; i < graph.links.size(); ++i)
    if (graph.links[i].kind == "nvlink" && graph.links[i].from == 0) down.push_back(i);
  ASSERT_TRUE(cluster.topology->route_around(0, 1, down, links));
  EXPECT_EQ(links.size(), 2u);
  EXPECT_EQ(graph.links[links[0]].kind, "pcie");
}

TEST(Dgx1V, SeveralNodesMeetByRail) {
  const Cluster cluster = find_cluster("dgx-1v:3");
  EXPECT_EQ(cluster.devices, 24u);
  ASSERT_NO_FATAL_FAILURE(expect_sound(cluster));
  // Device, PCIe switch, NIC, leaf and back: 6 links of 1.2, 0.3, 0.5 us; two GPUs share a NIC of 12 GB/s.
  EXPECT_EQ(hops(cluster, 0, 8), 6u);
  EXPECT_NEAR(cluster.path(0, 8).latency, 4e-6, 1e-15);
  EXPECT_DOUBLE_EQ(cluster.path(0, 8).bytes_per_second, 6e9);
}

TEST(PcieOnly, DevicesMeetInSwitchesAndCpus) {
  const Cluster cluster = find_cluster("a100-pcie");
  EXPECT_EQ(cluster.shape, "one node, PCIe only");
  ASSERT_NO_FATAL_FAILURE(expect_sound(cluster));
  EXPECT_EQ(hops(cluster, 0, 3), 2u);
  EXPECT_NEAR(cluster.path(0, 3).bytes_per_second, 31.5e9 * 0.762, 1);
  // Device, switch, CPU, CPU, switch, device: 1.2 + 0.3 + 2 + 0.3 + 1.2 us; four devices share 16 GB/s.
  EXPECT_EQ(hops(cluster, 0, 4), 5u);
  EXPECT_NEAR(cluster.path(0, 4).latency, 5e-6, 1e-15);
  EXPECT_DOUBLE_EQ(cluster.path(0, 4).bytes_per_second, 4e9);
  ASSERT_NO_FATAL_FAILURE(expect_sound(find_cluster("a100-pcie:3")));
}

TEST(Nvl72, IsOneNodeOf72) {
  const Cluster cluster = find_cluster("gb200-nvl72:2");
  EXPECT_EQ(cluster.devices, 144u);
  EXPECT_DOUBLE_EQ(cluster.path(0, 71).bytes_per_second, 900e9 * 0.856);
  EXPECT_EQ(hops(cluster, 0, 71), 2u);
  EXPECT_TRUE(cluster.path(0, 72).crosses_nodes);
  ASSERT_NO_FATAL_FAILURE(expect_links_as_in_graph(cluster));
}

TEST(FatTree, OfTwoLevels) {
  // 4 leaves of 2 nodes of 4 devices, 4 spines, 2 to 1.
  const Cluster cluster = cluster_of("{kind: fat-tree, spines: 4}",
                                     std::string(kNode) + "nodes: 8\nnodes_per_leaf: 2\noversubscription: 2\n");
  EXPECT_EQ(cluster.devices, 32u);
  ASSERT_NO_FATAL_FAILURE(expect_sound(cluster));
  EXPECT_EQ(hops(cluster, 0, 3), 2u);  // NVSwitch
  EXPECT_EQ(hops(cluster, 0, 4), 6u);  // device, PCIe switch, NIC, leaf and back
  EXPECT_EQ(hops(cluster, 0, 31), 8u);
  // A leaf's 8 devices send to 24 others, a quarter of them by each spine: 48. Each spine has as many for a leaf.
  EXPECT_EQ(loads(cluster, "leaf", "spine"), std::set<uint32_t>{48});
  EXPECT_EQ(loads(cluster, "spine", "leaf"), std::set<uint32_t>{48});
  // 8 x 50 GB/s below a leaf, half of it up, a quarter of that to each spine.
  const auto leaf_0 = [&](uint32_t v) {
    const std::string& name = cluster.graph().vertices[v].name;
    return name.starts_with("n0") || name.starts_with("n1") || name == "leaf0";
  };
  EXPECT_DOUBLE_EQ(cut(cluster, leaf_0), 8 * 50e9 / 2);
  // 8 devices share 4 links of 50 GB/s: 25 each.
  EXPECT_DOUBLE_EQ(cluster.path(0, 31).bytes_per_second, 25e9);
}

TEST(FatTree, OfThreeLevels) {
  // The fat-tree of switches with four ports: 4 pods of 2 leaves and 2 spines, 4 cores, 16 devices.
  const Cluster cluster = cluster_of("{kind: fat-tree, levels: 3, leaves_per_pod: 2, spines: 2, cores: 2}",
                                     std::string(kBareNode) + "nodes: 16\nnodes_per_leaf: 2\n");
  ASSERT_NO_FATAL_FAILURE(expect_sound(cluster));
  uint32_t switches = 0;
  for (const Vertex& v : cluster.graph().vertices)
    switches += v.name.starts_with("leaf") || v.name.starts_with("spine") || v.name.starts_with("core");
  EXPECT_EQ(switches, 8u + 8 + 4);
  EXPECT_EQ(hops(cluster, 0, 1), 6u);
  EXPECT_EQ(hops(cluster, 0, 2), 8u);
  EXPECT_EQ(hops(cluster, 0, 15), 10u);
  // Up from a leaf: 2 devices to 14, half by each spine. Up from a spine: a pod's 4 to 12, a quarter by each pair of
  // spine and core. Down the same.
  EXPECT_EQ(loads(cluster, "leaf", "spine"), std::set<uint32_t>{14});
  EXPECT_EQ(loads(cluster, "spine", "core"), std::set<uint32_t>{12});
  EXPECT_EQ(loads(cluster, "core", "spine"), std::set<uint32_t>{12});
  EXPECT_EQ(loads(cluster, "spine", "leaf"), std::set<uint32_t>{14});
  // Half of the devices send at full rate to the other half: 8 x 50 GB/s through the cores.
  double up = 0;
  for (const Link& link : cluster.graph().links)
    if (cluster.graph().vertices[link.to].name.starts_with("core")) up += link.bytes_per_second;
  EXPECT_DOUBLE_EQ(up / 2, 8 * 50e9);
}

TEST(FatTree, OfTheLibrary) {
  const Cluster cluster = find_cluster("fat-tree-dgx-h100:8@2");
  EXPECT_EQ(cluster.devices, 64u);
  ASSERT_NO_FATAL_FAILURE(expect_sound(cluster));
  // Two leaves of 32 devices: 32 x 32 routes each way over 16 spines.
  EXPECT_EQ(loads(cluster, "leaf", "spine"), std::set<uint32_t>{64});
  EXPECT_EQ(loads(cluster, "spine", "leaf"), std::set<uint32_t>{64});
  EXPECT_DOUBLE_EQ(cluster.path(0, 63).bytes_per_second, 24e9);
}

TEST(Rail, SeveralSpinesShareTheLoad) {
  // 8 nodes of 4 devices, 2 a leaf: 4 groups of 4 leaves (one a rail), 2 spines.
  const Cluster cluster = cluster_of("{kind: rail, spines: 2}",
                                     std::string(kNode) + "nodes: 8\nnodes_per_leaf: 2\nspine_latency_us: 0.5\n");
  ASSERT_NO_FATAL_FAILURE(expect_sound(cluster));
  EXPECT_EQ(hops(cluster, 0, 4), 6u);  // one rail, one leaf
  EXPECT_EQ(hops(cluster, 0, 8), 8u);  // one rail, by a spine
  EXPECT_EQ(hops(cluster, 0, 9), 8u);  // another rail
  // A leaf's 2 devices send to 24 in other groups and to 3 on other rails beside them: 54, half by each spine (nodes of
  // even and of odd number).
  EXPECT_EQ(loads(cluster, "leaf", "spine"), std::set<uint32_t>{27});
  EXPECT_EQ(loads(cluster, "spine", "leaf"), std::set<uint32_t>{27});
}

/// The fabric's arithmetic against Dijkstra's algorithm on the graph of the same cluster.
TEST(Rail, AFabricIsWorthWhatItsGraphIs) {
  for (const auto& [nodes, devices, nics, per_switch, per_leaf] :
       {std::array{5u, 4u, 4u, 1u, 2u}, {5, 4, 4, 2, 2}, {4, 4, 2, 2, 3}, {3, 4, 2, 1, 1}, {2, 8, 4, 4, 2}}) {
    for (const double inside_latency : {0.7e-6, 3e-6}) {
      Fabric fabric;
      fabric.nodes = nodes, fabric.devices_per_node = devices, fabric.nics = nics;
      fabric.devices_per_pcie_switch = per_switch, fabric.nodes_per_leaf = per_leaf;
      fabric.inside = {"nvlink", 300e9, inside_latency};
      fabric.pcie = {"pcie", 24e9, 1.2e-6};
      fabric.between = {"infiniband", 25e9, 0.5e-6};
      fabric.spine_latency = 0.6e-6, fabric.oversubscription = 1.5;
      Cluster by_arithmetic, by_search;
      build_topology(fabric, by_arithmetic);
      ShapedGraph shaped = network_graph(fabric, {}, {});
      by_search.devices = shaped.devices, by_search.devices_per_node = shaped.devices_per_node;
      by_search.topology = std::make_shared<GraphTopology>(std::move(shaped.graph), shaped.devices, shaped.rule);
      ASSERT_NO_FATAL_FAILURE(expect_sound(by_search));
      ASSERT_EQ(by_search.topology->num_links(), by_arithmetic.topology->num_links());
      for (uint32_t a = 0; a < by_arithmetic.devices; ++a)
        for (uint32_t b = 0; b < by_arithmetic.devices; ++b) {
          if (a == b) continue;
          const Path x = by_arithmetic.path(a, b), y = by_search.path(a, b);
          ASSERT_EQ(x.latency, y.latency) << a << " -> " << b;
          ASSERT_EQ(x.bytes_per_second, y.bytes_per_second) << a << " -> " << b;
          ASSERT_EQ(hops(by_arithmetic, a, b), hops(by_search, a, b)) << a << " -> " << b;
        }
    }
  }
}

TEST(Dragonfly, ReachesAnyGroupByOneGlobalLink) {
  // 5 groups of 2 routers with 2 global links: 4 = one to each other group. A node a router, one device a node.
  const Cluster cluster = cluster_of(
      "{kind: dragonfly, groups: 5, routers: 2, nodes_per_router: 1, global_links: 2, "
      "local: {kind: infiniband, bandwidth_gb_per_s: 50, latency_us: 0.5}, "
      "global: {kind: infiniband, bandwidth_gb_per_s: 50, latency_us: 1}}",
      kBareNode);
  EXPECT_EQ(cluster.devices, 10u);
  ASSERT_NO_FATAL_FAILURE(expect_sound(cluster));
  uint32_t local = 0, global = 0;
  std::set<std::pair<uint32_t, uint32_t>> pairs;
  const ClusterGraph& graph = cluster.graph();
  const auto group = [&](uint32_t v) { return static_cast<uint32_t>(std::stoi(graph.vertices[v].name.substr(6))) / 2; };
  const std::vector<uint32_t> count = routes_per_link(cluster);
  for (size_t i = 0; i < graph.links.size(); ++i) {
    const Link& link = graph.links[i];
    if (!graph.vertices[link.from].name.starts_with("router") || !graph.vertices[link.to].name.starts_with("router"))
      continue;
    if (group(link.from) == group(link.to)) {
      ++local;
      continue;
    }
    ++global;
    EXPECT_TRUE(pairs.emplace(group(link.from), group(link.to)).second);
    EXPECT_EQ(count[i], 4u);  // 2 devices of one group to 2 of another
  }
  EXPECT_EQ(local, 5u * 2);
  EXPECT_EQ(global, 5u * 4);
  for (uint32_t a = 0; a < 10; ++a)
    for (uint32_t b = 0; b < 10; ++b) {
      // Three links to the router, three from it; between groups one global and up to two local ones.
      if (a == b) continue;
      EXPECT_GE(hops(cluster, a, b), 7u);
      EXPECT_LE(hops(cluster, a, b), a / 2 == b / 2 ? 7u : 9u);
    }
}

TEST(Dragonfly, OfTheLibrary) {
  const Cluster cluster = find_cluster("dragonfly-dgx-h100");
  EXPECT_EQ(cluster.devices, 576u);
  ASSERT_NO_FATAL_FAILURE(expect_links_as_in_graph(cluster));
  std::vector<uint32_t> links;
  cluster.route(0, 575, links);
  ASSERT_NO_FATAL_FAILURE(expect_walk(cluster, 0, 575, links, cluster.path(0, 575)));
  EXPECT_LE(links.size(), 9u);
}

TEST(Graph, WrittenOut) {
  // A one-way ring of 4 devices with a switch beside it that only 3 and 1 are wired to.
  const Cluster cluster = cluster_of(R"(
  kind: graph
  nodes: [[a, b], [c, d]]
  switches: [s]
  links:
    - [d, s, 10, 0.25]
    - [b, s, 10, 0.25, ethernet]
  one_way_links:
    - [a, b, 100, 1]
    - [b, c, 100, 1]
    - [c, d, 100, 1]
    - [d, a, 100, 1])");
  EXPECT_EQ(cluster.devices, 4u);
  EXPECT_EQ(cluster.devices_per_node, 2u);
  EXPECT_EQ(cluster.graph().vertices[2].name, "c");
  ASSERT_NO_FATAL_FAILURE(expect_sound(cluster));
  EXPECT_NEAR(cluster.path(0, 1).latency, 1e-6, 1e-15);
  EXPECT_NEAR(cluster.path(2, 1).latency, 1.5e-6, 1e-15);  // by d and the switch, not round by a
  EXPECT_NEAR(cluster.path(1, 3).latency, 0.5e-6, 1e-15);  // by the switch
  EXPECT_DOUBLE_EQ(cluster.path(1, 3).bytes_per_second, 10e9);
  EXPECT_TRUE(cluster.path(1, 3).crosses_nodes);
}

TEST(GraphTopology, RoutesAroundLinksThatAreDown) {
  const Cluster cluster = cluster_of(std::string("{kind: torus, dims: [3, 4], ") + kWire + "}");
  const ClusterGraph& graph = cluster.graph();
  std::mt19937_64 random(11);
  std::vector<uint32_t> links, down;
  int cut_off = 0;
  for (int round = 0; round < 400; ++round) {
    down.clear();
    for (uint32_t i = 0; i < graph.links.size(); ++i)
      if (random() % 100 < static_cast<uint64_t>(round) / 5) down.push_back(i);
    const uint32_t from = static_cast<uint32_t>(random() % 12), to = static_cast<uint32_t>(random() % 12);
    const auto is_down = [&](uint32_t i) { return std::binary_search(down.begin(), down.end(), i); };
    // Breadth first, the slow obvious way: how many links it takes, 99 if there is no way.
    std::vector<uint32_t> distance(12, 99);
    distance[from] = 0;
    for (int pass = 0; pass < 12; ++pass)
      for (uint32_t i = 0; i < graph.links.size(); ++i)
        if (!is_down(i))
          distance[graph.links[i].to] = std::min(distance[graph.links[i].to], distance[graph.links[i].from] + 1);
    const bool found = cluster.topology->route_around(from, to, down, links);
    ASSERT_EQ(found, distance[to] < 99);
    if (!found) {
      ++cut_off;
      continue;
    }
    ASSERT_EQ(links.size(), distance[to]);
    uint32_t at = from;
    for (const uint32_t i : links) {
      ASSERT_FALSE(is_down(i));
      ASSERT_EQ(graph.links[i].from, at);
      at = graph.links[i].to;
    }
    ASSERT_EQ(at, to);
  }
  EXPECT_GT(cut_off, 20);
  EXPECT_LT(cut_off, 350);
}

TEST(GraphTopology, ManyThreadsSeeTheSameRoutes) {
  const Cluster once = find_cluster("fat-tree-dgx-h100:8"), again = find_cluster("fat-tree-dgx-h100:8");
  std::vector<std::vector<uint32_t>> expected;
  std::vector<uint32_t> links;
  for (uint32_t to = 0; to < 64; ++to) once.route(17, to, links), expected.push_back(links);
  std::array<bool, 4> same{};
  std::vector<std::thread> threads;
  for (size_t t = 0; t < same.size(); ++t)
    threads.emplace_back([&, t] {
      std::vector<uint32_t> mine;
      bool equal = true;
      for (uint32_t to = 0; to < 64; ++to) again.route(17, to, mine), equal = equal && mine == expected[to];
      same[t] = equal;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(same, (std::array<bool, 4>{true, true, true, true}));
}

}  // namespace
}  // namespace pgram
