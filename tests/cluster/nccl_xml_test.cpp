// NCCL's topology XML as a cluster.
#include "core/cluster/nccl_xml.h"

#include <random>

#include "tests/cluster/files.h"
#include "tests/cluster/routes.h"

namespace pgram {
namespace {

/// Two CPUs; on the first a bridge with two GPUs and a NIC, on the second a GPU and a GPU that only its class tells.
const char kXml[] = R"(<system version="1">
  <cpu host_hash="0x1" numaid="0" arch="x86_64" vendor="GenuineIntel" familyid="6" modelid="143">
    <pci busid="0000:10:00.0" class="0x060400" link_speed="32.0 GT/s PCIe" link_width="16">
      <pci busid="0000:11:00.0" class="0x030200" device="0x2330" link_speed="32.0 GT/s PCIe" link_width="16">
        <gpu dev="1" sm="90" rank="1"><nvlink target="0000:12:00.0" count="4" tclass="0x030200"/></gpu>
      </pci>
      <pci busid="0000:12:00.0" class="0x030200" link_speed="32.0 GT/s PCIe" link_width="16">
        <gpu dev="0" sm="90" rank="0"><nvlink target="0000:11:00.0" count="4" tclass="0x030200"/></gpu>
      </pci>
      <pci busid="0000:13:00.0" class="0x020700" link_speed="32.0 GT/s PCIe" link_width="16">
        <nic><net name="mlx5_0" dev="0" speed="200000" port="1"/></nic>
      </pci>
    </pci>
  </cpu>
  <cpu host_hash="0x1" numaid="1" arch="x86_64" vendor="GenuineIntel" familyid="6" modelid="143">
    <pci busid="0000:21:00.0" class="0x030200" link_speed="16.0 GT/s PCIe" link_width="8">
      <gpu dev="2" sm="90" rank="2"/>
    </pci>
    <pci busid="0000:22:00.0" class="0x030200"/>
  </cpu>
</system>
)";

Cluster import(const std::string& text, const std::string& name = "node.xml") {
  return find_cluster(write_cluster_file(name, text));
}

std::string with(const std::string& from, const std::string& to) {
  std::string text = kXml;
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

std::string error_of(const std::string& text) {
  const std::string path = write_cluster_file("bad.xml", text);
  return refusal(path, [&] { find_cluster(path); });
}

TEST(NcclXml, TheDgxH100OfTheReferences) {
  const std::string path = std::string(PGRAM_SOURCE_DIR) + "/../shared/reference/nccl-topology-dgx-h100.xml";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path;
  const Cluster cluster = find_cluster(path);
  EXPECT_EQ(cluster.devices, 8u);
  EXPECT_EQ(cluster.devices_per_node, 8u);
  EXPECT_EQ(cluster.device.name, "h100-sxm");
  EXPECT_EQ(cluster.shape, "NCCL topology of 8 GPUs, NVSwitch, 8 NICs");
  // 8 GPUs, 2 CPUs, 8 bridges, 8 NICs, the NVSwitch. Each way: 8 bridges to CPUs, 8 GPUs and 8 NICs to bridges, one
  // between the CPUs, 8 to the NVSwitch.
  EXPECT_EQ(cluster.graph().vertices.size(), 27u);
  EXPECT_EQ(cluster.graph().links.size(), 2u * 33);
  ASSERT_NO_FATAL_FAILURE(expect_links_as_in_graph(cluster));
  ASSERT_NO_FATAL_FAILURE(expect_all_routes_are_walks(cluster));
  // 18 NVLinks of 20.6 GB/s.
  EXPECT_DOUBLE_EQ(cluster.path(0, 7).bytes_per_second, 18 * 20.6e9);
  EXPECT_NEAR(cluster.path(0, 7).latency, 2e-6, 1e-15);
}

TEST(NcclXml, SpeedsAndOrder) {
  const Cluster cluster = import(kXml);
  EXPECT_EQ(cluster.devices, 4u);
  ASSERT_NO_FATAL_FAILURE(expect_links_as_in_graph(cluster));
  ASSERT_NO_FATAL_FAILURE(expect_all_routes_are_walks(cluster));
  // Not all GPUs have a dev: as they come. 4 NVLinks of 20.6 GB/s between the first two.
  EXPECT_DOUBLE_EQ(cluster.path(0, 1).bytes_per_second, 4 * 20.6e9);
  EXPECT_NEAR(cluster.path(0, 1).latency, 2e-6, 1e-15);
  // 8 lanes of 16 GT/s are 8 x 120 / 80 = 12 GB/s; 16 lanes of 8 GT/s, which a file without a word means, too.
  EXPECT_DOUBLE_EQ(cluster.path(2, 3).bytes_per_second, 12e9);
  // GPU, bridge, CPU, CPU, GPU. Between Sapphire Rapids CPUs 22 GB/s, shared by two GPUs.
  EXPECT_DOUBLE_EQ(cluster.path(0, 2).bytes_per_second, 11e9);
  EXPECT_NEAR(cluster.path(0, 2).latency, 1.2e-6 + 0.3e-6 + 2e-6 + 1.2e-6, 1e-15);
  // A NIC carries no more than its port: 200 Gb/s = 25 GB/s.
  for (const Link& link : cluster.graph().links)
    if (cluster.graph().vertices[link.to].kind == VertexKind::nic) {
      EXPECT_EQ(cluster.graph().vertices[link.to].name, "mlx5_0");
      EXPECT_DOUBLE_EQ(link.bytes_per_second, 25e9);
    }

  // With a dev each, by dev: 0 and 1 change places, and so does what is known of them.
  const Cluster sorted = import(with("22:00.0\" class=\"0x030200\"/>", "22:00.0\"><gpu dev=\"3\" sm=\"90\"/></pci>"));
  EXPECT_DOUBLE_EQ(sorted.path(3, 2).bytes_per_second, 12e9);
  EXPECT_EQ(sorted.graph().links.size(), cluster.graph().links.size());
}

TEST(NcclXml, PartialFiles) {
  // What clouds ship: PCI classes, and GPUs and NICs filled in at run time.
  const Cluster cluster = import(R"(<system version="1">
  <cpu numaid="0" affinity="0000ffff" arch="x86_64" vendor="AuthenticAMD" familyid="23" modelid="49">
    <pci busid="ffff:ff:01.0" class="0x060400" link_speed="16 GT/s" link_width="16">
      <pci busid="0001:00:00.0" class="0x030200" link_speed="16 GT/s" link_width="16"/>
      <pci busid="0101:00:00.0" class="0x020700" link_speed="16 GT/s" link_width="16"/>
    </pci>
    <pci busid="ffff:ff:02.0" class="0x060400">
      <pci busid="0002:00:00.0" class="0x030200" link_speed="" link_width="0"/>
    </pci>
  </cpu>
</system>)");
  EXPECT_EQ(cluster.devices, 2u);
  EXPECT_EQ(cluster.device.name, "h100-sxm");
  EXPECT_EQ(cluster.shape, "NCCL topology of 2 GPUs of a kind that it does not name, taken as h100-sxm, 1 NICs");
  EXPECT_DOUBLE_EQ(cluster.path(0, 1).bytes_per_second, 12e9);
  // The other end of an NVLink may be missing, and only one of two ends may tell of it.
  EXPECT_DOUBLE_EQ(
      import(with("<nvlink target=\"0000:11:00.0\" count=\"4\" tclass=\"0x030200\"/>", "")).path(1, 0).bytes_per_second,
      4 * 20.6e9);
  EXPECT_NO_THROW(import(with("target=\"0000:11:00.0\"", "target=\"0000:77:00.0\"")));
  // Grace: 450 GB/s as 10 x 45,000 MB/s, and no PCIe wire worth naming.
  EXPECT_DOUBLE_EQ(import(R"(<system version="1"><cpu host_hash="1" arch="arm64">
      <pci busid="1" class="0x030200"><gpu dev="0" sm="100"><c2c bw="45000" count="10"/></gpu></pci>
      <pci busid="2" class="0x030200"><gpu dev="1" sm="100"><c2c bw="45000" count="10"/></gpu></pci></cpu></system>)")
                       .path(0, 1)
                       .bytes_per_second,
                   450e9);
}

TEST(NcclXml, KindsOfDevices) {
  EXPECT_EQ(
      import(R"(<system version="1"><cpu><pci busid="1" device="0x20b0"><gpu dev="0" sm="80"/></pci></cpu></system>)")
          .device.name,
      "a100-40-sxm");
  for (const auto& [sm, device] :
       {std::pair{"70", "v100-32-sxm"}, {"80", "a100-80-sxm"}, {"90", "h100-sxm"}, {"100", "b200"}})
    EXPECT_EQ(
        import(std::string("<system version=\"1\"><cpu><pci><gpu dev=\"0\" sm=\"") + sm + "\"/></pci></cpu></system>")
            .device.name,
        device);
}

TEST(NcclXml, ErrorsNameFileLineAndElement) {
  EXPECT_EQ(error_of(with("count=\"4\"", "count=\"0\"")),
            "5: <nvlink>: count: expected a whole number from 1 to 1024, got \"0\"");
  EXPECT_EQ(error_of(with("count=\"4\"", "count=\"-4\"")),
            "5: <nvlink>: count: expected a whole number from 1 to 1024, got \"-4\"");
  EXPECT_EQ(error_of(with("speed=\"200000\"", "speed=\"0\"")),
            "11: <net>: speed: expected a whole number from 1 to 100000000, got \"0\"");
  EXPECT_EQ(error_of(with("speed=\"200000\"", "speed=\"nan\"")),
            "11: <net>: speed: expected a whole number from 1 to 100000000, got \"nan\"");
  EXPECT_EQ(error_of(with("32.0 GT/s", "-32.0 GT/s")),
            "3: <pci>: link_speed: expected a PCIe speed like \"32.0 GT/s PCIe\", got \"-32.0 GT/s PCIe\"");
  EXPECT_EQ(error_of(with("link_width=\"8\"", "link_width=\"1000000\"")),
            "16: <pci>: link_width: expected a whole number from 0 to 64, got \"1000000\"");
  EXPECT_EQ(error_of(with("0000:12:00.0\" class", "0000:11:00.0\" class")),
            "7: <pci>: busid \"0000:11:00.0\" is given twice");
  EXPECT_EQ(error_of(with("gpu dev=\"2\"", "gpu dev=\"1\"")), "17: <gpu>: dev 1 is given twice");
  EXPECT_EQ(error_of(with("dev=\"2\" sm=\"90\"", "dev=\"2\" sm=\"80\"")),
            "17: <gpu>: GPUs of two kinds (sm 90 and 80); expected one kind");
  EXPECT_EQ(error_of(with("version=\"1\"", "version=\"2\"")), "1: <system>: version: expected version 1, got \"2\"");
  EXPECT_EQ(error_of("<graphs version=\"1\"/>"),
            "1: <graphs>: these are the graphs that NCCL chose (NCCL_GRAPH_DUMP_FILE); expected its topology "
            "(NCCL_TOPO_DUMP_FILE)");
  EXPECT_EQ(error_of("<system version=\"1\"><cpu/></system>"),
            "1: <system>: no GPU: expected a <gpu>, or a <pci> whose class begins with 0x03");
  EXPECT_EQ(error_of(""), " the file is empty");
  // On another host, with nothing between: nobody reaches it.
  std::string other = kXml;
  other.replace(other.rfind("host_hash=\"0x1\""), 15, "host_hash=\"0x2\"");
  EXPECT_EQ(error_of(other), "16: <pci>: the GPU in it, number 2, cannot be reached from number 0");
  const std::string message = error_of(std::string(kXml).substr(0, std::string(kXml).find("<nic>")));
  EXPECT_TRUE(message.starts_with("10: not XML (")) << message;
  EXPECT_TRUE(message.ends_with("; is the file cut off?")) << message;
  EXPECT_EQ(error_of("pgram_cluster: 1\n"), "1: not XML (No document element found)");
}

TEST(NcclXml, SurvivesEveryCutAndFlippedBytes) {
  const std::string good = kXml;
  int taken = 0;
  const auto read = [&](const std::string& text) {
    try {
      const ClusterFile file = parse_nccl_topology(text, "x.xml");
      ASSERT_GE(file.graph->devices, 1u);
      ++taken;
    } catch (const InputError& error) {
      ASSERT_TRUE(std::string(error.what()).starts_with("x.xml:")) << error.what();
    }
  };
  for (size_t size = 0; size < good.size(); ++size) read(good.substr(0, size));
  EXPECT_EQ(taken, 1);  // only the last line's end may be missing
  std::mt19937_64 random(5);
  for (int round = 0; round < 3000; ++round) {
    std::string text = good;
    for (uint64_t flips = 1 + random() % 4; flips > 0; --flips)
      text[random() % text.size()] ^= static_cast<char>(1 << random() % 8);
    read(text);
  }
  EXPECT_GT(taken, 100);
  EXPECT_LT(taken, 2900);
}

}  // namespace
}  // namespace pgram
