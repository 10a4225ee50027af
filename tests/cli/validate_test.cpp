// pgram validate collectives, on rows of our own and on the measurements beside the project.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "program.h"

namespace pgram {
namespace {

using nlohmann::json;
using test::Folder;
using test::Outcome;
using test::run;

json row(const std::string& id, const std::string& op, const std::string& gpu, int gpus, int nodes, uint64_t bytes,
         double us) {
  return {{"id", id},
          {"op", op},
          {"gpu", gpu},
          {"library", "NCCL 2.28"},
          {"num_gpus", gpus},
          {"num_nodes", nodes},
          {"gpus_per_node", 8},
          {"inter_node_link", nodes > 1 ? json("8x400 Gb/s NDR IB per node") : json(nullptr)},
          {"size_bytes", bytes},
          {"time_us", us},
          {"dtype", "half"},
          {"source", "by hand"},
          {"source_trust", "A"}};
}

json find(const json& list, const std::string& key, const std::string& value) {
  for (const json& each : list) {
    if (each[key] == value) return each;
  }
  return {};
}

/// The cells of NCCL's table: 8 H100, 1 GiB by NVLS 25 us + 2^30/272 GB/s = 3,972.6 us; 16 in 2 nodes by NVLSTree 66.8
/// us + 2^30/246.2 GB/s = 4,428.3 us.
TEST(ValidateCollectives, ErrorsByHand) {
  const Folder folder;
  json rows = json::array();
  const uint64_t gib = uint64_t{1} << 30;
  rows.push_back(row("exact", "all_reduce", "H100-SXM-80GB", 8, 1, gib, 3972.58));
  rows.push_back(row("slow", "all_reduce", "H100-SXM-80GB", 8, 1, gib, 2 * 3972.58));
  rows.push_back(row("nodes", "all_reduce", "H100-SXM-80GB", 16, 2, gib, 4428.3 / 1.1));
  rows.push_back(row("odd", "ep_dispatch_fp8", "H100-SXM-80GB", 8, 1, gib, 1));
  rows.push_back(row("unknown", "all_reduce", "L40S", 8, 1, gib, 1));
  rows.push_back(row("efa", "all_reduce", "H100-SXM-80GB", 16, 2, gib, 1));
  rows.back()["inter_node_link"] = "EFA 32x100 Gb/s";
  rows.push_back(row("not stated", "all_reduce", "H100-SXM-80GB", 16, 2, gib, 1));
  rows.back()["inter_node_link"] = "InfiniBand (not stated)";
  rows.push_back(row("sizeless", "all_reduce", "H100-SXM-80GB", 8, 1, gib, 1));
  rows.back().erase("size_bytes");
  rows.push_back(row("other", "all_reduce", "H100-SXM-80GB", 8, 1, gib, 1));
  rows.back()["library"] = "vllm custom all-reduce";
  const std::string file = folder.write("rows.json", rows.dump());
  const Outcome o = run(folder, "validate collectives " + file + " --json --rows");
  ASSERT_EQ(o.code, 0) << o.err;
  const json out = json::parse(o.out);
  EXPECT_EQ(out["rows"], 9);
  EXPECT_EQ(out["rows_used"], 3);
  EXPECT_EQ(out["left_out"].size(), 6u);
  EXPECT_EQ(find(out["left_out"], "reason", "no cluster of the library: L40S")["rows"], 1);
  const json one = find(out["groups"], "cluster", "dgx-h100"), two = find(out["groups"], "cluster", "dgx-h100:2");
  EXPECT_EQ(one["rows"], 2);
  // 0 and -50 %: median -25 %, of their sizes 25 %, nine tenths of the way from 0 to 50 is 45 %.
  EXPECT_NEAR(one["median"].get<double>(), -0.25, 1e-4);
  EXPECT_NEAR(one["median_absolute"].get<double>(), 0.25, 1e-4);
  EXPECT_NEAR(one["p90_absolute"].get<double>(), 0.45, 1e-4);
  EXPECT_NEAR(two["median"].get<double>(), 0.1, 1e-3);
  const json exact = find(out["predictions"], "id", "exact");
  EXPECT_EQ(exact["algorithm"], "nvls");
  EXPECT_NEAR(exact["predicted_seconds"].get<double>(), 3972.58e-6, 1e-8);
  EXPECT_EQ(find(out["predictions"], "id", "nodes")["algorithm"], "nvls_tree");

  const Outcome text = run(folder, "validate collectives " + file);
  EXPECT_EQ(text.code, 0);
  EXPECT_NE(text.out.find("3 of 9 rows used"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("another network: EFA 32x100 Gb/s"), std::string::npos) << text.out;
  EXPECT_NE(run(folder, "validate collectives --rows " + file).out.find("nvls simple; exact"), std::string::npos);
}

TEST(ValidateCollectives, BadFilesEndInOneLine) {
  const Folder folder;
  const auto expect_refused = [&](const std::string& arguments, const std::string& words) {
    const Outcome o = run(folder, "validate " + arguments);
    EXPECT_EQ(o.code, 2) << o.out;
    EXPECT_NE(o.err.find(words), std::string::npos) << o.err;
    EXPECT_EQ(std::count(o.err.begin(), o.err.end(), '\n'), 1) << o.err;
  };
  expect_refused("trains", "expected collectives, got \"trains\"");
  expect_refused("collectives " + folder / "none.json", "no such file");
  expect_refused("collectives " + folder.write("object.json", "{}"), "expected a list of rows");
  expect_refused("collectives " + folder.write("cut.json", "[{\"id\": "), "cut.json:1:");
  json rows =
      json::array({row("x", "all_reduce", "H100-SXM", 8, 1, 8, 1), row("y", "all_reduce", "H100-SXM", 8, 1, 8, 1)});
  rows[1]["time_us"] = -3;
  expect_refused("collectives " + folder.write("negative.json", rows.dump()), "[1].time_us: expected");
  rows[1] = 7;
  expect_refused("collectives " + folder.write("seven.json", rows.dump()), "[1]");
  // A gzip file that ends in its middle.
  const std::string packed = folder / "cut.gz";
  const std::string plain =
      folder.write("plain.json", json::array({row("x", "all_reduce", "H100-SXM", 8, 1, 8, 1)}).dump());
  ASSERT_EQ(std::system(("gzip -c " + plain + " | head -c 60 > " + packed).c_str()), 0);
  expect_refused("collectives " + packed, "gzip");
}

TEST(ValidateCollectives, TheMeasurementsBesideTheProject) {
  const std::string file = std::string(PGRAM_SOURCE_DIR) + "/../shared/reference/measured/collectives.json.gz";
  if (!std::filesystem::exists(file)) GTEST_SKIP() << "no measurements beside the project (" << file << ")";
  const Folder folder;
  const Outcome o = run(folder, "validate collectives --json " + file);
  ASSERT_EQ(o.code, 0) << o.err;
  const json out = json::parse(o.out);
  // Every row is either used or counted under a reason.
  uint64_t left_out = 0, used = 0;
  for (const json& reason : out["left_out"]) left_out += reason["rows"].get<uint64_t>();
  for (const json& group : out["groups"]) used += group["rows"].get<uint64_t>();
  EXPECT_EQ(used, out["rows_used"]);
  EXPECT_EQ(used + left_out, out["rows"]);
  EXPECT_GE(used, 1000u);
  EXPECT_LT(out["error"]["median_absolute"].get<double>(), 0.35);
  // Large all-reduces over 8 H100 are what the model knows best.
  for (const json& group : out["groups"]) {
    if (group["cluster"] != "dgx-h100" || group["devices"] != 8 || group["operation"] != "all_reduce") continue;
    if (group["size"] != ">= 64 MiB") continue;
    EXPECT_LT(group["median_absolute"].get<double>(), 0.2);
  }
}

}  // namespace
}  // namespace pgram
