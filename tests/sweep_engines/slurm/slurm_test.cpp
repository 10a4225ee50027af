// The script of `pgram sweep --emit slurm`, submitted to a real Slurm.
#include "tests/sweep_engines/support/slurm.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/sweep_engines/support/mpirun.h"
#include "tests/sweep_engines/support/sweeps.h"

namespace pgram::engines {
namespace {

/// Names that a careless script would take apart.
class SlurmSweep : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!slurm.why_not().empty()) GTEST_SKIP() << slurm.why_not();
    const Finished emitted =
        run(folder, {PGRAM_PROGRAM, "sweep", sweep, "--emit", "slurm", "--shards", "3", "--out", out});
    ASSERT_EQ(emitted.code, 0) << emitted.err;
    folder.write("job.sh", emitted.out);
  }
  void submit(const std::string& program) {
    std::vector<std::string> environment = slurm.environment();
    environment.push_back("PGRAM=" + program);
    const Finished submitted = run(folder, {"bash", "job.sh"}, environment);
    ASSERT_EQ(submitted.code, 0) << submitted.err;
    ASSERT_TRUE(slurm.wait_for_jobs(90)) << submitted.out << slurm.logs();
  }
  std::string outputs() const {
    std::string text;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
      if (entry.path().filename().string().starts_with("slurm-")) text += file_text(entry.path());
    return text;
  }

  Folder folder;
  const std::string sweep = folder.write("it's a \"sweep\" of $HOME.yaml", small_sweep());
  const std::string out = "the 'results' of $(it).db";
  Slurm slurm{folder};
};

TEST_F(SlurmSweep, TheArrayAndItsMergeGiveTheRowsOfOneMachine) {
  submit(PGRAM_PROGRAM);
  EXPECT_EQ(rows_of(folder, sweep, out), rows_of_one_machine(folder, sweep)) << outputs() << slurm.logs();
}

/// Shard 1 is killed at its first submission: the merge does not run, and the second submission goes on.
TEST_F(SlurmSweep, AShardThatIsKilledGoesOnWhenSubmittedAgain) {
  const std::string program = folder.write("dies", "#!/bin/bash\n[[ $* == *\"--shard 1/\"* ]] && kill -9 $$\nexec '" +
                                                       std::string(PGRAM_PROGRAM) + "' \"$@\"\n");
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  submit(program);
  EXPECT_TRUE(std::filesystem::exists(folder / (out + ".shard0"))) << outputs();
  EXPECT_FALSE(std::filesystem::exists(folder / (out + ".shard1")));
  EXPECT_FALSE(std::filesystem::exists(folder / out)) << "joined although a shard failed";
  submit(PGRAM_PROGRAM);
  EXPECT_EQ(rows_of(folder, sweep, out), rows_of_one_machine(folder, sweep)) << outputs() << slurm.logs();
}

/// Two processes that know nothing of each other, because this Slurm starts no MPI: none of them does the work of both.
TEST_F(SlurmSweep, TasksOfSrunWithoutMpiAreRefused) {
  const Finished finished =
      run(folder, {"srun", "-n", "2", PGRAM_PROGRAM, "sweep", sweep, "--out", out}, slurm.environment());
  EXPECT_EQ(finished.code, 2) << finished.err << slurm.logs();
  const size_t said = finished.err.find("pgram: srun: started 2 processes, but gave them no PMIx to meet by; ");
  ASSERT_NE(said, std::string::npos) << finished.err;
  EXPECT_EQ(finished.err.rfind("pgram: "), said) << finished.err;
  EXPECT_EQ(finished.out, "");
  EXPECT_FALSE(std::filesystem::exists(folder / out));
}

/// With PMIx they are ranks, as under mpirun.
TEST_F(SlurmSweep, TasksOfSrunWithPmixShareTheCases) {
  if (const std::string why = why_no_mpirun(); !why.empty()) GTEST_SKIP() << why;
  const Finished kinds = run(folder, {"srun", "--mpi=list"}, slurm.environment());
  if ((kinds.out + kinds.err).find("pmix") == std::string::npos) GTEST_SKIP() << "this Slurm has no PMIx";
  const Finished finished =
      run(folder, {"srun", "--mpi=pmix", "-n", "2", PGRAM_PROGRAM, "sweep", sweep, "--out", out}, slurm.environment());
  ASSERT_EQ(finished.code, 0) << finished.err << slurm.logs();
  EXPECT_NE(finished.out.find("52 simulated now"), std::string::npos) << finished.out;
  EXPECT_EQ(rows_of(folder, sweep, out), rows_of_one_machine(folder, sweep));
}

}  // namespace
}  // namespace pgram::engines
