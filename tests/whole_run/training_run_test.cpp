// Runs over days: closed cases by hand, and any run against one that goes step by step.
#include "sim/whole_run/training_run.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/model/model.h"
#include "core/planner/planner.h"
#include "sim/whole_run/random.h"

namespace pgram {
namespace {

/// A checkpoint of 5 s after every 6 steps of 10 s: a cycle takes 65 s. Restarts take 20 s.
const TrainingRun kRun{.step = 10, .checkpoint = 5, .restart = 20, .mtbf = 1000};

void expect_record(const RunRecord& record, RunRecord expected) {
  EXPECT_DOUBLE_EQ(record.useful, expected.useful);
  EXPECT_DOUBLE_EQ(record.checkpoints, expected.checkpoints);
  EXPECT_DOUBLE_EQ(record.lost, expected.lost);
  EXPECT_DOUBLE_EQ(record.restarts, expected.restarts);
  EXPECT_EQ(record.steps, expected.steps);
  EXPECT_EQ(record.failures, expected.failures);
}

RunRecord simulated(Seconds wall, std::vector<Seconds> failures, const TrainingRun& run = kRun) {
  return simulate_run(run, 6, wall, failures);
}

TEST(TrainingRun, WithoutFailuresOnlyCheckpointsCost) {
  // Ten cycles.
  expect_record(simulated(650, {}), {.useful = 600, .checkpoints = 50, .steps = 60});
  EXPECT_DOUBLE_EQ(simulated(650, {}).goodput(), 600.0 / 650);
  // A cycle and 35 s: three more steps and half of another, which is under way.
  expect_record(simulated(100, {}), {.useful = 95, .checkpoints = 5, .steps = 9});
  // A cycle and 62 s: six more steps, and 2 s of the second checkpoint.
  expect_record(simulated(127, {}), {.useful = 120, .checkpoints = 7, .steps = 12});
}

TEST(TrainingRun, AFailureTakesTheWorkSinceTheLastCheckpoint) {
  // 100 s = a cycle + 35 s, which are lost; on from 120 s; until 250 s there are two more cycles.
  std::vector<Recovery> recoveries;
  const RunRecord record = simulate_run(kRun, 6, 250, std::vector<Seconds>{100}, &recoveries);
  expect_record(record, {.useful = 180, .checkpoints = 15, .lost = 35, .restarts = 20, .steps = 18, .failures = 1});
  ASSERT_EQ(recoveries.size(), 1u);
  EXPECT_EQ(recoveries[0].failure, 100);
  EXPECT_EQ(recoveries[0].lost, 35);
  EXPECT_EQ(recoveries[0].back, 120);
  EXPECT_EQ(recoveries[0].step, 6u);
  EXPECT_EQ(record.wall(), 250);
}

TEST(TrainingRun, ACheckpointCountsOnceItIsWhole) {
  // While the first one is written, at 63 s: all is lost. From 83 s on there is one cycle until 148 s.
  expect_record(simulated(148, {63}),
                {.useful = 60, .checkpoints = 5, .lost = 63, .restarts = 20, .steps = 6, .failures = 1});
  // As it ends: nothing is.
  expect_record(simulated(85, {65}), {.useful = 60, .checkpoints = 5, .restarts = 20, .steps = 6, .failures = 1});
}

TEST(TrainingRun, AFailureDuringARestartBeginsItAnew) {
  // 100 s: 35 s lost. Again at 110 s: 10 s of restart spent, 20 s more, on from 130 s; 65 s later a cycle is done.
  std::vector<Recovery> recoveries;
  expect_record(simulate_run(kRun, 6, 195, std::vector<Seconds>{100, 110}, &recoveries),
                {.useful = 120, .checkpoints = 10, .lost = 35, .restarts = 30, .steps = 12, .failures = 2});
  EXPECT_EQ(recoveries[1].lost, 0);
  EXPECT_EQ(recoveries[1].step, 6u);
}

TEST(TrainingRun, TheEndMayComeDuringARestart) {
  expect_record(simulated(108, {100}),
                {.useful = 60, .checkpoints = 5, .lost = 35, .restarts = 8, .steps = 6, .failures = 1});
  // What would come later does not count.
  expect_record(simulated(65, {65, 100}), {.useful = 60, .checkpoints = 5, .steps = 6});
}

TEST(TrainingRun, CheckpointsMayCostNothing) {
  TrainingRun run = kRun;
  run.checkpoint = 0;
  // 130 s = 2 cycles of 60 s + 10 s lost, 20 s of restart, 60 s of steps.
  expect_record(simulated(210, {130}, run), {.useful = 180, .lost = 10, .restarts = 20, .steps = 18, .failures = 1});
}

/// The same second by second. All times are whole seconds.
RunRecord second_by_second(const TrainingRun& run, uint64_t every, int wall, const std::vector<Seconds>& failures) {
  RunRecord record;
  double restart_left = 0, in_cycle = 0, cycles = 0;
  const double work = run.step * static_cast<double>(every), cycle = work + run.checkpoint;
  size_t next = 0;
  for (int second = 0; second < wall; ++second) {
    if (next < failures.size() && failures[next] == second) {
      ++next;
      ++record.failures;
      record.lost += in_cycle;
      in_cycle = 0;
      restart_left = run.restart;
    }
    if (restart_left > 0) {
      --restart_left;
      ++record.restarts;
      continue;
    }
    if (++in_cycle == cycle) {
      ++cycles;
      in_cycle = 0;
    }
  }
  const double since = std::min(in_cycle, work);
  record.useful = cycles * work + since;
  record.checkpoints = cycles * run.checkpoint + in_cycle - since;
  record.steps = static_cast<uint64_t>(cycles) * every + static_cast<uint64_t>(since / run.step);
  return record;
}

TEST(TrainingRun, IsTheSameSecondBySecond) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    uint64_t draws = 0;
    const auto draw = [&](uint64_t most) { return random_bits(seed, draws++) % (most + 1); };
    const TrainingRun run{.step = 1.0 + static_cast<double>(draw(6)),
                          .checkpoint = static_cast<double>(draw(9)),
                          .restart = static_cast<double>(draw(30)),
                          .mtbf = 1};
    const uint64_t every = 1 + draw(7);
    const int wall = 1 + static_cast<int>(draw(2000));
    std::vector<Seconds> failures;
    for (double time = static_cast<double>(draw(150)); time < wall; time += 1.0 + static_cast<double>(draw(150)))
      failures.push_back(time);
    SCOPED_TRACE(seed);
    const RunRecord record = simulate_run(run, every, wall, failures);
    expect_record(record, second_by_second(run, every, wall, failures));
    EXPECT_EQ(record.wall(), wall);
  }
}

