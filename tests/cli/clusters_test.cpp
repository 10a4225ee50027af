// pgram clusters, and clusters of every kind where the other commands take one.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "program.h"

namespace pgram {
namespace {

using nlohmann::json;
using test::Folder;
using test::Outcome;
using test::run;

TEST(Clusters, ShowDevicesLinksAndARoute) {
  const Folder folder;
  Outcome o = run(folder, "clusters torus-4x4x4 --route 0:9 --json");
  ASSERT_EQ(o.code, 0) << o.err;
  const json torus = json::parse(o.out);
  EXPECT_EQ(torus["shape"], "torus 4 x 4 x 4");
  EXPECT_EQ(torus["devices"], 64);
  ASSERT_EQ(torus["links"].size(), 1u);
  EXPECT_EQ(torus["links"][0]["count"], 384);
  // 9 = 0 * 16 + 2 * 4 + 1: two steps along the second dimension and one along the third, 2 us each.
  EXPECT_EQ(torus["route"]["links"].size(), 3u);
  EXPECT_EQ(torus["route"]["links"].back()["to"], "n2.d1");
  EXPECT_DOUBLE_EQ(torus["route"]["latency_seconds"].get<double>(), 6e-6);

  o = run(folder, "clusters dgx-h100:2");
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_TRUE(o.out.starts_with("dgx-h100:2: leaf and spine by rail, 1 spine\n16 devices (2 nodes of 8): h100-sxm"))
      << o.out;
  EXPECT_NE(o.out.find("16 x nvlink         370.8 GB/s   1.00 us  device to switch\n"), std::string::npos) << o.out;
}

TEST(Clusters, ShowPowerPriceAndFailures) {
  const Folder folder;
  Outcome o = run(folder, "clusters dgx-h100");
  EXPECT_NE(o.out.find("\na device takes 80 W idle, 620 W computing, 350 W communicating, the rest of a node 2800 W\n"
                       "a GPU costs $6.155 an hour\n"
                       "a node fails every 6330 h in the mean; a restart takes 600 s, checkpoints 1 GB/s a node\n"),
            std::string::npos)
      << o.out;
  o = run(folder, "clusters dgx-h100 --json");
  const json operation = json::parse(o.out)["operation"];
  EXPECT_EQ(operation["watts"]["compute"], 620);
  EXPECT_EQ(operation["failures"]["node_mtbf_seconds"], 6330.0 * 3600);
  EXPECT_FALSE(operation.contains("pue"));
  o = run(folder, "clusters this:1 --json");
  EXPECT_FALSE(json::parse(o.out).contains("operation")) << "nothing is known of this machine";
}

TEST(Clusters, OfEveryKindCanBeSimulated) {
  const Folder folder;
  const std::string xml = folder.write("two.xml", R"(<system version="1"><cpu host_hash="1">
      <pci busid="1"><gpu dev="0" sm="90"/></pci><pci busid="2"><gpu dev="1" sm="90"/></pci></cpu></system>)");
  const std::string text = folder.write("two.txt", "\tGPU0\tGPU1\nGPU0\t X \tNV4\nGPU1\tNV4\t X \n");
  for (const std::string& cluster :
       {std::string("torus-4x4x4"), std::string("dgx-1v:2"), std::string("a100-pcie"),
        std::string("fat-tree-dgx-h100:2"), std::string("dragonfly-dgx-h100"), xml, text}) {
    const Outcome o = run(
        folder, "simulate --model tiny-llama --cluster " + cluster + " --layout dp2 --global-batch 4 --seq 32 --json");
    ASSERT_EQ(o.code, 0) << cluster << ": " << o.err;
    EXPECT_GT(json::parse(o.out)["summary"]["step_seconds"].get<double>(), 0) << cluster;
  }
}

TEST(Clusters, BadInputIsOneLine) {
  const Folder folder;
  const std::string cut = folder.write("cut.xml", "<system version=\"1\">\n  <cpu>\n    <pci busid=\"1\"");
  const auto error = [&](const std::string& arguments) {
    const Outcome o = run(folder, arguments);
    EXPECT_EQ(o.code, 2) << arguments;
    EXPECT_EQ(std::count(o.err.begin(), o.err.end(), '\n'), 1) << o.err;
    return o.err;
  };
  EXPECT_NE(error("clusters " + cut).find("cut.xml:3: not XML ("), std::string::npos);
  EXPECT_EQ(error("clusters dgx-h100 --route 0:8"),
            "pgram: --route: \"0:8\": expected two devices like 0:7, each from 0 to 7\n");
  EXPECT_EQ(error("clusters --route 0:1"), "pgram: --route: expected a cluster: pgram clusters NAME --route 0:9\n");
  error("clusters torus-4x4x5");
  error("clusters " + (folder / "none.xml"));
  error("clusters dgx-h100 --route 3");
}

}  // namespace
}  // namespace pgram
