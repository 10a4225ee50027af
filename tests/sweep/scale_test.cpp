#include "cli/sweep/scale.h"

#include <gtest/gtest.h>

#include <thread>

#include "cli/sweep/run_case.h"
#include "sim/simulate.h"
#include "tests/planner/small_models.h"
#include "tests/sweep/all_layouts.h"
#include "tests/sweep/cases.h"

namespace pgram::sweep::test {
namespace {

using pgram::test::layout;
using pgram::test::work;

const ParallelFor in_order = [](size_t n, const std::function<void(size_t)>& f) {
  for (size_t i = 0; i < n; ++i) f(i);
};

void in_two_threads_backwards(size_t n, const std::function<void(size_t)>& f) {
  const auto half = [&](size_t odd) {
    for (size_t i = n; i-- > 0;) {
      if (i % 2 == odd) f(i);
    }
  };
  std::thread other([&] { half(1); });
  half(0);
  other.join();
}

double whole_step(const Model& model, const Cluster& cluster, const Candidate& c, NetworkLevel level) {
  SimulationOptions options;
  options.network = level;
  options.keep_spans = false;
  if (level == NetworkLevel::analytic) options.collective_share = 0;
  return to_seconds(simulate(make_plan(model, c.layout, c.workload), cluster, options).makespan);
}

TEST(StepTimes, LongStepsFollowFromShortOnes) {
  const Model model = find_model("tiny-llama");
  const Cluster cluster = find_cluster("dgx-h100:1");
  int followed = 0;
  for (const Candidate& c : layouts_of(model, work(64, 1, 64, Precision::bf16), 8)) {
    for (const NetworkLevel level : {NetworkLevel::analytic, NetworkLevel::flow}) {
      const double whole = whole_step(model, cluster, c, level);
      EXPECT_NEAR(step_time(model, cluster, c.layout, c.workload, level).seconds, whole, 1e-3 * whole)
          << to_text(c.layout) << " mb" << c.workload.micro_batch;
    }
    followed += repetition(c.layout, micro_batches(c.layout, c.workload), 0).periods > 0;
  }
  EXPECT_GT(followed, 10);
}

TEST(StepTimes, RepetitionIsWhatIsMissing) {
  // pp 4: two numbers of micro-batches, 4 + 8 and 8 more; of 100 are missing 80, ten times 8.
  const Repetition long_step = repetition(layout("pp4"), 100, 0);
  EXPECT_EQ(long_step.first, 12u);
  EXPECT_EQ(long_step.second, 20u);
  EXPECT_EQ(long_step.periods, 10);
  EXPECT_EQ(repetition(layout("pp4"), 20, 0).second, 20u);
  EXPECT_EQ(repetition(layout("pp4"), 20, 0).periods, 0);
  EXPECT_EQ(repetition(layout("pp4"), 100, 100).second, 100u);
}

TEST(StepTimes, NoStepIsShorterThanTheLeastTime) {
  for (const char* name : {"tiny-llama", "tiny-gpt2"}) {
    const Model model = find_model(name);
    const Cluster cluster = find_cluster("dgx-h100:2");
    LeastTime least(model, cluster);
    int legal = 0;
    for (const Candidate& c : layouts_of(model, work(32, 1, 64, Precision::bf16), 16)) {
      const double time = step_time(model, cluster, c.layout, c.workload, NetworkLevel::analytic).seconds;
      EXPECT_LE(least.seconds(c.layout, c.workload), time) << name << " " << to_text(c.layout);
      EXPECT_GT(least.seconds(c.layout, c.workload), 0.05 * time) << name << " " << to_text(c.layout);
      ++legal;
    }
    EXPECT_GT(legal, 20);
  }
}

/// tiny-llama on a node whose devices hold `memory` bytes.
Cluster node_with(uint64_t memory) {
  Cluster cluster = find_cluster("dgx-h100:1");
  cluster.device.memory_bytes = memory;
  return cluster;
}

TEST(BestLayout, NoLegalLayoutIsBetter) {
  const Model model = find_model("tiny-llama");
  const Workload w = work(16, 1, 64, Precision::bf16);
  LayoutSearch all, few;
  all.micro_batch_sizes = few.micro_batch_sizes = {1, 2};
  all.finalists = 1000;
  int limited = 0;
  for (const uint64_t memory : {~uint64_t{0} >> 1, uint64_t{20} << 20, uint64_t{12} << 20}) {
    const Cluster cluster = node_with(memory);
    double best = 1e9, unlimited = 1e9;
    for (const Candidate& c : layouts_of(model, w, 8)) {
      const double time = whole_step(model, cluster, c, NetworkLevel::flow);
      unlimited = std::min(unlimited, time);
      if (fullest(model, c.layout, c.workload) <= memory) best = std::min(best, time);
    }
    const BestLayouts found = best_layouts(model, cluster, 8, w, all, in_order);
    ASSERT_TRUE(found.best);
    EXPECT_DOUBLE_EQ(found.best->time.seconds, best);
    EXPECT_DOUBLE_EQ(found.unlimited->time.seconds, unlimited);
    EXPECT_LE(found.best->time.memory_bytes, memory);
    limited += best > unlimited;
    // The few that the analytic network likes best are good enough.
    EXPECT_LE(best_layouts(model, cluster, 8, w, few, in_order).best->time.seconds, 1.01 * best);
  }
  EXPECT_GT(limited, 0);
  EXPECT_FALSE(best_layouts(model, node_with(1000), 8, w, all, in_order).best);
}

ScaleQuestion small_question() {
  ScaleQuestion question;
  question.model = "tiny-llama";
  question.cluster = "dgx-h100";
  question.gpus = {2, 4, 8, 16, 32};
  question.workload = work(64, 1, 64, Precision::bf16);
  return question;
}

ScaleAnswer answer_to(const ScaleQuestion& question, const ParallelFor& parallel_for = in_order) {
  return answer(question, parallel_for, [](double) {});
}

double sum_of(const TimeParts& parts) {
  double sum = 0;
  for (const double part : parts) sum += part;
  return sum;
}

TEST(ComputeScaling, PartsAddUpToTheStepAndToTheGap) {
  const ScaleAnswer found = answer_to(small_question());
  for (const auto* points : {&found.strong, &found.weak}) {
    ASSERT_EQ(points->size(), 5u);
    const ComputePoint& first = points->front();
    for (const ComputePoint& point : *points) {
      ASSERT_EQ(point.unfit, "");
      EXPECT_NEAR(sum_of(point.seconds), point.step_seconds, 1e-9 * point.step_seconds);
      EXPECT_DOUBLE_EQ(point.ideal_flops_per_second, first.flops_per_second * point.gpus / first.gpus);
      const double gap = point.gpus * (1 - point.flops_per_second / point.ideal_flops_per_second);
      EXPECT_NEAR(sum_of(point.lost), gap, 1e-9 * point.gpus);
      // FLOP/s by its definition: 6 a parameter and so on, tokens of a step over its time.
      const double tokens = double(point.workload.global_batch) * 64;
      EXPECT_NEAR(point.flops_per_second,
                  training_flops_per_token(find_model("tiny-llama"), 64) * tokens / point.step_seconds,
                  1e-6 * point.flops_per_second);
      EXPECT_NEAR(point.tokens_per_second, tokens / point.step_seconds, 1e-9 * point.tokens_per_second);
      EXPECT_GE(point.lost_to_memory(), 0);
      EXPECT_EQ(point.layout.ranks(), point.gpus);
    }
    for (const double part : first.lost) EXPECT_NEAR(part, 0, 1e-12);
  }
  // Strong: 64 sequences everywhere. Weak: 2 a GPU.
  EXPECT_EQ(found.strong.front().workload.global_batch, 64u);
  EXPECT_EQ(found.weak.front().workload.global_batch, 4u);
  EXPECT_EQ(found.weak.back().workload.global_batch, 64u);
  EXPECT_EQ(found.weak.back().step_seconds, found.strong.back().step_seconds) << "the same question";
}

TEST(ComputeScaling, IdealLineByHand) {
  // 2 GPUs: 1 s a step of 10 FLOP, half kernels, half bubble: 0.2 device-seconds a FLOP, of them 0.1 bubble.
  // 4 GPUs: 0.8 s, 0.5 s kernels and 0.3 s data parallel: 0.32 device-seconds a FLOP. Ideal 0.5 s: 62.5 % of the line,
  // 1.5 GPUs lost: (0.2 - 0.1) / 0.32 x 4 = 1.25 to kernels, -1.25 to the bubble, 0.12 / 0.32 x 4 = 1.5 to data.
  std::vector<ComputePoint> points(3);
  points[0].gpus = 1;
  points[0].unfit = "no layout fits into memory";
  points[1].gpus = 2;
  points[1].step_seconds = 1;
  points[1].flops_per_second = 10;
  points[1].seconds[static_cast<size_t>(TimePart::kernels)] = 0.5;
  points[1].seconds[static_cast<size_t>(TimePart::bubble)] = 0.5;
  points[2].gpus = 4;
  points[2].step_seconds = 0.8;
  points[2].flops_per_second = 12.5;
  points[2].seconds[static_cast<size_t>(TimePart::kernels)] = 0.5;
  points[2].seconds[static_cast<size_t>(TimePart::data_parallel)] = 0.3;
  draw_ideal_line(points);
  EXPECT_DOUBLE_EQ(points[0].ideal_flops_per_second, 5);
  EXPECT_DOUBLE_EQ(points[2].ideal_flops_per_second, 20);
  EXPECT_DOUBLE_EQ(points[2].lost[static_cast<size_t>(TimePart::kernels)], 1.25);
  EXPECT_DOUBLE_EQ(points[2].lost[static_cast<size_t>(TimePart::bubble)], -1.25);
  EXPECT_DOUBLE_EQ(points[2].lost[static_cast<size_t>(TimePart::data_parallel)], 1.5);
  EXPECT_DOUBLE_EQ(sum_of(points[2].lost), 4 * (1 - 12.5 / 20));
}

TEST(ComputeScaling, FiguresAreThoseOfACase) {
  // Also where the step is so long that they follow from two shorter ones: 2 GPUs have 64 micro-batches or more.
  ScaleQuestion question = small_question();
  question.gpus = {2, 32};
  question.workload.global_batch = 128;
  question.search.micro_batch_sizes = {1};
  const ScaleAnswer found = answer_to(question);
  Inputs inputs;
  int followed = 0;
  for (const ComputePoint& point : found.strong) {
    Case c;
    c.model = "tiny-llama";
    c.cluster = point.cluster;
    c.devices = point.gpus;
    c.layout = point.layout;
    c.workload = point.workload;
    const Outcome outcome = run_case(c, plan_case(c, inputs), inputs);
    ASSERT_EQ(outcome.error + outcome.unfit, "");
    const Figures& f = outcome.figures;
    EXPECT_NEAR(point.step_seconds, f.step_seconds, 1e-4 * f.step_seconds);
    EXPECT_NEAR(point.flops_per_second, f.model_flops_per_second, 1e-4 * f.model_flops_per_second);
    EXPECT_NEAR(point.model_flops_utilisation, f.model_flops_utilisation, 1e-4);
    EXPECT_NEAR(point.dollars_per_million_tokens, f.dollars_per_million_tokens, 1e-4 * f.dollars_per_million_tokens);
    EXPECT_NEAR(point.seconds[static_cast<size_t>(TimePart::kernels)], (f.forward + f.backward) * f.step_seconds,
                1e-4 * f.step_seconds);
    EXPECT_NEAR(point.seconds[static_cast<size_t>(TimePart::bubble)], (f.fill + f.steady + f.drain) * f.step_seconds,
                1e-4 * f.step_seconds);
    EXPECT_EQ(point.memory_bytes, f.memory_bytes);
    followed += repetition(point.layout, micro_batches(point.layout, point.workload), 0).periods > 0;
  }
  EXPECT_GT(followed, 0);
}

TEST(ComputeScaling, StrongScalingStaysBelowTheIdealLine) {
  // A step that fits everywhere cannot be divided without loss: the best of n devices, run one after the other on
  // fewer, would be as good there. Kernels that are cut smaller are no faster, up to what caches and rounding of tiles
  // give.
  for (const char* model : {"tiny-llama", "llama-3.1-8b"}) {
    ScaleQuestion question = small_question();
    question.model = model;
    question.gpus = {8, 16, 32};
    question.workload = work(32, 1, 1024, Precision::bf16);
    for (const ComputePoint& point : answer_to(question).strong) {
      EXPECT_LE(point.flops_per_second, 1.001 * point.ideal_flops_per_second) << model << " " << point.gpus;
    }
  }
}

void expect_same(const ScaleAnswer& a, const ScaleAnswer& b) {
  for (const auto points : {&ScaleAnswer::strong, &ScaleAnswer::weak}) {
    ASSERT_EQ((a.*points).size(), (b.*points).size());
    for (size_t i = 0; i < (a.*points).size(); ++i) {
      const ComputePoint &x = (a.*points)[i], &y = (b.*points)[i];
      EXPECT_EQ(x.layout, y.layout);
      EXPECT_EQ(x.workload, y.workload);
      EXPECT_EQ(x.unlimited.layout, y.unlimited.layout);
      EXPECT_EQ(x.step_seconds, y.step_seconds);
      EXPECT_EQ(x.lost, y.lost);
      EXPECT_EQ(x.simulated, y.simulated);
    }
  }
}

TEST(Scale, SameAnswerForEveryParallelFor) {
  expect_same(answer_to(small_question()), answer_to(small_question(), in_two_threads_backwards));
}

TEST(Scale, StoppedKeepsWhatWasFound) {
  // 5 numbers of GPUs: 5 points of memory, then strong and weak by turns. Stopped after 8: 2 strong, 1 weak.
  std::stop_source source;
  int done = 0;
  std::vector<double> fractions;
  const ScaleAnswer found = answer(
      small_question(), in_order,
      [&](double fraction) {
        fractions.push_back(fraction);
        if (++done == 8) source.request_stop();
      },
      source.get_token());
  EXPECT_TRUE(found.stopped);
  EXPECT_EQ(found.memory.size(), 5u);
  EXPECT_EQ(found.strong.size(), 2u);
  EXPECT_EQ(found.weak.size(), 1u);
  EXPECT_GT(found.strong.back().ideal_flops_per_second, 0);
  ASSERT_EQ(fractions.size(), 8u);
  EXPECT_DOUBLE_EQ(fractions.back(), 8.0 / 15);
}

TEST(Scale, PowersOfTwoBetweenTheBounds) {
  EXPECT_EQ(parse_gpus("8:64"), (std::vector<uint32_t>{8, 16, 32, 64}));
  EXPECT_EQ(parse_gpus("12:100"), (std::vector<uint32_t>{12, 16, 32, 64, 100}));
  EXPECT_EQ(parse_gpus("7"), (std::vector<uint32_t>{7}));
  EXPECT_EQ(parse_gpus("1:1048576").size(), 21u);
  for (const char* bad : {"", ":", "8:", ":8", "0:8", "8:1048577", "eight", "8:16:32", "-8:8", "8.5:16", " 8:16"}) {
    expect_refused([&] { parse_gpus(bad); }, {"--gpus", "FIRST:LAST"});
  }
  expect_refused([&] { parse_gpus("16:8"); }, {"--gpus", "'16:8' begins above its end"});
}

TEST(Scale, WeakBatchesDivideAsTheGpusDo) {
  // 512 sequences on 100 GPUs are 5.12 each: 40.96 on 8, in eights 40; 81.92 on 16: 80; 327.68 on 64: 320.
  ScaleQuestion question = small_question();
  question.gpus = {2, 8, 16, 64, 100};
  question.workload.global_batch = 512;
  EXPECT_EQ(weak_batch(question, 8), 40u);
  EXPECT_EQ(weak_batch(question, 16), 80u);
  EXPECT_EQ(weak_batch(question, 64), 320u);
  EXPECT_EQ(weak_batch(question, 100), 512u);
  question.workload.global_batch = 25;  // a quarter each: 4 on 16, and none on 2 would be no step
  EXPECT_EQ(weak_batch(question, 16), 4u);
  EXPECT_EQ(weak_batch(question, 2), 1u);
  EXPECT_EQ(weak_batch(question, 100), 25u);
}

TEST(Scale, ClustersGrowByNodes) {
  EXPECT_EQ(cluster_with("dgx-h100", 4), "dgx-h100");
  EXPECT_EQ(cluster_with("dgx-h100", 8), "dgx-h100");
  EXPECT_EQ(cluster_with("dgx-h100", 9), "dgx-h100:2");
  EXPECT_EQ(cluster_with("dgx-h100@2", 4096), "dgx-h100:512@2");
  EXPECT_EQ(cluster_with("torus-4x4x4", 16), "torus-4x4x4");
  expect_refused([&] { cluster_with("torus-4x4x4", 128); },
                 {"--gpus", "torus-4x4x4 cannot grow to 128 devices", "has one size"});
  expect_refused([&] { cluster_with("dgx-h100:2", 64); }, {"--cluster", "name it 'dgx-h100'"});
  expect_refused([&] { cluster_with("dgx-h10", 64); }, {"dgx-h10"});
}

}  // namespace
}  // namespace pgram::sweep::test
