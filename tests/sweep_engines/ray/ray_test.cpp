// The program of `pgram sweep --emit ray`, run by a real Ray on this machine.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "tests/sweep_engines/support/sweeps.h"

namespace pgram::engines {
namespace {

class RaySweep : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* given = std::getenv("PGRAM_RAY_PYTHON");
    if (!given) GTEST_SKIP() << "Ray is only tested by ./dev test --with-ray, which installs it";
    python = given;
    const Finished emitted =
        run(folder, {PGRAM_PROGRAM, "sweep", sweep, "--emit", "ray", "--shards", "3", "--out", out});
    ASSERT_EQ(emitted.code, 0) << emitted.err;
    folder.write("job.py", emitted.out);
    std::filesystem::create_directory(folder / "r");
  }
  /// A Ray of its own, which asks nobody outside.
  Finished submit(const std::string& program) const {
    return run(
        folder, {python, "job.py"},
        {"PGRAM=" + program, "RAY_TMPDIR=" + (folder / "r"), "RAY_USAGE_STATS_ENABLED=0", "RAY_AUTH_MODE=disabled"},
        200);
  }

  Folder folder;
  std::string python;
  const std::string sweep = folder.write("it's a \"sweep\" of $HOME.yaml", small_sweep());
  const std::string out = "the 'results' of {it}\\.db";
};

/// Shard 1 is killed at first: the program says so and joins nothing; run again, it goes on.
TEST_F(RaySweep, ShardsGiveTheRowsOfOneMachineAlsoAfterAFailure) {
  const std::string program = folder.write("dies", "#!/bin/bash\n[[ $* == *\"--shard 1/\"* ]] && kill -9 $$\nexec '" +
                                                       std::string(PGRAM_PROGRAM) + "' \"$@\"\n");
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  const Finished failed = submit(program);
  EXPECT_EQ(failed.code, 1) << failed.out << failed.err;
  EXPECT_NE(failed.err.find("shard 1 failed (-9)"), std::string::npos) << failed.err;
  EXPECT_NE(failed.err.find("1 of 3 shards failed; run this again to go on with them"), std::string::npos);
  EXPECT_TRUE(std::filesystem::exists(folder / (out + ".shard0")));
  EXPECT_FALSE(std::filesystem::exists(folder / out)) << "joined although a shard failed";
  const Finished finished = submit(PGRAM_PROGRAM);
  ASSERT_EQ(finished.code, 0) << finished.out << finished.err;
  EXPECT_NE(finished.out.find("3 of 3 shards"), std::string::npos) << finished.out;
  EXPECT_EQ(rows_of(folder, sweep, out), rows_of_one_machine(folder, sweep));
}

}  // namespace
}  // namespace pgram::engines
