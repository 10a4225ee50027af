// Others judge the replay: SimGrid, which replays the same problems, and a checker that takes the times as given.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "sim/network/fluid_problem.h"
#include "tests/network/fluid_cases.h"
#include "tests/support/folder.h"

namespace pgram::sim {
namespace {

class OtherPrograms : public testing::Test {
 protected:
  /// SimGrid's answer, task by task to 1e-6 of the time.
  void compare([[maybe_unused]] const FluidProblem& problem) const {
#ifdef PGRAM_SIMGRID_REPLAY
    folder_.write("problem", test::to_text(problem));
    const std::string command = std::string(PGRAM_SIMGRID_REPLAY) +
                                " --log=root.thresh:error --out=" + folder_ / "times" + " " + folder_ / "problem" +
                                " >" + folder_ / "log";
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
    const FluidTimes times = replay(problem);
    std::ifstream theirs(folder_ / "times");
    size_t id = 0, compared = 0;
    for (double start = 0, finish = 0; theirs >> id >> start >> finish; ++compared) {
      ASSERT_NEAR(times.start[id], start, 1e-6 * finish) << "task " << id;
      ASSERT_NEAR(times.finish[id], finish, 1e-6 * finish) << "task " << id;
    }
    EXPECT_EQ(compared, problem.tasks.size());
#endif
  }

  const test::Folder folder_;
};

TEST_F(OtherPrograms, SimGridGivesTheSameTimes) {
#ifndef PGRAM_SIMGRID_REPLAY
  GTEST_SKIP() << "needs libsimgrid-dev and ../shared/tools/fluid-oracle";
#endif
  for (uint32_t seed = 1; seed <= 3; ++seed) compare(test::random_flows(1000, 32, seed));
  compare(test::ring_on_a_star(32, 1e9));
  compare(test::training_step(2));
}

#ifdef PGRAM_VERIFY_TIMES
std::string to_text(const FluidTimes& times) {
  std::string text;
  for (size_t task = 0; task < times.start.size(); ++task) {
    char line[96];
    std::snprintf(line, sizeof line, "%zu %.17g %.17g\n", task, times.start[task], times.finish[task]);
    text += line;
  }
  return text;
}
#endif

// Too many flows at once for a comparison task by task: rounding grows to percents. The checker works out who shares
// what between the times it is given, and whether every task gets its work done. A time that is wrong by a millionth
// must not pass.
TEST_F(OtherPrograms, TheCheckerFindsEveryTaskDone) {
#ifndef PGRAM_VERIFY_TIMES
  GTEST_SKIP() << "needs ../shared/tools/fluid-oracle";
#else
  for (uint32_t seed = 1; seed <= 2; ++seed) {
    const FluidProblem problem = test::random_flows(6000, 64, seed);
    FluidTimes times = replay(problem);
    folder_.write("problem", test::to_text(problem));
    const std::string command = std::string(PGRAM_VERIFY_TIMES) + " " + folder_ / "problem" + " " + folder_ / "times" +
                                " >" + folder_ / "log" + " 2>&1";
    folder_.write("times", to_text(times));
    EXPECT_EQ(std::system(command.c_str()), 0) << "seed " << seed;
    times.finish[problem.tasks.size() / 2] += 1e-6 * times.makespan;
    folder_.write("times", to_text(times));
    EXPECT_NE(std::system(command.c_str()), 0) << "seed " << seed;
  }
#endif
}

}  // namespace
}  // namespace pgram::sim
