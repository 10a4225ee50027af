// Who is a rank and who is alone, and the plugin that ranks need.
#include "cli/mpi/launch.h"

#include <gtest/gtest.h>

#include <map>

#include "cli/mpi/loader.h"
#include "core/base/errors.h"
#include "tests/sweep_engines/support/process.h"

namespace pgram {
namespace {

Launch launch(const std::map<std::string, std::string>& environment) {
  return launch_of([&](const char* name) {
    const auto found = environment.find(name);
    return found == environment.end() ? nullptr : found->second.c_str();
  });
}

TEST(Launch, AloneUnlessALauncherSaysOtherwise) {
  const Launch alone = launch({{"RANK", "3"}, {"WORLD_SIZE", "8"}});  // torchrun's, which starts no sweeps
  EXPECT_EQ(alone.size, 1u);
  EXPECT_EQ(alone.rank, 0u);
  EXPECT_EQ(alone.launcher, "");
}

TEST(Launch, OpenMpi) {
  const Launch rank =
      launch({{"OMPI_COMM_WORLD_SIZE", "8"}, {"OMPI_COMM_WORLD_RANK", "5"}, {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"}});
  EXPECT_EQ(rank.size, 8u);
  EXPECT_EQ(rank.rank, 5u);
  EXPECT_EQ(rank.local_size, 4u);
  EXPECT_EQ(rank.launcher, "mpirun");
}

TEST(Launch, MpichAndSrun) {
  const Launch mpich = launch({{"PMI_SIZE", "4"}, {"PMI_RANK", "3"}});
  EXPECT_EQ(mpich.size, 4u);
  EXPECT_EQ(mpich.rank, 3u);
  EXPECT_EQ(mpich.local_size, 1u);
  EXPECT_TRUE(mpich.can_meet);
  const Launch step = launch({{"SLURM_STEP_NUM_TASKS", "2"}, {"SLURM_PROCID", "1"}});
  EXPECT_EQ(step.size, 2u);
  EXPECT_EQ(step.rank, 1u);
  EXPECT_EQ(step.launcher, "srun");
  EXPECT_FALSE(step.can_meet);
  EXPECT_TRUE(launch({{"SLURM_STEP_NUM_TASKS", "2"}, {"SLURM_PROCID", "1"}, {"PMIX_RANK", "1"}}).can_meet);
}

/// The script of a batch job with four tasks is one process; its mpirun counts for itself.
TEST(Launch, ABatchScriptIsAlone) {
  std::map<std::string, std::string> job{{"SLURM_NTASKS", "4"}, {"SLURM_PROCID", "0"}, {"SLURM_JOB_ID", "7"}};
  EXPECT_EQ(launch(job).size, 1u);
  job.insert({{"OMPI_COMM_WORLD_SIZE", "2"}, {"OMPI_COMM_WORLD_RANK", "1"}});
  EXPECT_EQ(launch(job).size, 2u);
}

TEST(Launch, WhatIsNoPlaceIsRefusedByName) {
  const auto refused = [](const std::map<std::string, std::string>& environment) -> std::string {
    try {
      launch(environment);
    } catch (const InputError& error) {
      return error.what();
    }
    return "taken";
  };
  EXPECT_EQ(refused({{"OMPI_COMM_WORLD_SIZE", "two"}}),
            "OMPI_COMM_WORLD_SIZE: expected a number from 1 to 16777216 from the launcher, got 'two'");
  EXPECT_EQ(refused({{"OMPI_COMM_WORLD_SIZE", "2"}}),
            "OMPI_COMM_WORLD_RANK: expected a number from 0 to 1 from the launcher, got nothing");
  EXPECT_EQ(refused({{"OMPI_COMM_WORLD_SIZE", "2"}, {"OMPI_COMM_WORLD_RANK", "2"}}),
            "OMPI_COMM_WORLD_RANK: expected a number from 0 to 1 from the launcher, got '2'");
  EXPECT_EQ(refused({{"PMI_SIZE", "0"}}), "PMI_SIZE: expected a number from 1 to 16777216 from the launcher, got '0'");
  EXPECT_EQ(refused({{"PMI_SIZE", "1 "}}),
            "PMI_SIZE: expected a number from 1 to 16777216 from the launcher, got '1 '");
}

/// 16 cores: two ranks bound to one each keep to that; two that may run anywhere take 8 each; 32 ranks take one.
TEST(Launch, ThreadsOfARank) {
  EXPECT_EQ(threads_of_rank(16, 1, 2), 1u);
  EXPECT_EQ(threads_of_rank(16, 16, 2), 8u);
  EXPECT_EQ(threads_of_rank(16, 16, 1), 16u);
  EXPECT_EQ(threads_of_rank(16, 16, 32), 1u);
  EXPECT_EQ(threads_of_rank(16, 8, 1), 8u);
}

TEST(MpiLoader, SaysWhatToInstall) {
  const engines::Folder folder;
  EXPECT_EQ(load_mpi(folder.path()).reason,
            "this pgram is built without MPI; install Open MPI with its headers (Debian: openmpi-bin libopenmpi-dev) "
            "and build it again");
  folder.write(kMpiLibrary, "no library");
  const LoadedMpi garbage = load_mpi(folder.path());
  EXPECT_FALSE(garbage);
  EXPECT_NE(garbage.reason.find("cannot be loaded ("), std::string::npos) << garbage.reason;
}

}  // namespace
}  // namespace pgram
