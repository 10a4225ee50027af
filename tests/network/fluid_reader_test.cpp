// The text of fluid problems: what is read, what is refused and with which words, and what damaged files do.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <random>
#include <string>

#include "core/base/errors.h"
#include "sim/network/fluid_problem.h"
#include "tests/network/fluid_cases.h"
#include "tests/support/folder.h"

namespace pgram::sim {
namespace {

class FluidReader : public testing::Test {
 protected:
  FluidProblem read(const std::string& text) {
    const std::string path = folder_.write("problem", text);
    return read_fluid_problem({&path, 1});
  }
  /// What it says about the text, behind the file's name.
  std::string refusal(const std::string& text) {
    try {
      read(text);
    } catch (const InputError& error) {
      const std::string what = error.what();
      return what.substr((folder_ / "problem").size());
    }
    return "taken";
  }

  const test::Folder folder_;
};

const std::string kGood = "H 5\nH 4\nL 10 0.5\nR 0 1 0\n";

TEST_F(FluidReader, ReadsEveryRecord) {
  const FluidProblem problem = read(
      "# two hosts\n\nH 5e14\r\nH 4\nL 10 0.5 # slow\nL 1e9 0\nR 0 1 0 1 0\n"
      "\tC 0 1 2.5\nM 1 0 1 30 0\nC 2 0 0 0 1\n");
  EXPECT_EQ(problem.hosts, (std::vector<double>{5e14, 4}));
  ASSERT_EQ(problem.links.size(), 2u);
  EXPECT_EQ(problem.links[0].bytes_per_second, 10);
  EXPECT_EQ(problem.links[0].latency, 0.5);
  EXPECT_EQ(problem.route_links, (std::vector<uint32_t>{0, 1, 0}));
  ASSERT_EQ(problem.tasks.size(), 3u);
  EXPECT_FALSE(problem.tasks[0].is_message);
  EXPECT_EQ(problem.tasks[0].place, 1u);
  EXPECT_EQ(problem.tasks[0].work, 2.5);
  EXPECT_TRUE(problem.tasks[1].is_message);
  EXPECT_EQ(problem.tasks[1].work, 30);
  EXPECT_EQ(problem.predecessors, (std::vector<uint32_t>{0, 0, 1}));
  EXPECT_EQ(problem.tasks[2].first_predecessor, 1u);
  EXPECT_EQ(problem.tasks[2].num_predecessors, 2u);
}

TEST_F(FluidReader, ReadsWhatIsWritten) {
  const std::string text = test::to_text(test::random_flows(300, 16, 1));
  EXPECT_EQ(test::to_text(read(text)), text);
}

TEST_F(FluidReader, OneProblemInTwoFiles) {
  const std::string paths[] = {folder_.write("network", kGood), folder_.write("job", "M 0 0 1 30\n")};
  EXPECT_EQ(read_fluid_problem(paths).tasks.size(), 1u);
  const std::string wrong[] = {folder_.write("network", kGood), folder_.write("job", "M 0 0 1 30\nM 1 1 0 30\n")};
  try {
    read_fluid_problem(wrong);
    FAIL();
  } catch (const InputError& error) {
    EXPECT_EQ(error.file(), wrong[1]);
    EXPECT_EQ(error.line(), 2);
    EXPECT_EQ(error.field(), "target");
  }
}

TEST_F(FluidReader, SaysWhatIsWrong) {
  EXPECT_EQ(refusal("H 0\n"), ":1: flops: expected a number from 0.001 to 1e+21, got \"0\"");
  EXPECT_EQ(refusal("H nan\n"), ":1: flops: expected a number from 0.001 to 1e+21, got \"nan\"");
  EXPECT_EQ(refusal("H 1 2\n"), ":1: expected the end of the line, got \"2\"");
  EXPECT_EQ(refusal("H\n"), ":1: flops: expected a number from 0.001 to 1e+21, got the end of the line");
  EXPECT_EQ(refusal("L -1 0\n"), ":1: bandwidth: expected a number from 0.001 to 1e+21, got \"-1\"");
  EXPECT_EQ(refusal("L inf 0\n"), ":1: bandwidth: expected a number from 0.001 to 1e+21, got \"inf\"");
  EXPECT_EQ(refusal("L 1e400 0\n"), ":1: bandwidth: expected a number from 0.001 to 1e+21, got \"1e400\"");
  EXPECT_EQ(refusal("L 10\n"), ":1: latency: expected a number from 0 to 1e+06, got the end of the line");
  EXPECT_EQ(refusal("L 10 1x\n"), ":1: latency: expected a number from 0 to 1e+06, got \"1x\"");
  EXPECT_EQ(refusal("X 1\n"), ":1: expected a record H, L, R, C or M, got \"X\"");
  EXPECT_EQ(refusal("R 0 1 0\n"), ":1: source: expected the number of a host, of which there is none, got \"0\"");
  EXPECT_EQ(refusal(kGood + "R 1 2 0\n"), ":5: target: expected the number of a host from 0 to 1, got \"2\"");
  EXPECT_EQ(refusal(kGood + "R 1 0 1\n"), ":5: link: expected the number of a link from 0 to 0, got \"1\"");
  EXPECT_EQ(refusal(kGood + "R 1 0\n"), ":5: link: expected at least one link");
  EXPECT_EQ(refusal(kGood + "R 0 1 0\n"), ":5: target: expected one route from host 0 to host 1, got a second one");
  EXPECT_EQ(refusal(kGood + "C 1 0 5\n"), ":5: id: expected 0, the next task in order, got \"1\"");
  EXPECT_EQ(refusal(kGood + "C 0 0 5 0\n"),
            ":5: predecessor: expected the number of an earlier task, of which there is none, got \"0\"");
  EXPECT_EQ(refusal(kGood + "C 0 0 5\nC 1 0 5 1\n"),
            ":6: predecessor: expected the number of an earlier task from 0 to 0, got \"1\"");
  EXPECT_EQ(refusal(kGood + "M 0 1 0 5\n"), ":5: target: expected a route (R 1 0 ...) before this message");
  EXPECT_EQ(refusal(kGood + "M 0 0 1 5.5\n"), ":5: bytes: expected a whole number, got 5.5");
  EXPECT_EQ(refusal(kGood + "M 0 0 1 -5\n"), ":5: bytes: expected a number from 0 to 1e+21, got \"-5\"");
  EXPECT_EQ(refusal(kGood + "M 0 0 1 100"), ":5: expected a newline at the end of the last line; is the file cut off?");
  EXPECT_EQ(refusal(kGood), ": expected at least one task (C or M)");
  EXPECT_EQ(refusal(""), ": expected at least one task (C or M)");
}

TEST_F(FluidReader, RefusesWhatIsNoFile) {
  const std::string paths[] = {"/nowhere/at/all", std::filesystem::temp_directory_path().string()};
  for (const std::string& path : paths) EXPECT_THROW(read_fluid_problem({&path, 1}), InputError) << path;
}

// Cut off anywhere, or with bytes flipped, a file is taken or refused with its line; what is taken ends.
TEST_F(FluidReader, DamagedFiles) {
  const std::string good = test::to_text(test::random_flows(40, 8, 7));
  std::mt19937 random(1);
  const auto below = [&](size_t end) { return std::uniform_int_distribution<size_t>(0, end - 1)(random); };
  int taken = 0, refused = 0;
  for (int round = 0; round < 2000; ++round) {
    std::string text = good;
    if (round % 2 == 0) text.resize(below(text.size()));
    for (size_t flips = round % 2 + below(3); flips > 0 && !text.empty(); --flips) {
      text[below(text.size())] = below(2) == 0 ? static_cast<char>(below(256)) : "0123456789 .-e\n#HLRCM"[below(21)];
    }
    try {
      const FluidProblem problem = read(text);
      const FluidTimes times = replay(problem);
      EXPECT_EQ(times.num_finished, problem.tasks.size());
      ++taken;
    } catch (const InputError& error) {
      EXPECT_FALSE(error.file().empty());
      ++refused;
    }
  }
  EXPECT_GT(taken, 50);
  EXPECT_GT(refused, 500);
}

}  // namespace
}  // namespace pgram::sim
