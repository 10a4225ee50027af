// What nvidia-smi topo -m prints, as a cluster.
#include "core/cluster/nvidia_topo.h"

#include <random>

#include "tests/cluster/files.h"
#include "tests/cluster/routes.h"

namespace pgram {
namespace {

const char kDgx1V[] =
    "\x1b[4m\tGPU0\tGPU1\tGPU2\tGPU3\tGPU4\tGPU5\tGPU6\tGPU7\tCPU Affinity\x1b[0m\n"
    "GPU0\t X \tNV1\tNV1\tNV2\tNV2\tSYS\tSYS\tSYS\t0-19,40-59\n"
    "GPU1\tNV1\t X \tNV2\tNV1\tSYS\tNV2\tSYS\tSYS\t0-19,40-59\n"
    "GPU2\tNV1\tNV2\t X \tNV2\tSYS\tSYS\tNV1\tSYS\t0-19,40-59\n"
    "GPU3\tNV2\tNV1\tNV2\t X \tSYS\tSYS\tSYS\tNV1\t0-19,40-59\n"
    "GPU4\tNV2\tSYS\tSYS\tSYS\t X \tNV1\tNV1\tNV2\t20-39,60-79\n"
    "GPU5\tSYS\tNV2\tSYS\tSYS\tNV1\t X \tNV2\tNV1\t20-39,60-79\n"
    "GPU6\tSYS\tSYS\tNV1\tSYS\tNV1\tNV2\t X \tNV2\t20-39,60-79\n"
    "GPU7\tSYS\tSYS\tSYS\tNV1\tNV2\tNV1\tNV2\t X \t20-39,60-79\n"
    "\nLegend:\n\n  X    = Self\n  SYS  = Connection traversing PCIe as well as the SMP interconnect\n"
    "  NV#  = Connection traversing a bonded set of # NVLinks\n";

const char kPcie[] =
    "GPU 0: NVIDIA A100 80GB PCIe (UUID: GPU-1)\n"
    "\tGPU0\tGPU1\tGPU2\tNIC0\tNIC1\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID\n"
    "GPU0\t X \tPIX\tSYS\tPXB\tSYS\t0-31\t0\tN/A\n"
    "GPU1\tPIX\t X \tSYS\tPXB\tSYS\t0-31\t0\tN/A\n"
    "GPU2\tSYS\tSYS\t X \tSYS\tPHB\t32-63\t1\tN/A\n"
    "NIC0\tPXB\tPXB\tSYS\t X \tSYS\n"
    "NIC1\tSYS\tSYS\tPHB\tSYS\t X \n"
    "\nNIC Legend:\n\n  NIC0: mlx5_0\n  NIC1: mlx5_1\n";

std::string nvswitch_of(uint32_t gpus, const std::string& links) {
  std::string text;
  for (uint32_t g = 0; g < gpus; ++g) text += "\tGPU" + std::to_string(g);
  for (uint32_t g = 0; g < gpus; ++g) {
    text += "\nGPU" + std::to_string(g);
    for (uint32_t h = 0; h < gpus; ++h) text += g == h ? "\t X " : "\t" + links;
  }
  return text + "\n";
}

Cluster import(const std::string& text) {
  return find_cluster(write_cluster_file("topo.txt", text));
}

std::string error_of(const std::string& text) {
  const std::string path = write_cluster_file("bad.txt", text);
  return refusal(path, [&] { find_cluster(path); });
}

void expect_sound(const Cluster& cluster) {
  ASSERT_NO_FATAL_FAILURE(expect_links_as_in_graph(cluster));
  ASSERT_NO_FATAL_FAILURE(expect_all_routes_are_walks(cluster));
}

TEST(NvidiaTopo, AMeshIsTheOneOfTheLibrary) {
  const Cluster cluster = import(kDgx1V), library = find_cluster("dgx-1v");
  EXPECT_EQ(cluster.device.name, "v100-32-sxm");
  EXPECT_EQ(cluster.shape, "nvidia-smi topology of 8 GPUs, NVLink mesh, 0 NICs");
  ASSERT_NO_FATAL_FAILURE(expect_sound(cluster));
  for (uint32_t a = 0; a < 8; ++a)
    for (uint32_t b = 0; b < 8; ++b) {
      if (a == b) continue;
      EXPECT_EQ(cluster.path(a, b).latency, library.path(a, b).latency);
      EXPECT_EQ(cluster.path(a, b).bytes_per_second, library.path(a, b).bytes_per_second);
    }
}

TEST(NvidiaTopo, MoreLinksThanAGpuHasMeanAnNvSwitch) {
  // 7 x 18 NVLinks to peers: 18 to the switch, of 20.6 GB/s.
  const Cluster h100 = import(nvswitch_of(8, "NV18"));
  EXPECT_EQ(h100.device.name, "h100-sxm");
  EXPECT_EQ(h100.shape, "nvidia-smi topology of 8 GPUs, NVSwitch, 0 NICs");
  ASSERT_NO_FATAL_FAILURE(expect_sound(h100));
  EXPECT_DOUBLE_EQ(h100.path(0, 7).bytes_per_second, 18 * 20.6e9);
  std::vector<uint32_t> links;
  h100.route(0, 7, links);
  EXPECT_EQ(links.size(), 2u);
  EXPECT_EQ(import(nvswitch_of(8, "NV12")).device.name, "a100-80-sxm");
  // Four A100 with 4 NVLinks to each of 3 others: 12, all that one has, so a mesh.
  const Cluster four = import(nvswitch_of(4, "NV4"));
  EXPECT_EQ(four.device.name, "a100-80-sxm");
  EXPECT_DOUBLE_EQ(four.path(0, 3).bytes_per_second, 4 * 20e9);
  four.route(0, 3, links);
  EXPECT_EQ(links.size(), 1u);
  EXPECT_EQ(import(nvswitch_of(4, "NV3")).shape,
            "nvidia-smi topology of 4 GPUs of a kind that it does not name, taken as h100-sxm, NVLink mesh, 0 NICs");
}

TEST(NvidiaTopo, PcieSwitchesBridgesAndCpus) {
  const Cluster cluster = import(kPcie);
  EXPECT_EQ(cluster.devices, 3u);
  EXPECT_EQ(cluster.device.name, "a100-80-pcie");
  EXPECT_EQ(cluster.shape, "nvidia-smi topology of 3 GPUs, PCIe only, 2 NICs");
  ASSERT_NO_FATAL_FAILURE(expect_sound(cluster));
  // On one switch: two wires of 24 GB/s.
  EXPECT_DOUBLE_EQ(cluster.path(0, 1).bytes_per_second, 24e9);
  EXPECT_NEAR(cluster.path(0, 1).latency, 2.4e-6, 1e-15);
  // GPU, switch, bridge, CPU, CPU, bridge, switch, GPU; two GPUs share 16 GB/s between the CPUs.
  EXPECT_DOUBLE_EQ(cluster.path(0, 2).bytes_per_second, 8e9);
  EXPECT_NEAR(cluster.path(0, 2).latency, 2 * (1.2e-6 + 2 * 0.3e-6) + 2e-6, 1e-15);
}

TEST(NvidiaTopo, ErrorsNameFileLineAndRow) {
  const auto error_with = [](const std::string& from, const std::string& to) {
    std::string text = kPcie;
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return error_of(text.replace(at, from.size(), to));
  };
  EXPECT_EQ(error_with("GPU0\t X \tPIX", "GPU0\t X \tNV0"),
            "3: GPU0: expected X, PIX, PXB, PHB, NODE, SYS or NV1 to NV72, got \"NV0\"");
  EXPECT_EQ(error_with("GPU0\t X \tPIX", "GPU0\t X \tNV-4"),
            "3: GPU0: expected X, PIX, PXB, PHB, NODE, SYS or NV1 to NV72, got \"NV-4\"");
  EXPECT_EQ(error_with("GPU0\t X \tPIX", "GPU0\t X \tNV99"),
            "3: GPU0: expected X, PIX, PXB, PHB, NODE, SYS or NV1 to NV72, got \"NV99\"");
  EXPECT_EQ(error_with("GPU1\tPIX", "GPU1\tPXB"), "4: GPU1: its entry for GPU0 is not the one that GPU0 has for it");
  EXPECT_EQ(error_with("GPU1\tPIX", "GPU0\tPIX"), "4: GPU0: is given twice, first in line 3");
  EXPECT_EQ(error_with("\tGPU1\tGPU2\tNIC0", "\tGPU0\tGPU2\tNIC0"), "2: GPU0: is given twice");
  EXPECT_EQ(error_with("GPU1\tPIX\t X ", "GPU1\tPIX\tPIX"),
            "4: GPU1: expected X where the name meets itself, and nowhere else");
  EXPECT_EQ(error_with("GPU2\tSYS\tSYS\t X \tSYS\tPHB\t32-63\t1\tN/A", "GPU2\tSYS\tSYS"),
            "5: GPU2: expected 5 entries, got 2; is the text cut off?");
  EXPECT_EQ(error_of(std::string(kPcie).substr(0, std::string(kPcie).find("GPU2\tSYS"))),
            " GPU2: its row is missing; is the text cut off?");
  EXPECT_EQ(error_of("nothing\n"), " no GPUs: expected the matrix that nvidia-smi topo -m prints");
}

TEST(NvidiaTopo, SurvivesEveryCutAndFlippedBytes) {
  std::mt19937_64 random(6);
  int taken = 0, cut = 0;
  for (const std::string& good : {std::string(kDgx1V), std::string(kPcie)}) {
    const auto read = [&](const std::string& text) {
      try {
        ASSERT_GE(parse_nvidia_topology(text, "x.txt").graph->devices, 1u);
        ++taken;
      } catch (const InputError& error) {
        ASSERT_TRUE(std::string(error.what()).starts_with("x.txt:")) << error.what();
      }
    };
    for (size_t size = 0; size < good.size(); ++size) read(good.substr(0, size));
    cut += taken;
    for (int round = 0; round < 1500; ++round) {
      std::string text = good;
      for (uint64_t flips = 1 + random() % 3; flips > 0; --flips)
        text[random() % text.size()] ^= static_cast<char>(1 << random() % 8);
      read(text);
    }
  }
  EXPECT_GT(cut, 0);  // the legend may be missing
  EXPECT_GT(taken, cut + 100);
  EXPECT_LT(taken, 3000);
}

}  // namespace
}  // namespace pgram
