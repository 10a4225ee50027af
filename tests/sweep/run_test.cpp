// Running sweeps: the same rows whoever runs them, in whatever parts, however often it is begun anew.
#include "cli/sweep/run.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "cli/sweep/database.h"
#include "cli/sweep/merge.h"
#include "tests/sweep/cases.h"

namespace pgram::sweep {
namespace {

using namespace test;

TEST(RunSweep, ThreadsDoNotShowInTheRows) {
  const Folder folder;
  const Sweep sweep = sweep_of(folder, kSmall);
  const std::string one = run_whole(folder, sweep, "one.db", 1);
  EXPECT_EQ(run_whole(folder, sweep, "four.db", 4), one);
  EXPECT_EQ(lines(one), 1 + Grid(sweep).cases());
}

TEST(RunSweep, ShardsJoinedAreTheRowsOfOne) {
  const Folder folder;
  const Sweep sweep = sweep_of(folder, kSmall);
  const Grid grid(sweep);
  std::vector<std::string> parts;
  uint64_t rows = 0;
  for (uint64_t shard = 0; shard < 3; ++shard) {
    parts.push_back(folder / "shard" + std::to_string(shard));
    Results results = Results::open_or_make(parts.back(), sweep, grid.cases());
    RunOptions options;
    options.threads = 2;
    options.shard = {shard, 3};
    rows += run_sweep(sweep, grid, results, options).cases;
    EXPECT_EQ(run_sweep(sweep, grid, results, options).cases, 0u);
  }
  EXPECT_EQ(rows, grid.cases());
  EXPECT_EQ(merge_results(folder / "all.db", parts).missing, 0u);
  EXPECT_EQ(csv(folder, folder / "all.db"), run_whole(folder, sweep, "one.db"));
  // The joined file is as good as one that was run: nothing is left to do.
  Results results = Results::open_or_make(folder / "all.db", sweep, grid.cases());
  EXPECT_EQ(run_sweep(sweep, grid, results).cases, 0u);
}

TEST(RunSweep, TheRestOfAShardIsDoneByAWholeRun) {
  const Folder folder;
  const Sweep sweep = sweep_of(folder, kSmall);
  const Grid grid(sweep);
  Results results = Results::open_or_make(folder / "r.db", sweep, grid.cases());
  RunOptions options;
  options.shard = {1, 3};
  const uint64_t part = run_sweep(sweep, grid, results, options).cases;
  EXPECT_GT(part, 0u);
  EXPECT_EQ(run_sweep(sweep, grid, results).cases, grid.cases() - part);
  EXPECT_EQ(csv(folder, folder / "r.db"), run_whole(folder, sweep, "one.db"));
}

TEST(RunSweep, StopsAndGoesOn) {
  const Folder folder;
  const Sweep sweep = sweep_of(folder, kSmall);
  const Grid grid(sweep);
  uint64_t simulated = 0;
  int runs = 0;
  for (bool stopped = true; stopped; ++runs) {
    Results results = Results::open_or_make(folder / "r.db", sweep, grid.cases());
    std::stop_source source;
    RunOptions options;
    options.threads = 2;
    options.stop = source.get_token();
    options.progress = [&](double fraction, uint64_t cases) {
      EXPECT_GE(fraction, 0);
      EXPECT_LE(fraction, 1);
      if (cases >= 10) source.request_stop();
    };
    const RunReport report = run_sweep(sweep, grid, results, options);
    stopped = report.stopped;
    simulated += report.cases;
    ASSERT_LT(runs, 100);
  }
  EXPECT_GE(runs, 3);
  EXPECT_EQ(simulated, grid.cases());  // none was done twice
  EXPECT_EQ(csv(folder, folder / "r.db"), run_whole(folder, sweep, "one.db"));
}

TEST(RunSweep, TwoAtOnceShareTheWork) {
  const Folder folder;
  const Sweep sweep = sweep_of(folder, kSmall);
  const Grid grid(sweep);
  uint64_t cases[2] = {};
  {
    std::jthread both[2];
    for (int i = 0; i < 2; ++i) {
      both[i] = std::jthread([&, i] {
        Results results = Results::open_or_make(folder / "r.db", sweep, grid.cases());
        RunOptions options;
        options.threads = 1;
        cases[i] = run_sweep(sweep, grid, results, options).cases;
        // It returns when all is done, by whomever.
        EXPECT_EQ(results.sweeps()[0].rows, grid.cases());
      });
    }
  }
  EXPECT_EQ(cases[0] + cases[1], grid.cases());
  EXPECT_EQ(csv(folder, folder / "r.db"), run_whole(folder, sweep, "one.db"));
}

TEST(RunSweep, AFailedCaseIsARowAndTheSweepGoesOn) {
  const Folder folder;
  const Sweep sweep = sweep_of(
      folder, std::string(kSmall).replace(std::string(kSmall).find("0:1.3"), 5, "0:1.3\", link: \"x>y:down@1s"));
  run_whole(folder, sweep, "r.db", 2);
  const Results results = Results::open(folder / "r.db");
  EXPECT_EQ(results.count("", ""), Grid(sweep).cases());
  EXPECT_EQ(results.count("", "error <> ''"), results.count("", "disturbance = 'slow-gpu'"));
  EXPECT_GT(results.count("", "error = '' and step_time > 0"), 20u);
  EXPECT_EQ(results.count("", "error <> '' and (step_time <> 0 or memory = 0)"), 0u);
}

TEST(RunSweep, AFullDiskIsOneLineAndWhatWasWrittenStays) {
  const Folder folder;
  const Sweep sweep = sweep_of(folder, kSmall);
  const Grid grid(sweep);
  {
    Results results = Results::open_or_make(folder / "r.db", sweep, grid.cases());
    results.database().execute("PRAGMA max_page_count = " +
                               std::to_string(results.database().integer("PRAGMA page_count") + 1));
    expect_refused([&] { run_sweep(sweep, grid, results, {.threads = 2, .shard = {}, .stop = {}, .progress = {}}); },
                   {folder / "r.db", "disk is full"});
  }
  EXPECT_LT(Results::open(folder / "r.db").sweeps()[0].rows, grid.cases());
  EXPECT_EQ(run_whole(folder, sweep, "r.db"), run_whole(folder, sweep, "one.db"));
}

TEST(RunSweep, TheEstimateLooksAtCasesEverywhere) {
  const Folder folder;
  const Sweep sweep = sweep_of(folder, kSmall);
  const RunEstimate estimate = estimate_run(Grid(sweep));
  EXPECT_GT(estimate.sampled_cases, 10u);
  EXPECT_LE(estimate.sampled_cases, Grid(sweep).cases());
  EXPECT_GT(estimate.seconds, 0);
}

class WorkListTest : public testing::Test {
 protected:
  WorkListTest() : sweep_(sweep_of(folder_, kSmall)), path_(folder_ / "r.db") {}
  Results open() { return Results::open_or_make(path_, sweep_, 100); }

