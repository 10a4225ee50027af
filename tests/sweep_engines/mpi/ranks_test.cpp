// pgram sweep under a real mpirun: the rows of one process, whatever happens to the ranks.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <map>
#include <set>

#include "cli/mpi/parts.h"
#include "cli/sweep/results.h"
#include "tests/sweep_engines/support/mpirun.h"
#include "tests/sweep_engines/support/sweeps.h"

namespace pgram::engines {
namespace {

class MpiSweep : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = why_no_mpirun(); !why.empty()) GTEST_SKIP() << why;
  }
  std::vector<std::string> command(const std::string& sweep) const {
    return {PGRAM_PROGRAM, "sweep", sweep, "--out", out};
  }
  /// Neither parts nor their lock are left.
  void expect_only_the_results() const {
    EXPECT_EQ(sweep::parts_of(out), std::vector<std::string>{});
    EXPECT_FALSE(std::filesystem::exists(out + ".lock"));
  }

  Folder folder;
  const std::string out = folder / "it's out.db";
};

TEST_F(MpiSweep, OneTwoAndThreeRanksGiveTheRowsOfOneProcess) {
  const std::string sweep = folder.write("sweep.yaml", small_sweep());
  const std::string expected = rows_of_one_machine(folder, sweep);
  ASSERT_EQ(std::count(expected.begin(), expected.end(), '\n'), 53) << expected;
  for (const uint32_t ranks : {1, 2, 3}) {
    std::filesystem::remove(out);
    const Finished finished = run(folder, mpirun(ranks, command(sweep)));
    ASSERT_EQ(finished.code, 0) << finished.err;
    EXPECT_TRUE(contains(finished.out, "52 simulated now")) << finished.out;
    EXPECT_EQ(finished.out.find("Small_sweep.1: "), finished.out.rfind("Small_sweep.1: "))
        << "more than one rank prints";
    EXPECT_EQ(finished.err, "");
    expect_only_the_results();
    EXPECT_EQ(rows_of(folder, sweep, out), expected) << ranks << " ranks";
  }
  const Finished again = run(folder, mpirun(2, command(sweep)));
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_TRUE(contains(again.out, "52 of 52 cases")) << again.out;
  EXPECT_FALSE(contains(again.out, "simulated now")) << again.out;
}

TEST_F(MpiSweep, AShardByRanks) {
  const std::string sweep = folder.write("sweep.yaml", small_sweep());
  for (const char* shard : {"0/2", "1/2"}) {
    std::vector<std::string> words = command(sweep);
    words.insert(words.end(), {"--shard", shard});
    const Finished finished = run(folder, mpirun(2, words));
    ASSERT_EQ(finished.code, 0) << finished.err;
    EXPECT_TRUE(contains(finished.out, "26 simulated now")) << finished.out;
  }
  EXPECT_EQ(rows_of(folder, sweep, out), rows_of_one_machine(folder, sweep));
}

/// Case numbers in a results file; nothing if it is none yet.
std::set<uint64_t> cases_in(const std::string& path) {
  std::set<uint64_t> numbers;
  if (!std::filesystem::exists(path)) return numbers;
  try {
    sweep::Results::open(path).read({.sweep = "", .where = "", .by = ""},
                                    [&](const sweep::Row& row) { numbers.insert(row.inputs.number); });
  } catch (const std::exception&) {
    // It was cut off before it held anything, or is just being made.
  }
  return numbers;
}

size_t cases_in_parts(const std::string& out) {
  size_t cases = 0;
  for (const std::string& part : sweep::parts_of(out)) cases += cases_in(part).size();
  return cases;
}

/// Killed as soon as the ranks have their files, when there are rows, and when there are more; by another number of
/// ranks each time. At any of these moments no case is in two files, so that nothing was repeated; at the end all is
/// there.
TEST_F(MpiSweep, KillingEverythingLosesAndRepeatsNothing) {
  const std::string sweep = folder.write("sweep.yaml", longer_sweep());
  size_t most_cut_off = 0;
  uint32_t ranks = 4;
  for (const size_t enough : {0, 1, 100}) {
    Process job(folder, "job", mpirun(ranks--, command(sweep)));
    ASSERT_TRUE(within(60, [&] {
      return !job.runs() || (!sweep::parts_of(out).empty() && cases_in_parts(out) >= enough);
    })) << job.err();
    folder.kill_all();
    job.wait();
    std::map<uint64_t, int> times;
    std::vector<std::string> files = sweep::parts_of(out);
    files.push_back(out);
    for (const std::string& file : files)
      for (const uint64_t number : cases_in(file)) ++times[number];
    for (const auto& [number, count] : times) EXPECT_EQ(count, 1) << "case " << number << " was simulated again";
    if (times.size() < 832) most_cut_off = std::max(most_cut_off, times.size());
  }
  EXPECT_GT(most_cut_off, 0u) << "no job was killed in the middle";
  const Finished finished = run(folder, mpirun(3, command(sweep)));
  EXPECT_EQ(finished.code, 0) << finished.err;
  expect_only_the_results();
  EXPECT_EQ(rows_of(folder, sweep, out), rows_of_one_machine(folder, sweep));
}

