// pgram fluid: what it prints and how it refuses.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/cli/program.h"

namespace pgram {
namespace {

using test::Folder;
using test::Outcome;
using test::run;

// 10 FLOPs at 5 FLOP/s; then 30 B over 10 B/s after 0.5 s; then 8 FLOPs at 4 FLOP/s.
const std::string kNetwork = "H 5\nH 4\nL 10 0.5\nR 0 1 0\n", kJob = "C 0 0 10\nM 1 0 1 30 0\nC 2 1 8 1\n";

TEST(Fluid, PrintsWhenTasksStartAndEnd) {
  const Folder folder;
  const std::string files = folder.write("network.plat", kNetwork) + " " + folder.write("job.dag", kJob);
  const Outcome plain = run(folder, "fluid " + files);
  EXPECT_EQ(plain.code, 0) << plain.err;
  EXPECT_EQ(plain.out, "0 0 2\n1 2 5.5\n2 5.5 7.5\n");

  const Outcome statistics = run(folder, "fluid --statistics " + files);
  EXPECT_EQ(statistics.out, plain.out +
                                "# 3 tasks ended, the last after 7.5 s\n"
                                "# rates worked out at 3 dates; per date 1.00 flows looked at, 1.00 rates changed\n");

  const Outcome json = run(folder, "fluid --json " + files);
  ASSERT_EQ(json.code, 0) << json.err;
  const auto parsed = nlohmann::json::parse(json.out);
  EXPECT_EQ(parsed["tasks"], 3);
  EXPECT_EQ(parsed["makespan_s"], 7.5);
  EXPECT_EQ(parsed["times_s"], nlohmann::json::parse("[[0,2],[2,5.5],[5.5,7.5]]"));
  EXPECT_EQ(parsed["rates"], nlohmann::json::parse(R"({"dates":3,"flows_touched":3,"flows_changed":3})"));
}

TEST(Fluid, SaysWhichLineIsWrong) {
  const Folder folder;
  const std::string path = folder.write("cut.txt", kNetwork + "M 0 0 1 30");
  const Outcome outcome = run(folder, "fluid " + path);
  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err,
            "pgram: " + path + ":5: expected a newline at the end of the last line; is the file cut off?\n");
}

}  // namespace
}  // namespace pgram