TEST(TrainingRun, FailuresComeWithTheirMeanAndTheSameForASeed) {
  // 40,000 expected; the number is Poisson, so its standard deviation is 200.
  const std::vector<Seconds> failures = draw_failures(2.5, 100'000, 7);
  EXPECT_NEAR(static_cast<double>(failures.size()), 40'000, 4 * 200);
  EXPECT_TRUE(std::ranges::is_sorted(failures));
  EXPECT_EQ(failures, draw_failures(2.5, 100'000, 7));
  EXPECT_NE(failures, draw_failures(2.5, 100'000, 8));
  // Longer than their mean are e^-1 of the times between them: 14,715 of 40,000, standard deviation 96.
  size_t longer = 0;
  for (size_t i = 1; i < failures.size(); ++i) longer += failures[i] - failures[i - 1] > 2.5;
  EXPECT_NEAR(static_cast<double>(longer), std::exp(-1) * static_cast<double>(failures.size()), 4 * 96);
}

TEST(TrainingRun, OfAClusterHasTheFailuresOfAllItsNodes) {
  Cluster cluster;
  cluster.devices = 64;
  cluster.devices_per_node = 8;
  EXPECT_FALSE(training_run(10, 1000, 64, cluster));
  cluster.operation.failures = Failures{.node_mtbf = 8000, .restart = 30, .checkpoint_bytes_per_second = 50};
  // Eight nodes: one fails every 8000 / 8 s, 1000 bytes take 1000 / (8 x 50) s to write and to read.
  const TrainingRun run = *training_run(10, 1000, 64, cluster);
  EXPECT_EQ(run.mtbf, 1000);
  EXPECT_EQ(run.checkpoint, 2.5);
  EXPECT_EQ(run.restart, 32.5);
  EXPECT_EQ(run.step, 10);
  // 9 ranks are in two nodes.
  EXPECT_EQ(training_run(10, 1000, 9, cluster)->mtbf, 4000);
  EXPECT_FALSE(training_run(0, 1000, 64, cluster));
}

TEST(TrainingRun, ACheckpointHoldsParametersAndOptimizerStateOnce) {
  const Model model = find_model("tiny-llama");
  const Workload fp32{.global_batch = 8, .micro_batch = 1, .sequence = 64};
  Workload bf16 = fp32;
  bf16.precision = Precision::bf16;
  const auto bytes = [&](const char* layout, const Workload& work) {
    return static_cast<double>(checkpoint_bytes(make_plan(model, parse_layout(layout), work)));
  };
  // AdamW: 4 + 4 + 4 bytes a parameter in fp32, 2 + 4 + 4 + 4 with bf16 (tensors begin at multiples of 64 bytes).
  const double parameters = static_cast<double>(parameter_count(model));
  EXPECT_NEAR(bytes("tp1", fp32) / parameters, 12, 0.01);
  EXPECT_NEAR(bytes("tp1", bf16) / parameters, 14, 0.01);
  EXPECT_EQ(bytes("dp4", fp32), bytes("tp1", fp32));
  EXPECT_NEAR(bytes("pp2.dp2", fp32), bytes("tp1", fp32), 0.001 * bytes("tp1", fp32));
  // Tensor parallel ranks each write their copy of the norms: 9 of 256 parameters in tiny-llama's width.
  EXPECT_GT(bytes("tp2", fp32), bytes("tp1", fp32));
  EXPECT_NEAR(bytes("tp2", fp32), bytes("tp1", fp32), 0.01 * bytes("tp1", fp32));
}

}  // namespace
}  // namespace pgram
