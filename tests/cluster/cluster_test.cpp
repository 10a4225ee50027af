#include "core/cluster/cluster.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <random>

#include "core/base/errors.h"

namespace pgram {
namespace {

std::string temporary(const std::string& name) {
  return (std::filesystem::path(testing::TempDir()) / ("pgram_cluster_" + name)).string();
}

std::string write_file(const std::string& name, const std::string& text) {
  const std::string path = temporary(name);
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const InputError& error) {
    return error.what();
  }
  return "(no error)";
}

/// Shortest latency, of equals the widest: Bellman and Ford over the explicit links, the slow obvious way.
std::vector<Path> routes_from(const Cluster& cluster, uint32_t from, bool with_nics) {
  constexpr double kFar = 1e9;
  std::vector<Path> best(cluster.graph().vertices.size(), Path{0, kFar, false});
  best[from] = {std::numeric_limits<double>::infinity(), 0, false};
  for (bool changed = true; changed;) {
    changed = false;
    for (const Link& link : cluster.graph().links) {
      const bool at_nic = cluster.graph().vertices[link.from].kind == VertexKind::nic ||
                          cluster.graph().vertices[link.to].kind == VertexKind::nic;
      if (at_nic && !with_nics) continue;
      const double latency = best[link.from].latency + link.latency;
      const double width = std::min(best[link.from].bytes_per_second, link.bytes_per_second / link.shared_by);
      Path& known = best[link.to];
      const bool shorter = latency < known.latency - 1e-13;
      const bool wider = latency < known.latency + 1e-13 && width > known.bytes_per_second;
      if (latency < kFar && (shorter || wider)) known = {width, latency, false}, changed = true;
    }
  }
  return best;
}

void expect_all_routes_right(const Cluster& cluster) {
  for (uint32_t from = 0; from < cluster.devices; ++from) {
    const std::vector<Path> inside = routes_from(cluster, from, false), across = routes_from(cluster, from, true);
    for (uint32_t to = 0; to < cluster.devices; ++to) {
      if (from == to) continue;
      const bool same_node = cluster.node_of(from) == cluster.node_of(to);
      const Path& expected = same_node ? inside[to] : across[to];
      const Path found = cluster.path(from, to);
      ASSERT_NEAR(found.latency, expected.latency, 1e-12) << from << " -> " << to;
      ASSERT_DOUBLE_EQ(found.bytes_per_second, expected.bytes_per_second) << from << " -> " << to;
      ASSERT_EQ(found.crosses_nodes, !same_node);
    }
  }
}

TEST(FindCluster, TwoNodesOfEightGpus) {
  const Cluster cluster = find_cluster("dgx-h100:2");
  EXPECT_EQ(cluster.name, "dgx-h100:2");
  EXPECT_EQ(cluster.devices, 16u);
  EXPECT_EQ(cluster.devices_per_node, 8u);
  EXPECT_EQ(cluster.device.name, "h100-sxm");
  EXPECT_DOUBLE_EQ(cluster.device.bf16_flops_per_second, 989e12);
  EXPECT_EQ(cluster.shared_cores, 0u);
  for (uint32_t i = 0; i < 16; ++i) {
    EXPECT_EQ(cluster.graph().vertices[i].kind, VertexKind::device);
    EXPECT_EQ(cluster.graph().vertices[i].node, i / 8);
  }
  // A node: 8 devices, NVSwitch, 8 PCIe switches, 8 NICs; 8 leaves.
  EXPECT_EQ(cluster.graph().vertices.size(), 2u * 25 + 8);
  // Each way: 8 NVLinks, 8 device to PCIe switch, 8 to NIC, 8 to leaf.
  EXPECT_EQ(cluster.graph().links.size(), 2u * 2 * 32);
}

TEST(FindCluster, PathsOfADgxH100) {
  const Cluster cluster = find_cluster("dgx-h100:64@2");
  // NVLink 450 GB/s x 0.824, two links of 1 us.
  EXPECT_DOUBLE_EQ(cluster.path(0, 5).bytes_per_second, 450e9 * 0.824);
  EXPECT_NEAR(cluster.path(0, 5).latency, 2e-6, 1e-15);
  EXPECT_FALSE(cluster.path(0, 5).crosses_nodes);
  // Same rail, same leaf (nodes 0 and 31): NIC 50 x 0.96 = 48, PCIe 63 x 0.762 = 48.006;
  // 2 x (1.2 + 0.3 + 0.5) = 4 us.
  EXPECT_DOUBLE_EQ(cluster.path(0, 31 * 8).bytes_per_second, 50e9 * 0.96);
  EXPECT_NEAR(cluster.path(0, 31 * 8).latency, 4e-6, 1e-15);
  // Across the spine: + 2 x 0.5 us, and half of the bandwidth at oversubscription 2.
  EXPECT_DOUBLE_EQ(cluster.path(0, 32 * 8).bytes_per_second, 50e9 * 0.96 / 2);
  EXPECT_NEAR(cluster.path(0, 32 * 8).latency, 5e-6, 1e-15);
  // Another rail on the same leaf group: over the spine (5 us), not over NVLink and the rail (6 us).
  EXPECT_NEAR(cluster.path(0, 31 * 8 + 3).latency, 5e-6, 1e-15);
  EXPECT_EQ(cluster.path(7, 7).latency, 0);
}

TEST(FindCluster, WithoutASpineAnotherRailIsReachedThroughNvlink) {
  // 4 + 2 us.
  EXPECT_NEAR(find_cluster("dgx-h100:2").path(0, 9).latency, 6e-6, 1e-15);
  // Two GPUs of a DGX A100 share a PCIe switch, so the neighbour's NIC is as near as one's own.
  EXPECT_NEAR(find_cluster("dgx-a100:2").path(0, 9).latency, 4e-6, 1e-15);
}

TEST(FindCluster, RoutesByKindOfPairEqualRoutesOverTheWholeGraph) {
  expect_all_routes_right(find_cluster("dgx-h100"));
  expect_all_routes_right(find_cluster("dgx-h100:3"));
  expect_all_routes_right(find_cluster("dgx-a100:22@1.5"));
  const std::string few_nics = R"(pgram_cluster: 1
name: few
device: h200
devices_per_node: 4
nodes: 5
nics: 2
inside: {kind: pcie, bandwidth_gb_per_s: 20, latency_us: 3}
between: {kind: ethernet, bandwidth_gb_per_s: 12.5, latency_us: 10}
pcie: {devices_per_switch: 2, bandwidth_gb_per_s: 24, latency_us: 1}
nodes_per_leaf: 2
oversubscription: 3
)";
  const Cluster cluster = find_cluster(write_file("few.yaml", few_nics));
  expect_all_routes_right(cluster);
  // Two devices share a NIC of 12.5, and the leaf passes a third of it upwards.
  EXPECT_DOUBLE_EQ(cluster.path(0, 4).bytes_per_second, 12.5e9 / 2);
  EXPECT_DOUBLE_EQ(cluster.path(0, 8).bytes_per_second, 12.5e9 / 2 / 3);
}