/// mpirun ends the others, and what all of them wrote is taken in, here by a single process.
TEST_F(MpiSweep, ARankThatDiesEndsTheJobAndLosesNothing) {
  const std::string sweep = folder.write("sweep.yaml", longer_sweep());
  Process job(folder, "job", mpirun(3, command(sweep)));
  ASSERT_TRUE(within(60, [&] { return !job.runs() || cases_in_parts(out) > 0; })) << job.err();
  bool one = false;
  folder.kill_all([&](const std::string& line) {
    const bool is_rank = line.starts_with(PGRAM_PROGRAM) && !one;
    one |= is_rank;
    return is_rank;
  });
  EXPECT_NE(job.wait(60), 0) << "the job went on without a rank";
  const size_t written = cases_in_parts(out);
  EXPECT_GT(written, 0u);
  const Finished finished = run(folder, command(sweep));
  EXPECT_EQ(finished.code, 0) << finished.err;
  EXPECT_TRUE(contains(finished.out, std::to_string(832 - written) + " simulated now")) << finished.out;
  expect_only_the_results();
  EXPECT_EQ(rows_of(folder, sweep, out), rows_of_one_machine(folder, sweep));
}

TEST_F(MpiSweep, BadInputIsSaidOnce) {
  const std::string sweep = folder.write("sweep.yaml", small_sweep() + "model: tiny-llama\n");
  const Finished finished = run(folder, mpirun(3, command(sweep)));
  EXPECT_EQ(finished.code, 2);
  const size_t first = finished.err.find("pgram: ");
  ASSERT_NE(first, std::string::npos) << finished.err;
  EXPECT_EQ(finished.err.rfind("pgram: "), first) << finished.err;
  EXPECT_TRUE(contains(finished.err, "sweep.yaml:")) << finished.err;
  EXPECT_EQ(finished.out, "");
  std::vector<std::string> words = command(sweep);
  words.insert(words.end(), {"--by", "speed"});
  const Finished figure = run(folder, mpirun(3, words));
  EXPECT_EQ(figure.code, 2);
  EXPECT_TRUE(contains(figure.err, "pgram: --by: ")) << figure.err;
  EXPECT_EQ(figure.err.rfind("pgram: "), figure.err.find("pgram: ")) << figure.err;
}

/// Rank 1 is started with another file than rank 0: as where nodes do not share a file system.
TEST_F(MpiSweep, ARankWithAnotherSweepEndsTheJob) {
  const std::string a = folder.write("a.yaml", small_sweep()), b = folder.write("b.yaml", longer_sweep());
  for (const std::string& other : {b, folder / "missing.yaml"}) {
    std::vector<std::string> words = mpirun(1, command(a));
    words.insert(words.end(), {":", "-n", "1"});
    const std::vector<std::string> second = command(other);
    words.insert(words.end(), second.begin(), second.end());
    const Finished finished = run(folder, words);
    EXPECT_EQ(finished.code, 2) << finished.err;
    EXPECT_TRUE(contains(finished.err, "pgram: rank 1 on ")) << finished.err;
    EXPECT_TRUE(contains(finished.err, other)) << finished.err;
  }
}

TEST_F(MpiSweep, TwoJobsDoNotWriteTheSameParts) {
  const std::string sweep = folder.write("sweep.yaml", small_sweep());
  const sweep::PartsLock first(out);
  ASSERT_TRUE(first.held());
  const Finished second = run(folder, mpirun(2, command(sweep)));
  EXPECT_EQ(second.code, 2);
  EXPECT_TRUE(contains(second.err, "it's out.db: another mpirun is writing it")) << second.err;
}

/// A program that is not beside its plugin: every rank knows that it is one of two, and none does anything.
TEST_F(MpiSweep, WithoutThePluginNothingIsDone) {
  const std::string program = folder / "pgram";
  std::filesystem::copy_file(PGRAM_PROGRAM, program);
  const std::string sweep = folder.write("sweep.yaml", small_sweep());
  const Finished finished = run(folder, mpirun(2, {program, "sweep", sweep, "--out", out}));
  EXPECT_EQ(finished.code, 2) << finished.err;
  EXPECT_TRUE(contains(finished.err,
                       "pgram: mpirun: started 2 processes, but this pgram is built without MPI; install "
                       "Open MPI with its headers (Debian: openmpi-bin libopenmpi-dev)"))
      << finished.err;
  EXPECT_EQ(finished.out, "");
  EXPECT_FALSE(std::filesystem::exists(out));
}

/// As another MPI's mpirun starts it: each process would believe to be alone.
TEST_F(MpiSweep, AnotherMpisLauncherIsRefused) {
  const std::string sweep = folder.write("sweep.yaml", small_sweep());
  const Finished zero = run(folder, command(sweep), {"PMI_SIZE=2", "PMI_RANK=0"});
  EXPECT_EQ(zero.code, 2);
  EXPECT_TRUE(contains(zero.err, "knows of 1; start them by its own mpirun")) << zero.err;
  const Finished one = run(folder, command(sweep), {"PMI_SIZE=2", "PMI_RANK=1"});
  EXPECT_EQ(one.code, 0) << one.err;
  EXPECT_EQ(one.out + one.err, "");
  EXPECT_FALSE(std::filesystem::exists(out));
}

/// What only tells something is told once.
TEST_F(MpiSweep, CountingAndEmittingAreRankZeros) {
  const std::string sweep = folder.write("sweep.yaml", small_sweep());
  for (const std::vector<std::string>& more : {std::vector<std::string>{"--dry-run"}, {"--emit", "slurm"}}) {
    std::vector<std::string> words = command(sweep);
    words.insert(words.end(), more.begin(), more.end());
    const Finished finished = run(folder, mpirun(3, words));
    EXPECT_EQ(finished.code, 0) << finished.err;
    EXPECT_EQ(finished.out.find("52 cases"), finished.out.rfind("52 cases")) << finished.out;
    EXPECT_TRUE(contains(finished.out, "52 cases")) << finished.out;
  }
}

}  // namespace
}  // namespace pgram::engines