  Folder folder_;
  Sweep sweep_;
  std::string path_;
};

TEST_F(WorkListTest, HandsOutEveryRangeOnce) {
  Results a = open(), b = open();
  WorkList first(a, "small", {}, 10), second(b, "small", {}, 10);
  const auto one = first.claim(4), two = second.claim(4), three = first.claim(4);
  ASSERT_TRUE(one && two && three);
  EXPECT_EQ(one->first, 0u);
  EXPECT_EQ(two->first, 4u);
  EXPECT_EQ(three->first, 8u);
  EXPECT_EQ(three->past, 10u);
  EXPECT_FALSE(second.claim(4));
  first.finish(one->claim);
  first.finish(three->claim);
  EXPECT_FALSE(first.is_finished());  // the other is at work
  second.finish(two->claim);
  EXPECT_TRUE(first.is_finished());
}

TEST_F(WorkListTest, WhatWasGivenBackIsHandedOutAgain) {
  Results a = open(), b = open();
  { WorkList(a, "small", {}, 10).claim(3); }
  WorkList second(b, "small", {}, 10);
  const auto again = second.claim(10), rest = second.claim(10);
  ASSERT_TRUE(again && rest);
  EXPECT_EQ(again->first, 0u);
  EXPECT_EQ(again->past, 3u);
  EXPECT_EQ(rest->first, 3u);
}

TEST_F(WorkListTest, ClaimsOfAnEndedProcessAreVoidAtOnce) {
  { open(); }
  const pid_t child = fork();
  if (child == 0) {
    Results results = open();
    WorkList list(results, "small", {}, 10);
    _exit(list.claim(3) ? 0 : 1);  // without a word, as by kill -9
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_EQ(status, 0);
  Results results = open();
  WorkList list(results, "small", {}, 10);
  const auto again = list.claim(10);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->first, 0u);
  EXPECT_EQ(again->past, 3u);
}

TEST_F(WorkListTest, ClaimsOfAnotherMachineLastUntilItIsSilent) {
  Results a = open(), b = open();
  WorkList far(a, "small", {}, 10);
  const auto claim = far.claim(10);
  const auto heard_before = [&](int64_t seconds) {
    a.database().execute("UPDATE claims SET host = 'elsewhere', process = 1, started = 1, alive = " +
                         std::to_string(std::time(nullptr) - seconds));
  };
  WorkList here(b, "small", {}, 10);
  heard_before(WorkList::kSilenceSeconds / 2);
  EXPECT_FALSE(here.claim(10));
  heard_before(WorkList::kSilenceSeconds + 10);
  ASSERT_TRUE(here.claim(10));
  far.finish(claim->claim);  // it was not silent for ever, but it is too late
  EXPECT_FALSE(here.is_finished());
  here.finish(claim->claim);
  EXPECT_TRUE(here.is_finished());
}

TEST(ShardTest, PartsAreDisjointAndWhole) {
  for (const uint64_t groups : {0, 1, 2, 6, 7}) {
    for (const uint64_t shards : {1, 2, 3, 9}) {
      std::vector<int> taken(groups, 0);
      for (uint64_t shard = 0; shard < shards; ++shard) {
        const Shard part{shard, shards};
        for (uint64_t i = 0; i < part.size(groups); ++i) ++taken.at(part.group(i));
      }
      EXPECT_EQ(taken, std::vector<int>(groups, 1)) << groups << " " << shards;
    }
  }
}

}  // namespace
}  // namespace pgram::sweep
