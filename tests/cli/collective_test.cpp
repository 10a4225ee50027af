// pgram collective: the table, its three levels, the timeline of its steps, and what is refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "core/timeline/timeline.h"
#include "program.h"

namespace pgram {
namespace {

using test::Folder;
using test::Outcome;
using test::run;

nlohmann::json rows_of(const Folder& folder, const std::string& arguments) {
  const Outcome o = run(folder, "collective " + arguments + " --json");
  EXPECT_EQ(o.code, 0) << o.err;
  return nlohmann::json::parse(o.out).at("rows");
}

TEST(Collective, TableOfNcclTests) {
  const Folder folder;
  const Outcome o = run(folder, "collective all_reduce --cluster dgx-h100 --sizes 1K:8G");
  EXPECT_EQ(o.code, 0) << o.err;
  EXPECT_EQ(std::count(o.out.begin(), o.out.end(), '\n'), 3 + 24) << o.out;  // 2^10 ... 2^33
  // NCCL's own model: Ring LL below 2 MiB, then NVLS, 25 us + 1 GiB / 272 GB/s.
  const nlohmann::json rows = rows_of(folder, "all_reduce --cluster dgx-h100 --sizes 1K,1M,1G");
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0]["algorithm"], "ring");
  EXPECT_EQ(rows[0]["protocol"], "ll");
  EXPECT_EQ(rows[0]["count"], 256);
  EXPECT_EQ(rows[2]["algorithm"], "nvls");
  EXPECT_NEAR(rows[2]["time_us"].get<double>(), 25 + 1073741824 / 272e3, 1);
  EXPECT_NEAR(rows[2]["busbw_gb_per_s"].get<double>(), rows[2]["algbw_gb_per_s"].get<double>() * 14 / 8, 1e-9);
}

TEST(Collective, LevelsAgreeOnARing) {
  const Folder folder;
  const std::string what =
      "all_gather --cluster dgx-h100 --sizes 64K,16M --algorithm ring --protocol simple --network ";
  const nlohmann::json analytic = rows_of(folder, what + "analytic"), flow = rows_of(folder, what + "flow"),
                       step = rows_of(folder, what + "step");
  for (size_t i = 0; i < 2; ++i) {
    const double time = analytic[i]["time_us"];
    EXPECT_NEAR(flow[i]["time_us"].get<double>(), time, 7e-6);  // 7 steps of 1 ps
    EXPECT_NEAR(step[i]["time_us"].get<double>(), time, 7e-6);
    EXPECT_EQ(step[i]["steps"], 7);
    EXPECT_EQ(step[i]["messages"], 56);
    // 512 KiB a rank: nccl-tests counts the elements of one.
    EXPECT_EQ(step[i]["count"], step[i]["bytes"].get<uint64_t>() / 32);
  }
}

TEST(Collective, TimelineOfTheSteps) {
  const Folder folder;
  const std::string path = folder / "ring.timeline";
  const Outcome o =
      run(folder, "collective all_reduce --cluster dgx-h100 --gpus 4 --algorithm ring --sizes 1M --timeline " + path);
  EXPECT_EQ(o.code, 0) << o.err;
  EXPECT_NE(o.out.find("6 steps, 1 channel, 1 chunk, 24 messages"), std::string::npos) << o.out;
  const Timeline timeline = read_timeline(path);
  EXPECT_EQ(timeline.spans.size(), 48u);
  EXPECT_EQ(timeline.facts.at("algorithm"), "ring");
  EXPECT_EQ(run(folder, "export " + path + " --perfetto " + (folder / "ring.json")).code, 0);
}

TEST(Collective, BadInputIsRefusedInOneLine) {
  const Folder folder;
  const auto refused = [&](const std::string& arguments, const std::string& line) {
    const Outcome o = run(folder, "collective " + arguments);
    EXPECT_EQ(o.code, 2) << arguments;
    EXPECT_EQ(o.err, "pgram: " + line + "\n");
    EXPECT_EQ(o.out, "") << arguments;
  };
  const std::string on = "all_reduce --cluster dgx-h100 ";
  refused("all_reduse --cluster dgx-h100",
          "collective: unknown collective \"all_reduse\"; expected one of all_reduce, reduce_scatter, all_gather, "
          "broadcast, reduce, all_to_all, send_recv");
  refused(on + "--algorithm rings",
          "algorithm: unknown algorithm \"rings\"; expected one of ring, tree, halving_doubling, direct, nvls, "
          "nvls_tree, hierarchical, pat");
  refused(on + "--gpus 9", "--gpus: expected at most 8, the devices of dgx-h100; got 9");
  refused(on + "--gpus 1", "--gpus: a collective needs at least 2 devices");
  refused(on + "--sizes 1K:8G:1", "--sizes: \"1K:8G:1\": expected a factor from 1.01 on: the sizes would never end");
  refused(on + "--sizes 8G:1K", "--sizes: \"8G:1K\": expected the last size not below the first");
  refused(on + "--sizes 0:8G", "--sizes: \"0:8G\": expected sizes from 1 byte to 1024T");
  refused(on + "--sizes 1:1024T:1.01", "--sizes: \"1:1024T:1.01\": expected at most 1000 sizes");
  refused(on + "--sizes 1X", "--sizes: \"1X\": expected K, M, G or T after a number, got \"X\"");
  refused(on + "--sizes -1K", "--sizes: \"-1K\": expected sizes from 1 byte to 1024T");
  refused(on + "--sizes nan", "--sizes: \"nan\": expected sizes from 1 byte to 1024T");
  refused(on + "--network steps", "--network: expected analytic, flow or step, got 'steps'");
  refused(on + "--network flow --chunks 4", "--network: --timeline, --channels and --chunks are for 'step'");
  refused(on + "--timeline x.timeline", "--timeline: shows one size, for example --sizes 1M; got 24");
}

}  // namespace
}  // namespace pgram
