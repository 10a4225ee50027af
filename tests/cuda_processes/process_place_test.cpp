// Which process this is, from what launchers set.
#include "cuda_backend/process_place.h"

#include <gtest/gtest.h>

#include <map>

#include "core/base/errors.h"
#include "cuda_backend/processes.h"

namespace pgram::testing {
namespace {

using Variables = std::map<std::string, std::string>;

ProcessPlace place_of(const Variables& variables) {
  return process_place([&](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

/// The variable that the refusal names, and what it says.
InputError refusal_of(const Variables& variables) {
  try {
    place_of(variables);
  } catch (const InputError& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was refused";
  return {"", ""};
}

const Variables kTorchrun{{"RANK", "5"},          {"WORLD_SIZE", "16"},        {"LOCAL_RANK", "1"},
                          {"MASTER_ADDR", "a.b"}, {"MASTER_PORT", "29400"},    {"LOCAL_WORLD_SIZE", "4"},
                          {"GROUP_RANK", "1"},    {"TORCHELASTIC_RUN_ID", "7"}};
const Variables kOpenMpi{{"OMPI_COMM_WORLD_RANK", "3"},
                         {"OMPI_COMM_WORLD_SIZE", "4"},
                         {"OMPI_COMM_WORLD_LOCAL_RANK", "3"},
                         {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"},
                         {"PMIX_NAMESPACE", "job1"}};
const Variables kMpich{{"PMI_RANK", "1"}, {"PMI_SIZE", "2"}, {"MPI_LOCALRANKID", "1"}, {"MPI_LOCALNRANKS", "2"}};
const Variables kSlurm{{"SLURM_PROCID", "9"},     {"SLURM_NTASKS", "16"},
                       {"SLURM_LOCALID", "1"},    {"SLURM_NNODES", "2"},
                       {"SLURM_JOB_ID", "4711"},  {"SLURM_STEP_NODELIST", "gpu[07-08]"},
                       {"SLURM_NODELIST", "x,y"}, {"SLURM_LAUNCH_NODE_IPADDR", "10.0.0.7"}};

Variables with(Variables base, const Variables& changes) {
  for (const auto& [name, value] : changes) base[name] = value;
  return base;
}

TEST(ProcessPlace, AloneWithoutALauncher) {
  const ProcessPlace place = place_of({{"PATH", "/bin"}, {"MASTER_PORT", "garbage"}});
  EXPECT_EQ(place.index, 0u);
  EXPECT_EQ(place.size, 1u);
  EXPECT_EQ(place.launcher, "");
}

TEST(ProcessPlace, Torchrun) {
  const ProcessPlace place = place_of(kTorchrun);
  EXPECT_EQ(place.index, 5u);
  EXPECT_EQ(place.size, 16u);
  EXPECT_EQ(place.local_index, 1u);
  EXPECT_EQ(place.launcher, "torchrun");
  EXPECT_EQ(place.address, "a.b");
  EXPECT_EQ(place.port, 29400);
  EXPECT_EQ(place.job, "7");
}

TEST(ProcessPlace, OpenMpiOnOneMachineNeedsNoAddress) {
  const ProcessPlace place = place_of(kOpenMpi);
  EXPECT_EQ(place.index, 3u);
  EXPECT_EQ(place.size, 4u);
  EXPECT_EQ(place.local_index, 3u);
  EXPECT_EQ(place.launcher, "mpirun");
  EXPECT_EQ(place.address, "127.0.0.1");
  EXPECT_EQ(place.port, kDefaultMasterPort);
  EXPECT_EQ(place.job, "job1");
}

TEST(ProcessPlace, OpenMpiOnSeveralMachinesNeedsOne) {
  const Variables two = with(kOpenMpi, {{"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}, {"OMPI_COMM_WORLD_LOCAL_RANK", "1"}});
  EXPECT_EQ(refusal_of(two).field(), "MASTER_ADDR");
  EXPECT_EQ(place_of(with(two, {{"MASTER_ADDR", "10.1.1.1"}})).address, "10.1.1.1");
}

TEST(ProcessPlace, Mpich) {
  const ProcessPlace place = place_of(kMpich);
  EXPECT_EQ(place.index, 1u);
  EXPECT_EQ(place.size, 2u);
  EXPECT_EQ(place.local_index, 1u);
  EXPECT_EQ(place.address, "127.0.0.1");
}

TEST(ProcessPlace, Slurm) {
  const ProcessPlace place = place_of(kSlurm);
  EXPECT_EQ(place.index, 9u);
  EXPECT_EQ(place.size, 16u);
  EXPECT_EQ(place.local_index, 1u);
  EXPECT_EQ(place.launcher, "srun");
  EXPECT_EQ(place.address, "gpu07");
  EXPECT_EQ(place.job, "4711");
  Variables no_list = kSlurm;
  no_list.erase("SLURM_STEP_NODELIST");
  EXPECT_EQ(place_of(no_list).address, "x");
  no_list.erase("SLURM_NODELIST");
  EXPECT_EQ(place_of(no_list).address, "10.0.0.7");
  EXPECT_EQ(place_of(with(kSlurm, {{"SLURM_NNODES", "1"}})).address, "127.0.0.1");
}

/// srun --mpi=pmi2 sets PMI_RANK and PMI_SIZE without the local rank.
TEST(ProcessPlace, SlurmThatSpeaksPmi) {
  EXPECT_EQ(place_of(with(kSlurm, {{"PMI_RANK", "9"}, {"PMI_SIZE", "16"}})).launcher, "srun");
}

/// mpirun inside a batch job: its own ranks count, whatever the job's script was told.
TEST(ProcessPlace, OpenMpiInsideSlurm) {
  const ProcessPlace place = place_of(with(kOpenMpi, kSlurm));
  EXPECT_EQ(place.launcher, "mpirun");
  EXPECT_EQ(place.index, 3u);
}

TEST(ProcessPlace, FirstHostOfANodeList) {
  EXPECT_EQ(first_host("node[012-015,20],login1"), "node012");
  EXPECT_EQ(first_host("rack[1-2]n[3-4],x"), "rack1n3");
  EXPECT_EQ(first_host("a,b"), "a");
  EXPECT_EQ(first_host("single.example.org"), "single.example.org");
  EXPECT_EQ(first_host(""), "");
  EXPECT_EQ(first_host("node[012"), "");
}

TEST(ProcessPlaceRefusals, GarbageNamesItsVariable) {
  for (const auto& [name, base] :
       {std::pair{"RANK", kTorchrun}, std::pair{"WORLD_SIZE", kTorchrun}, std::pair{"LOCAL_RANK", kTorchrun},
        std::pair{"MASTER_PORT", kTorchrun}, std::pair{"LOCAL_WORLD_SIZE", kTorchrun},
        std::pair{"OMPI_COMM_WORLD_SIZE", kOpenMpi}, std::pair{"PMI_RANK", kMpich}, std::pair{"SLURM_LOCALID", kSlurm},
        std::pair{"SLURM_NNODES", with(kSlurm, {{"SLURM_STEP_NODELIST", ""}})}}) {
    for (const char* garbage : {"x", "-1", "3 ", "1e3", "99999999999999999999", "0x2", "1.0"}) {
      EXPECT_EQ(refusal_of(with(base, {{name, garbage}})).field(), name) << garbage;
    }
  }
  EXPECT_EQ(refusal_of(with(kTorchrun, {{"MASTER_PORT", "0"}})).field(), "MASTER_PORT");
  EXPECT_EQ(refusal_of(with(kTorchrun, {{"MASTER_PORT", "65536"}})).field(), "MASTER_PORT");
  EXPECT_EQ(refusal_of(with(kTorchrun, {{"WORLD_SIZE", "0"}})).field(), "WORLD_SIZE");
}

TEST(ProcessPlaceRefusals, WhatIsMissing) {
  for (const char* name : {"RANK", "WORLD_SIZE", "LOCAL_RANK"}) {
    Variables without = kTorchrun;
    without.erase(name);
    EXPECT_EQ(refusal_of(without).field(), name);
    EXPECT_EQ(refusal_of(with(kTorchrun, {{name, ""}})).field(), name) << "set to nothing";
  }
  Variables no_address = kTorchrun;
  no_address.erase("MASTER_ADDR");
  EXPECT_EQ(refusal_of(no_address).field(), "MASTER_ADDR");
}

TEST(ProcessPlaceRefusals, Contradictions) {
  EXPECT_EQ(refusal_of(with(kTorchrun, {{"RANK", "16"}})).field(), "RANK");
  EXPECT_EQ(refusal_of(with(kTorchrun, {{"LOCAL_RANK", "4"}})).field(), "LOCAL_RANK");
  // Copied by a script, wrongly: as many processes, another number.
  const Variables copied = with(kOpenMpi, {{"RANK", "2"}, {"WORLD_SIZE", "4"}, {"LOCAL_RANK", "2"}});
  const InputError error = refusal_of(with(copied, {{"LOCAL_WORLD_SIZE", "4"}}));
  EXPECT_EQ(error.field(), "RANK");
  EXPECT_NE(std::string(error.what()).find("OMPI_COMM_WORLD_RANK"), std::string::npos) << error.what();
}

TEST(ProcessPlaceRefusals, OneProcessOrOnePerRank) {
  EXPECT_NO_THROW(require_processes(place_of(kOpenMpi), 4));
  EXPECT_NO_THROW(require_processes(place_of({}), 4));
  try {
    require_processes(place_of(kOpenMpi), 8);
    FAIL() << "4 processes cannot run 8 ranks";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("8 ranks"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("4 processes"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace pgram::testing