TEST(FindCluster, ThousandsOfNodes) {
  const Cluster cluster = find_cluster("dgx-h100:2048@3");
  EXPECT_EQ(cluster.devices, 16384u);
  // 25 a node, 64 groups of 8 leaves, the spine.
  EXPECT_EQ(cluster.graph().vertices.size(), 2048u * 25 + 64 * 8 + 1);
  EXPECT_DOUBLE_EQ(cluster.path(0, 16383).bytes_per_second, 50e9 * 0.96 / 3);
  EXPECT_EQ(cluster.node_of(16383), 2047u);
}

TEST(FindCluster, EveryLibraryEntryIsReadable) {
  const auto entries = library_clusters();
  ASSERT_GE(entries.size(), 4u);
  for (const ClusterEntry& entry : entries) {
    EXPECT_FALSE(entry.description.empty());
    EXPECT_FALSE(entry.device.source.empty());
    EXPECT_EQ(find_cluster(entry.name).devices_per_node, entry.devices_per_node) << entry.name;
  }
  for (const char* name : {"a100-40-sxm", "a100-80-sxm", "h100-sxm", "h200", "b200"})
    EXPECT_EQ(find_device(name).name, name);
}

TEST(FindCluster, RefusesBadSpecifications) {
  EXPECT_NE(message_of([] { find_cluster("dgx-h10"); }).find("did you mean \"dgx-h100\"?"), std::string::npos);
  EXPECT_NE(message_of([] { find_device("h100-sxn"); }).find("did you mean \"h100-sxm\"?"), std::string::npos);
  for (const char* spec : {"",
                           ":",
                           "@",
                           "dgx-h100:",
                           "dgx-h100:0",
                           "dgx-h100:-1",
                           "dgx-h100:2x",
                           "dgx-h100:1000000000000000000",
                           "dgx-h100:99999999999999999999999",
                           "dgx-h100:40000",
                           "dgx-h100:2@",
                           "dgx-h100:2@0",
                           "dgx-h100:2@0.5",
                           "dgx-h100:2@nan",
                           "dgx-h100:2@inf",
                           "dgx-h100:2@1e18",
                           "dgx-h100@2:2",
                           "this:0",
                           "this:4096",
                           "this:2@2",
                           "../models",
                           "nothing.yaml",
                           "/",
                           "dgx-h100:2:2"})
    EXPECT_THROW(find_cluster(spec), InputError) << spec;
  EXPECT_THROW(find_cluster("this", 4000000000u), InputError);
}

