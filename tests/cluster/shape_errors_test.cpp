// Bad topologies in cluster files: one line each, with file, line and field.
#include <random>

#include "core/cluster/cluster.h"
#include "tests/cluster/files.h"

namespace pgram {
namespace {

std::string error_of(const std::string& text) {
  const std::string path = write_cluster_file("bad.yaml", text);
  return refusal(path, [&] { find_cluster(path); });
}

/// A cluster file with its first difference at line 4.
std::string direct(const std::string& lines) {
  return "pgram_cluster: 1\nname: x\ndevice: h100-sxm\n" + lines;
}

const char kLink[] = "  link: {kind: nvlink, bandwidth_gb_per_s: 100, latency_us: 1}\n";

TEST(TopologyErrors, RingTorusAndFull) {
  const auto torus = [](const std::string& dims) { return direct("topology:\n  kind: torus\n" + dims + kLink); };
  EXPECT_EQ(error_of(torus("  dims: [4, 4, 4]\n  devices: 60\n")),
            "6: topology.dims: 4 x 4 x 4 are 64 devices, not 60");
  EXPECT_EQ(error_of(torus("  dims: [4, 0]\n")),
            "6: topology.dims: expected a whole number from 1 to 16384, got \"0\"");
  EXPECT_EQ(error_of(torus("  dims: [128, 128, 128]\n")), "6: topology.dims: expected at most 16384 devices in all");
  EXPECT_EQ(error_of(torus("  dims: []\n")), "6: topology.dims: expected 1 to 6 dimensions, got 0");
  EXPECT_EQ(error_of(torus("  dims: 4\n")), "6: topology.dims: expected a row [..., ...], got \"4\"");
  EXPECT_EQ(error_of(torus("")), "5: topology.dims: missing");
  EXPECT_EQ(error_of("devices_per_node: 3\n" + torus("  dims: [2, 2]\n")),
            "7: topology.dims: 4 devices are no whole number of nodes of 3");
  EXPECT_EQ(error_of(torus("  dims: [2, 2]\n  levels: 2\n")), "7: topology: unknown key \"levels\"");
  EXPECT_EQ(error_of(direct("topology: {kind: ring, devices: 99999999999, link: 1}\n")),
            "4: topology.devices: expected a whole number from 1 to 16384, got \"99999999999\"");
  EXPECT_EQ(error_of(direct("topology: {kind: full, devices: 4096, link: 1}\n")),
            "4: topology.devices: expected a whole number from 1 to 1024, got \"4096\"");
  EXPECT_EQ(error_of(direct("topology: {kind: rink, devices: 4}\ndevices_per_node: 1\nnodes: 1\n")),
            "4: topology.kind: topology: unknown topology \"rink\"; did you mean \"ring\"?");
  for (const char* bandwidth : {"0", "-100", "nan", ".nan", "inf", "1e300"})
    EXPECT_EQ(error_of(direct(std::string("topology:\n  kind: ring\n  devices: 4\n  link: {kind: nvlink, "
                                          "bandwidth_gb_per_s: ") +
                              bandwidth + ", latency_us: 1}\n")),
              std::string("7: topology.link.bandwidth_gb_per_s: expected a number from 0.001 to 1000000, got \"") +
                  bandwidth + "\"");
}

TEST(TopologyErrors, Graph) {
  const auto graph = [](const std::string& links, const std::string& nodes = "[[a, b], [c, d]]") {
    return direct("topology:\n  kind: graph\n  nodes: " + nodes + "\n  switches: [s]\n  links:\n" + links);
  };
  const std::string good = "    - [a, s, 10, 1]\n    - [b, s, 10, 1]\n    - [c, s, 10, 1]\n";
  EXPECT_EQ(error_of(graph(good + "    - [d, s, 10, 1]\n")), "(no error)");
  EXPECT_EQ(error_of(graph(good)), "9: topology.links: device \"d\" cannot be reached from \"a\"");
  EXPECT_EQ(error_of(graph(good + "  one_way_links: [[d, s, 10, 1]]\n")),
            "9: topology.links: device \"d\" cannot be reached from \"a\"");
  EXPECT_EQ(error_of(graph(good + "  one_way_links: [[s, d, 10, 1]]\n")),
            "9: topology.links: device \"a\" cannot be reached from \"d\"");
  EXPECT_EQ(error_of(graph(good + "    - [d, t, 10, 1]\n")),
            "12: topology.links: unknown name \"t\"; expected a device, NIC or switch from above");
  EXPECT_EQ(error_of(graph(good + "    - [d, d, 10, 1]\n")), "12: topology.links: a link from \"d\" to itself");
  EXPECT_EQ(error_of(graph(good + "    - [d, s, 0, 1]\n")),
            "12: topology.links: expected a number from 0.001 to 1000000, got \"0\"");
  EXPECT_EQ(error_of(graph(good + "    - [d, s, -1, 1]\n")),
            "12: topology.links: expected a number from 0.001 to 1000000, got \"-1\"");
  EXPECT_EQ(error_of(graph(good + "    - [d, s, nan, 1]\n")),
            "12: topology.links: expected a number from 0.001 to 1000000, got \"nan\"");
  EXPECT_EQ(error_of(graph(good + "    - [d, s, 10]\n")),
            "12: topology.links: expected [from, to, GB/s, latency in us, kind]");
  EXPECT_EQ(error_of(graph(good, "[[a, b], [c, a]]")), "6: topology.nodes: the name \"a\" is given twice");
  EXPECT_EQ(error_of(graph(good, "[[a, b], [c]]")),
            "6: topology.nodes: expected 2 devices as in the first node, got 1");
  EXPECT_EQ(error_of(graph(good, "[[a, s], [c, d]]")), "7: topology.switches: the name \"s\" is given twice");
  EXPECT_EQ(error_of(graph(good, "[]")),
            "6: topology.nodes: expected rows of devices, one for each node: [[a, b], [c, d]]");
}

const char kNode[] = "pgram_cluster: 1\nname: x\nnode: dgx-h100\nnodes: 64\nnodes_per_leaf: 4\n";

TEST(TopologyErrors, Networks) {
  EXPECT_EQ(error_of(std::string(kNode) + "topology: {kind: fat-tree, spines: 5}\n"),
            " topology.spines: expected a divisor of 32 devices below a leaf, got 5");
  EXPECT_EQ(error_of(std::string(kNode) + "topology: {kind: fat-tree, levels: 4}\n"),
            "6: topology.levels: expected a whole number from 2 to 3, got \"4\"");
  EXPECT_EQ(
      error_of(std::string(kNode) + "topology: {kind: fat-tree, levels: 3, spines: 4, leaves_per_pod: 2, cores: 3}\n"),
      " topology.cores: expected a divisor of 16 devices to a spine, got 3");
  EXPECT_EQ(
      error_of("pgram_cluster: 1\nname: x\nnode: dgx-h100\nnodes: 20000\ntopology: {kind: fat-tree}\n"),
      " nodes: 160000 devices in a graph of 500626 vertices are too many for this kind of topology; a leaf-spine by "
      "rail with one spine takes 262144 devices");
  const std::string wires =
      "local: {kind: infiniband, bandwidth_gb_per_s: 50, latency_us: 1}, "
      "global: {kind: infiniband, bandwidth_gb_per_s: 50, latency_us: 1}";
  const auto dragonfly = [&](const std::string& numbers) {
    return "pgram_cluster: 1\nname: x\nnode: dgx-h100\ntopology: {kind: dragonfly, " + numbers + ", " + wires + "}\n";
  };
  EXPECT_EQ(error_of(dragonfly("groups: 6, routers: 2, nodes_per_router: 1, global_links: 2")),
            "4: topology.global_links: a group's 4 do not spread evenly over 5 other groups");
  EXPECT_EQ(error_of(dragonfly("groups: 4096, routers: 4096, nodes_per_router: 4096, global_links: 4095")),
            "4: topology.groups: expected at most 262144 nodes in all");
  EXPECT_EQ(error_of(dragonfly("groups: 5, routers: 2, nodes_per_router: 1, global_links: 2") + "nodes: 3\n"),
            "5: unknown key \"nodes\"; did you mean \"node\"?");
  for (const char* name : {"torus-4x4x4:2", "torus-4x4x4@2", "dragonfly-dgx-h100:9"})
    EXPECT_NE(refusal("", [&] { find_cluster(name); }).find("has one size and no oversubscription"), std::string::npos);
}

TEST(TopologyErrors, Nodes) {
  const auto node = [](const std::string& lines) {
    return "pgram_cluster: 1\nname: x\ndevice: h100-sxm\ndevices_per_node: 4\nnodes: 1\n"
           "inside: {kind: nvlink, bandwidth_gb_per_s: 100, latency_us: 1}\n" +
           lines;
  };
  EXPECT_EQ(error_of(node("mesh: [[0, 1, 1], [1, 2, 1]]\n")), " mesh: device 3 cannot be reached from 0");
  EXPECT_EQ(error_of(node("mesh: [[0, 1, 1], [1, 0, 1]]\n")), "7: mesh: devices 1 and 0 are given twice");
  EXPECT_EQ(error_of(node("mesh: [[0, 0, 1]]\n")), "7: mesh: a wire from device 0 to itself");
  EXPECT_EQ(error_of(node("mesh: [[0, 4, 1]]\n")), "7: mesh: expected a whole number from 0 to 3, got \"4\"");
  EXPECT_EQ(error_of(node("mesh: [[0, 1, 0]]\n")), "7: mesh: expected a whole number from 1 to 1024, got \"0\"");
  EXPECT_EQ(error_of(node("cpus: {count: 1}\n")), "1: pcie: missing: it leads to the CPUs");
  EXPECT_EQ(error_of(node("cpus: {count: 3, bandwidth_gb_per_s: 1, latency_us: 1}\n"
                          "pcie: {bandwidth_gb_per_s: 24, latency_us: 1}\n")),
            "7: cpus: expected a divisor of 4 PCIe switches, got 3");
}

TEST(TopologyErrors, DamagedFilesEndInAnErrorOrACluster) {
  const std::string files[] = {
      direct("topology:\n  kind: torus\n  dims: [4, 2]\n" + std::string(kLink)),
      direct("topology:\n  kind: graph\n  nodes: [[a, b], [c, d]]\n  switches: [s]\n  links:\n    - [a, s, 10, 1]\n"
             "    - [b, s, 10, 1]\n    - [c, s, 10, 1]\n    - [d, s, 10, 1]\n"),
      std::string("pgram_cluster: 1\nname: x\nnode: dgx-1v\nnodes: 4\nnodes_per_leaf: 2\n"
                  "topology: {kind: fat-tree, levels: 3, leaves_per_pod: 1, spines: 2, cores: 2}\n")};
  std::mt19937_64 random(8);
  int taken = 0;
  for (const std::string& good : files)
    for (int round = 0; round < 200; ++round) {
      std::string text = good + "# " + std::string(200, '-') + "\n";  // some edits must do no harm
      for (uint64_t edits = 1 + random() % 2; edits > 0; --edits) {
        const size_t at = random() % text.size();
        if (random() % 2 == 0)
          text[at] ^= static_cast<char>(1 << random() % 8);
        else
          text.insert(at, 1, "0123456789,:[]- "[random() % 16]);
      }
      if (random() % 8 == 0) text.resize(random() % text.size());
      const std::string path = write_cluster_file("damaged.yaml", text);
      try {
        const Cluster cluster = find_cluster(path);
        if (cluster.devices > 1) cluster.path(0, cluster.devices - 1);
        ++taken;
      } catch (const InputError&) {
      }
    }
  EXPECT_GT(taken, 50);
  EXPECT_LT(taken, 500);
}

}  // namespace
}  // namespace pgram
