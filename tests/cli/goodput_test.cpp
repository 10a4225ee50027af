// pgram goodput, and what a step takes in pgram simulate.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "program.h"

namespace pgram {
namespace {

using nlohmann::json;
using test::Folder;
using test::Outcome;
using test::run;

const std::string kLlama =
    "--model llama-3.1-8b --cluster dgx-h100:4 --layout tp8.dp4 --global-batch 64 --seq 8192 --network analytic ";

json read_json(const Folder& folder, const std::string& arguments) {
  const Outcome o = run(folder, arguments + " --json");
  EXPECT_EQ(o.code, 0) << arguments << "\n" << o.err;
  return json::parse(o.out);
}

TEST(Goodput, TheTableHasTheBestIntervalAndTheFormulas) {
  const Folder folder;
  const std::string arguments = "goodput " + kLlama + "--node-mtbf 20h --days 10 --runs 64";
  const json out = read_json(folder, arguments);
  // 4 nodes: one of them fails every 5 h. A checkpoint is 14 bytes of each of 8,030,261,248 parameters, written by
  // 4 nodes at 1 GB/s; the norms, that every tensor parallel rank writes, add 0.03 %.
  EXPECT_EQ(out["mtbf_seconds"], 18000);
  const double checkpoint = out["checkpoint_seconds"];
  EXPECT_NEAR(checkpoint, 14 * 8'030'261'248.0 / 4e9, 0.02);
  EXPECT_DOUBLE_EQ(out["restart_seconds"], 600 + checkpoint);
  double best = 0, marked = 0;
  std::string marks;
  for (const json& row : out["intervals"]) {
    best = std::max(best, row["goodput"].get<double>());
    EXPECT_NEAR(row["goodput"], row["formula"], 0.03);
    const double sum = row["useful_seconds"].get<double>() + row["checkpoint_seconds"].get<double>() +
                       row["lost_seconds"].get<double>() + row["restart_seconds"].get<double>();
    EXPECT_NEAR(sum, 864'000, 1e-3);
    for (const std::string mark : row["marks"]) {
      marks += mark + " ";
      if (mark == "best") marked = row["goodput"];
    }
  }
  for (const char* mark : {"best", "Young", "Daly"}) EXPECT_NE(marks.find(mark), std::string::npos) << marks;
  EXPECT_NEAR(marked, best, 0.005);
  // 32 GPUs x 240 h x 6.155 dollars.
  EXPECT_NEAR(out["days"]["dollars"], 47'270.4, 1e-6);
  EXPECT_GT(out["days"]["dollars_per_million_tokens"], out["step"]["dollars_per_million_tokens"]);
  EXPECT_EQ(out, read_json(folder, arguments)) << "the same seed";
  EXPECT_NE(out["intervals"], read_json(folder, arguments + " --seed 2")["intervals"]);
}

TEST(Goodput, ALostRank) {
  const Folder folder;
  const json out = read_json(folder, "goodput " + kLlama +
                                         "--days 1 --checkpoint-every 30m --fail 3h@rank17 --fail 90m@0 --restart 5m "
                                         "--checkpoint-gb-per-s 2");
  const double step = out["step_seconds"], checkpoint = out["checkpoint_seconds"];
  const double every = out["days"]["every_steps"];
  EXPECT_NEAR(every * step, 1800, step / 2 + 1e-9);
  const double cycle = every * step + checkpoint;
  // After 90 min: two cycles of 30 min and a checkpoint, the rest is lost. Back after 5 min and reading the checkpoint.
  const json first = out["failures"][0], second = out["failures"][1];
  EXPECT_EQ(first["rank"], 0);
  EXPECT_NEAR(first["lost_seconds"], 5400 - 2 * cycle, 1e-6);
  EXPECT_NEAR(first["back_seconds"], 5400 + 300 + checkpoint, 1e-6);
  EXPECT_EQ(first["step"], 2 * every);
  // From there to 3 h: two more cycles.
  EXPECT_EQ(second["rank"], 17);
  EXPECT_EQ(second["node"], 2);
  EXPECT_NEAR(second["lost_seconds"], 10800 - (5700 + checkpoint) - 2 * cycle, 1e-6);
  EXPECT_EQ(second["step"], 4 * every);
  EXPECT_EQ(out["days"]["failures"], 2);
  EXPECT_FALSE(out.contains("intervals"));
  const Outcome text = run(folder, "goodput " + kLlama + "--days 1 --checkpoint-every 30m --fail 3h@rank17");
  EXPECT_NE(text.out.find("at 3:00:00 rank 17 (node 2) is lost"), std::string::npos) << text.out;
  // 32 GPUs train some hundred thousand tokens a second: in 2.4 h a few thousand millions.
  const Outcome hours = run(folder, "goodput " + kLlama + "--days 0.1 --fail 1h@0");
  const size_t tokens = hours.out.find(" million tokens");  // "1,234 million tokens"
  ASSERT_TRUE(tokens != std::string::npos && tokens >= 5) << hours.out;
  EXPECT_EQ(hours.out[tokens - 4], ',') << hours.out;
}

TEST(Goodput, TextNamesWhatMatters) {
  const Folder folder;
  const Outcome o = run(folder, "goodput " + kLlama);
  EXPECT_EQ(o.code, 0) << o.err;
  for (const char* word : {"32 devices, 4 nodes", "a node fails every 264 days", "best", "Young", "Daly",
                           "30 days:", "billion tokens", "MWh", "$141,811", "for a million tokens"})
    EXPECT_NE(o.out.find(word), std::string::npos) << word << "\n" << o.out;
}

TEST(Goodput, BadInput) {
  const Folder folder;
  const auto refused = [&](const std::string& arguments, std::initializer_list<const char*> words) {
    const Outcome o = run(folder, "goodput " + arguments);
    EXPECT_EQ(o.code, 2) << arguments << "\n" << o.out << o.err;
    for (const char* word : words) EXPECT_NE(o.err.find(word), std::string::npos) << arguments << "\n" << o.err;
    EXPECT_EQ(o.out, "") << arguments;
  };
  const std::string tiny = "--model tiny-llama --global-batch 8 --seq 64 --cluster this ";
  refused(tiny, {"this says nothing of failures", "--node-mtbf", "--restart", "--checkpoint-gb-per-s"});
  refused(tiny + "--fail 1h@0 --checkpoint-every 1m", {"--restart and --checkpoint-gb-per-s"});
  refused("", {"plan file"});
  refused(kLlama + "--fail 3h@rank32", {"--fail", "rank below 32"});
  refused(kLlama + "--fail 3h", {"--fail", "TIME@RANK"});
  refused(kLlama + "--fail 3@rank1", {"--fail", "'3'", "3h"});
  refused(kLlama + "--fail nanh@rank1", {"--fail"});
  refused(kLlama + "--days 1 --fail 1d@0", {"--fail", "'1d@0'", "within the 24 h of the run", "--days"});
  refused(kLlama + "--checkpoint-every 0s", {"--checkpoint-every", "more than no time"});
  refused(kLlama + "--checkpoint-every 5", {"--checkpoint-every", "30m"});
  refused(kLlama + "--node-mtbf 0s", {"--node-mtbf", "one second"});
  refused(kLlama + "--restart -1s", {"--restart"});
  refused(kLlama + "--days 0", {"--days"});
  refused(kLlama + "--runs 1", {"--runs"});
  refused(kLlama + "--checkpoint-gb-per-s -2", {"--checkpoint-gb-per-s"});
  refused(kLlama + "--node-mtbf 1s --days 3000", {"failures", "too many"});
}

TEST(Simulate, SaysWhatAStepTakesWhereThatIsKnown) {
  const Folder folder;
  const json out = read_json(folder, "simulate " + kLlama);
  const double seconds = out["summary"]["step_seconds"];
  const double tokens = 64 * 8192;
  EXPECT_NEAR(out["bill"]["dollars"], 32 * 6.155 * seconds / 3600, 1e-9);
  EXPECT_NEAR(out["bill"]["dollars_per_million_tokens"], 32 * 6.155 * seconds / 3600 / tokens * 1e6, 1e-9);
  // 32 devices by themselves and four times 2.8 kW.
  const double watts = 32 * out["bill"]["watts_per_device"].get<double>() + 4 * 2800;
  EXPECT_NEAR(out["bill"]["joules"].get<double>() / (watts * seconds), 1, 1e-9);
  EXPECT_NEAR(out["bill"]["joules_per_token"], out["bill"]["joules"].get<double>() / tokens, 1e-9);
  const Outcome text = run(folder, "simulate " + kLlama);
  EXPECT_NE(text.out.find("price of a step $0.1"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("energy of a step "), std::string::npos);

  const std::string here = "simulate --model tiny-llama --global-batch 8 --seq 64 --cluster this:1 ";
  EXPECT_FALSE(read_json(folder, here).contains("bill"));
  EXPECT_EQ(run(folder, here).out.find("energy"), std::string::npos);
}

}  // namespace
}  // namespace pgram