TEST(ThisMachine, IsGroupsOfCores) {
  const Cluster one = find_cluster("this", 1);
  const uint32_t cores = one.cores_per_device;
  EXPECT_GE(cores, 1u);
  EXPECT_EQ(one.devices, 1u);
  EXPECT_EQ(find_cluster("this").devices, cores);
  EXPECT_EQ(find_cluster("this").cores_per_device, 1u);

  const Cluster many = find_cluster("this:64", 3);  // the name decides
  EXPECT_EQ(many.devices, 64u);
  EXPECT_EQ(many.shared_cores, cores < 64 ? cores : 0);
  EXPECT_EQ(many.cores_per_device, cores < 64 ? 1u : cores / 64);
  EXPECT_TRUE(many.device.is_cpu);
  EXPECT_EQ(many.device.memory_bytes, one.device.memory_bytes / 64);
  EXPECT_NE(many.device.source.find("not calibrated: run pgram calibrate"), std::string::npos);
  EXPECT_DOUBLE_EQ(many.path(0, 63).bytes_per_second, many.device.copy_bytes_per_second);
  EXPECT_NEAR(many.path(0, 63).latency, many.device.transfer_latency_seconds, 1e-15);
  EXPECT_FALSE(many.path(0, 63).crosses_nodes);
}

Device random_device(std::mt19937_64& random) {
  // Every double has its own digits: the file must give back each bit.
  std::uniform_real_distribution<double> u(0.01, 1);
  Device device;
  device.name = "core \"x\": #1";
  device.source = "line\nbreak, \\ backslash, tab\t, umlaut \xc3\xbc";
  device.is_cpu = random() % 2 == 0;
  device.memory_bytes = (uint64_t{1} << 30) + random() % (uint64_t{1} << 40);
  device.memory_bytes_per_second = 1e12 * u(random);
  device.fp32_flops_per_second = 1e14 * u(random);
  device.bf16_flops_per_second = 1e15 * u(random);
  device.matmul_efficiency = u(random);
  device.attention_efficiency = u(random);
  device.memory_efficiency = u(random);
  device.fitted = {random() % 2 == 0, random() % 2 == 0, random() % 2 == 0};
  device.launch_seconds = 1e-5 * u(random);
  if (device.is_cpu) {
    device.copy_bytes_per_second = 1e10 * u(random);
    device.transfer_latency_seconds = 1e-6 * u(random);
  }
  for (int i = 0; i < 20; ++i) {
    MeasuredKernel kernel{"matmul_dx", {random() % 5000, random() % 2, random() >> 3, random() % 2}, u(random), 3};
    device.kernels.push_back(kernel);
    device.transfers.push_back({"all_reduce", 2 + i % 3u, random() >> 2, 1e-4 * u(random), 1 + i % 4u});
  }
  return device;
}

TEST(DeviceFile, GivesBackExactlyWhatWasWritten) {
  std::mt19937_64 random(1);
  const std::string path = temporary("round_trip.yaml");
  for (int round = 0; round < 50; ++round) {
    const Device a = random_device(random);
    write_device(a, path);
    const Device b = read_device(path);
    EXPECT_EQ(a.name, b.name);
    EXPECT_EQ(a.source, b.source);
    EXPECT_EQ(a.is_cpu, b.is_cpu);
    EXPECT_EQ(a.memory_bytes, b.memory_bytes);
    EXPECT_EQ(a.memory_bytes_per_second, b.memory_bytes_per_second);
    EXPECT_EQ(a.fp32_flops_per_second, b.fp32_flops_per_second);
    EXPECT_EQ(a.bf16_flops_per_second, b.bf16_flops_per_second);
    EXPECT_EQ(a.matmul_efficiency, b.matmul_efficiency);
    EXPECT_EQ(a.attention_efficiency, b.attention_efficiency);
    EXPECT_EQ(a.memory_efficiency, b.memory_efficiency);
    EXPECT_EQ(a.fitted.matmul, b.fitted.matmul);
    EXPECT_EQ(a.fitted.attention, b.fitted.attention);
    EXPECT_EQ(a.fitted.memory, b.fitted.memory);
    EXPECT_EQ(a.launch_seconds, b.launch_seconds);
    EXPECT_EQ(a.copy_bytes_per_second, b.copy_bytes_per_second);
    EXPECT_EQ(a.transfer_latency_seconds, b.transfer_latency_seconds);
    ASSERT_EQ(a.kernels.size(), b.kernels.size());
    for (size_t i = 0; i < a.kernels.size(); ++i) {
      EXPECT_EQ(a.kernels[i].kernel, b.kernels[i].kernel);
      EXPECT_EQ(a.kernels[i].shape, b.kernels[i].shape);
      EXPECT_EQ(a.kernels[i].seconds, b.kernels[i].seconds);
      EXPECT_EQ(a.kernels[i].busy, b.kernels[i].busy);
    }
    ASSERT_EQ(a.transfers.size(), b.transfers.size());
    for (size_t i = 0; i < a.transfers.size(); ++i) {
      EXPECT_EQ(a.transfers[i].operation, b.transfers[i].operation);
      EXPECT_EQ(a.transfers[i].ranks, b.transfers[i].ranks);
      EXPECT_EQ(a.transfers[i].bytes, b.transfers[i].bytes);
      EXPECT_EQ(a.transfers[i].seconds, b.transfers[i].seconds);
      EXPECT_EQ(a.transfers[i].busy, b.transfers[i].busy);
    }
  }
}

TEST(DeviceFile, CannotBeWrittenIntoAMissingFolder) {
  EXPECT_NE(message_of([] { write_device({}, "/nowhere/x.yaml"); }).find("/nowhere/x.yaml: cannot be written"),
            std::string::npos);
}

const char kDevice[] = R"(pgram_device: 1
name: x
source: y
memory_gib: 80
memory_bandwidth_gb_per_s: 2000
fp32_tflops: 20
bf16_tflops: 300
matmul_efficiency: 0.8
attention_efficiency: 0.5
memory_efficiency: 0.9
launch_us: 5
)";

TEST(DeviceFile, ErrorsNameFileLineAndField) {
  const auto error_with = [](std::string text, const std::string& from, const std::string& to) {
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    const std::string path = write_file("bad.yaml", text);
    const std::string message = message_of([&] { read_device(path); });
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    return message.starts_with(path + ":") ? message.substr(path.size() + 1) : message;
  };
  EXPECT_EQ(error_with(kDevice, "80\n", "0\n"), "4: memory_gib: expected a number from 0.001 to 1000000, got \"0\"");
  EXPECT_EQ(error_with(kDevice, "80\n", "1e18\n"),
            "4: memory_gib: expected a number from 0.001 to 1000000, got \"1e18\"");
  EXPECT_EQ(error_with(kDevice, "launch_us", "lunch_us"), "1: launch_us: missing");
  EXPECT_EQ(error_with(kDevice, "launch_us: 5", "launch_us: 5\nlaunch_uss: 5"),
            "12: unknown key \"launch_uss\"; did you mean \"launch_us\"?");
  EXPECT_EQ(error_with(kDevice, "launch_us: 5", "launch_us: 5\nname: z"),
            "12: the key \"name\" is given twice, first in line 2");
  EXPECT_EQ(error_with(kDevice, "pgram_device: 1", "pgram_device: 2"),
            "1: pgram_device: version 2 is not known to this program; it reads version 1");
  EXPECT_EQ(error_with(kDevice, "0.9", "[1, 2]"),
            "10: memory_efficiency: expected a number from 0.001 to 1, got a list");
  EXPECT_EQ(
      error_with(kDevice, "launch_us: 5", "launch_us: 5\nmeasured_kernels:\n  - [matmul, 1, 0.5, 3]\n  - [add, 0, 1]"),
      "14: measured_kernels: expected a whole number from 1 to 1048576, got \"0\"");
  EXPECT_EQ(error_with(kDevice, "launch_us: 5", "launch_us: 5\n---\nname: z"),
            "13: expected one document, found text after its end");
}

/// One to four random edits.
std::string damaged(std::string text, std::mt19937_64& random) {
  const std::string alphabet = "[]{}:-,#&*!|>'\"%@`?\n\t 0aeE.\\~";
  for (uint64_t edits = 1 + random() % 4; edits > 0; --edits) {
    const size_t at = random() % text.size();
    switch (random() % 4) {
      case 0:
        text[at] = static_cast<char>(random());
        break;
      case 1:
        text.insert(at, 1 + random() % 3, alphabet[random() % alphabet.size()]);
        break;
      case 2:
        text.erase(at, 1 + random() % 20);
        break;
      default:
        text.insert(at, text.substr(random() % text.size(), random() % 40));
    }
    if (text.empty()) text = " ";
  }
  return text;
}

/// Whatever the bytes, reading ends with a value or an InputError. Returns how many files were read.
int read_damaged(const std::string& good, int rounds, const std::function<void(const std::string& path)>& read) {
  std::mt19937_64 random(7);
  int taken = 0;
  for (int round = 0; round < rounds; ++round) {
    const std::string path = write_file("damaged.yaml", damaged(good, random));
    try {
      read(path);
      ++taken;
    } catch (const InputError&) {
    }
  }
  return taken;
}

TEST(DeviceFile, SurvivesDamage) {
  const std::string good = std::string(kDevice) + "measured_kernels:\n  - [matmul, 1, 12.5, 3, 4, 5]\n# " +
                           std::string(300, '-') + "\n";  // some edits must do no harm
  const int taken = read_damaged(good, 400, [](const std::string& path) { read_device(path); });
  EXPECT_GT(taken, 0);
  EXPECT_LT(taken, 200);
}

const char kCluster[] = R"(pgram_cluster: 1
name: small
device: h100-sxm
devices_per_node: 4
nodes: 2
inside: {kind: nvlink, bandwidth_gb_per_s: 200, latency_us: 1}
between: {kind: ethernet, bandwidth_gb_per_s: 12.5, latency_us: 5}
)";

TEST(ClusterFile, SurvivesDamage) {
  const int taken = read_damaged(std::string(kCluster) +
                                     "nics: 2\npcie: {devices_per_switch: 2, bandwidth_gb_per_s: "
                                     "24, latency_us: 1}\noversubscription: 2\n",
                                 400, [](const std::string& path) {
                                   const Cluster cluster = find_cluster(path);
                                   cluster.path(0, cluster.devices - 1);
                                 });
  EXPECT_GT(taken, 0);
  EXPECT_LT(taken, 200);
}

TEST(ClusterFile, ErrorsNameFileLineAndField) {
  EXPECT_EQ(find_cluster(write_file("good.yaml", kCluster)).devices, 8u);
  const auto error_with = [](const std::string& from, const std::string& to) {
    std::string text = kCluster;
    text.replace(text.find(from), from.size(), to);
    const std::string path = write_file("bad_cluster.yaml", text);
    const std::string message = message_of([&] { find_cluster(path); });
    return message.starts_with(path + ":") ? message.substr(path.size() + 1) : message;
  };
  EXPECT_EQ(error_with("nodes: 2", "nodes: 0"), "5: nodes: expected a whole number from 1 to 262144, got \"0\"");
  EXPECT_EQ(error_with("nodes: 2", "nodes: 100000"), " nodes: expected 1 to 65536 nodes of 4 devices, got 100000");
  EXPECT_EQ(error_with("between:", "# between:"), " between: missing: 2 nodes need a link between them");
  EXPECT_EQ(error_with("kind: nvlink", "kind: string"),
            "6: inside.kind: expected nvlink, pcie, infiniband, ethernet or memory, got \"string\"");
  EXPECT_EQ(error_with("latency_us: 1", "latency_us: -1"),
            "6: inside.latency_us: expected a number from 0 to 1000000, got \"-1\"");
  EXPECT_EQ(error_with("h100-sxm", "h100"), "3: device: device: unknown device \"h100\"; did you mean \"h200\"?");
  EXPECT_EQ(error_with("nodes: 2", "nodes: 2\nnics: 3"), "6: nics: expected a divisor of 4 devices, got 3");
}

}  // namespace
}  // namespace pgram
