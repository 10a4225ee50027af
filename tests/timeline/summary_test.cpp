#include "core/timeline/summary.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>

#include "core/base/errors.h"
#include "core/timeline/step_graph.h"
#include "tests/timeline/hand_made.h"

namespace pgram {
namespace {

Picoseconds exposed(const RankSummary& rank, Category category) {
  return rank.exposed[static_cast<size_t>(category)];
}
Picoseconds time(const RankSummary& rank, Category category) {
  return rank.time[static_cast<size_t>(category)];
}

TEST(Summary, RankWithHiddenAndExposedCommunication) {
  // compute [0,10] [10,20] [50,80]: busy 50, idle 50 in [20,50] [80,100]; first to last operation 80 - 50 busy = 30.
  // exposed: tensor [75,90] -> [80,90] = 10; data [85,95] without what tensor took -> [90,95] = 5;
  // sends [10,14] [20,24] -> [20,24] = 4.
  const Summary summary = summarise(hand_made_timeline());
  ASSERT_EQ(summary.ranks.size(), 2u);
  const RankSummary& rank = summary.ranks[0];
  EXPECT_EQ(rank.rank, 0u);
  EXPECT_EQ(rank.busy, 50 * kUnit);
  EXPECT_EQ(rank.idle, 50 * kUnit);
  EXPECT_EQ(rank.span_idle, 30 * kUnit);
  EXPECT_EQ(rank.busy_with[static_cast<size_t>(Category::forward)], 20 * kUnit);
  EXPECT_EQ(rank.busy_with[static_cast<size_t>(Category::backward)], 30 * kUnit);
  EXPECT_EQ(exposed(rank, Category::tensor_comm), 10 * kUnit);
  EXPECT_EQ(exposed(rank, Category::data_comm), 5 * kUnit);
  EXPECT_EQ(exposed(rank, Category::pipeline_comm), 4 * kUnit);
  EXPECT_EQ(time(rank, Category::forward), 20 * kUnit);
  EXPECT_EQ(time(rank, Category::backward), 30 * kUnit);
  EXPECT_EQ(time(rank, Category::tensor_comm), 15 * kUnit);
  EXPECT_EQ(time(rank, Category::data_comm), 10 * kUnit);
  EXPECT_EQ(time(rank, Category::pipeline_comm), 8 * kUnit);
}

TEST(Summary, WaitingIsNotExposedCommunication) {
  // compute [14,84]: busy 70, idle 30 in [0,14] [84,100], no gap between its operations.
  // exposed: tensor [84,94] = 10, data [84,100] -> [94,100] = 6, receive [0,14] without its 10 of waiting = 4.
  const Summary summary = summarise(hand_made_timeline());
  const RankSummary& rank = summary.ranks[1];
  EXPECT_EQ(rank.busy, 70 * kUnit);
  EXPECT_EQ(rank.idle, 30 * kUnit);
  EXPECT_EQ(rank.span_idle, 0);
  EXPECT_EQ(exposed(rank, Category::tensor_comm), 10 * kUnit);
  EXPECT_EQ(exposed(rank, Category::data_comm), 6 * kUnit);
  EXPECT_EQ(exposed(rank, Category::pipeline_comm), 4 * kUnit);
}

TEST(Summary, AStreamOfSeveralKindsOfTasks) {
  // Rank 0's sends are on the data stream, where the sum's place is taken by a task that does not communicate:
  // data [10,14] [20,24] [85,95]. Exposed: tensor [80,90] = 10, the sends' [20,24] = 4, what computes there nothing.
  Timeline timeline = hand_made_timeline();
  Plan plan = *timeline.plan;
  plan.bodies[0].ops[1].stream = Stream::data;
  plan.bodies[2].ops[2].kernel = Kernel::opaque;
  plan.bodies[2].ops[2].comm = kNoComm;
  timeline.plan = std::make_shared<Plan>(plan);
  std::vector<Span> spans(timeline.spans.begin(), timeline.spans.end());
  for (Span& span : spans) {
    if (span.rank == 0 && span.stream == static_cast<uint8_t>(kSendStream))
      span.stream = static_cast<uint8_t>(Stream::data);
  }
  std::ranges::sort(spans, {}, [](const Span& span) { return std::tuple(span.rank, span.stream, span.start); });
  timeline.set_spans(spans);
  const StepGraph graph(timeline, 0);
  ASSERT_NE(graph.compute(0), nullptr);
  for (const Summary& summary : {summarise(timeline), summarise(graph)}) {
    const RankSummary& rank = summary.ranks.at(0);
    EXPECT_EQ(rank.busy, 50 * kUnit);
    EXPECT_EQ(rank.busy_with[static_cast<size_t>(Category::backward)], 30 * kUnit);
    EXPECT_EQ(exposed(rank, Category::tensor_comm), 10 * kUnit);
    EXPECT_EQ(exposed(rank, Category::data_comm), 4 * kUnit);
    EXPECT_EQ(exposed(rank, Category::pipeline_comm), 0);
    EXPECT_EQ(exposed(rank, Category::backward), 0);
    EXPECT_EQ(time(rank, Category::data_comm), 8 * kUnit);
    EXPECT_EQ(time(rank, Category::backward), 40 * kUnit);
  }
}

TEST(Summary, WholeStep) {
  const Summary summary = summarise(hand_made_timeline());
  EXPECT_EQ(summary.step_time, 100 * kUnit);
  EXPECT_DOUBLE_EQ(summary.bubble_of_total, 0.4);        // (50 + 30) / (2 * 100)
  EXPECT_DOUBLE_EQ(summary.bubble_of_ideal, 80. / 120);  // (50 + 30) / (50 + 70)
  EXPECT_DOUBLE_EQ(summary.span_idle_of_total, 0.15);    // (30 + 0) / (2 * 100)
  EXPECT_EQ(summary.peak_memory, 3000u);                 // counter "memory" only; "queue" reaches 9999
  EXPECT_EQ(summary.peak_memory_rank, 0u);
  EXPECT_EQ(summary.ranks[1].peak_memory, 2000u);
  EXPECT_DOUBLE_EQ(summary.tokens_per_second, 8e7);         // 8 tokens in 100 ns
  EXPECT_DOUBLE_EQ(summary.model_flops_utilisation, 0.25);  // 1000 / (1e-7 s * 2e10 * 2 ranks)
  EXPECT_EQ(summary.step_time_spread, 0);
}

TEST(Summary, RatesAreZeroWithoutTheirFacts) {
  Timeline timeline = hand_made_timeline();
  timeline.facts = {{"peak_flops_per_rank", "fast"}, {"tokens_per_step", "-8"}};
  const Summary summary = summarise(timeline);
  EXPECT_EQ(summary.tokens_per_second, 0);
  EXPECT_EQ(summary.model_flops_utilisation, 0);
}

TEST(Summary, RepresentativesWeighAsManyRanksAsTheyStandFor) {
  // Rank 0 stands for ranks 0, 1, 2 (idle 50, busy 50), rank 3 for itself (idle 30, busy 70):
  // (3 * 50 + 30) / 400 = 0.45; (3 * 50 + 30) / (3 * 50 + 70) = 180 / 220; first to last 3 * 30 / 400.
  // The lookup of roles still holds: with pp slowest, ranks 0, 1 have role 0 and ranks 2, 3 role 1.
  Timeline timeline = folded_timeline();
  timeline.representative = {0, 0, 0, 3};
  std::vector<Span> spans(timeline.spans.begin(), timeline.spans.end());
  for (Span& span : spans) span.rank = span.rank == 2 ? 3 : 0;
  timeline.set_spans(spans);
  const Summary summary = summarise(timeline);
  ASSERT_EQ(summary.ranks.size(), 2u);
  EXPECT_EQ(summary.ranks[1].rank, 3u);
  EXPECT_EQ(summary.ranks[0].represented, 3u);
  EXPECT_EQ(summary.ranks[1].represented, 1u);
  EXPECT_DOUBLE_EQ(summary.bubble_of_total, 0.45);
  EXPECT_DOUBLE_EQ(summary.bubble_of_ideal, 180. / 220);
  EXPECT_DOUBLE_EQ(summary.span_idle_of_total, 90. / 400);
}

TEST(Summary, DescribesTheMedianStep) {
  // Three empty-handed steps of 300, 100 and 200: the median is 200, step 2. Spread: (300 - 100) / 200.
  Timeline timeline = hand_made_timeline();
  timeline.steps = {{0, 0, 0, 300, 0, 0}, {0, 0, 300, 400, 0, 0}, {0, 0, 400, 600, 0, 0}};
  const Summary summary = summarise(timeline);
  EXPECT_EQ(summary.step, 2u);
  EXPECT_EQ(summary.step_time, 200);
  EXPECT_DOUBLE_EQ(summary.step_time_spread, 1.0);
  EXPECT_TRUE(summary.ranks.empty());
  EXPECT_EQ(summary.bubble_of_total, 0);
}

TEST(Summary, OverlappingSpansOfOneStreamCountOnce) {
  Timeline timeline = hand_made_timeline();
  timeline.set_spans({make_span(0, 0, 0, Stream::compute, 0, 30), make_span(0, 1, 0, Stream::compute, 20, 50)});
  timeline.steps = {{0, 2, 0, 100 * kUnit, 0, 0}};
  const Summary summary = summarise(timeline);
  EXPECT_EQ(summary.ranks[0].busy, 50 * kUnit);  // [0,50], not 30 + 30
  EXPECT_EQ(summary.ranks[1].busy, 0);
  EXPECT_EQ(summary.ranks[1].idle, 100 * kUnit);
}

TEST(Summary, WithoutStepsIsRefused) {
  Timeline timeline = hand_made_timeline();
  timeline.steps.clear();
  EXPECT_THROW(summarise(timeline), InputError);
}

TEST(Summary, Text) {
  const Timeline timeline = folded_timeline();
  EXPECT_EQ(
      summary_to_text(timeline, summarise(timeline)),
      "step time    100 ns  predicted\n"
      "bubble       40.0 % of the step (66.7 % of the busy time); 15.0 % between a rank's first and last operation\n"
      "memory       2.93 KiB at most, on rank 0\n"
      "tokens       80,000,000 per second\n"
      "utilisation  12.5 % of the peak, in model FLOPs\n"
      "\n"
      "rank             busy     idle  idle share  exposed comm   tensor     data  pipeline    memory\n"
      "0 (+1 alike)  50.0 ns  50.0 ns      50.0 %       19.0 ns  10.0 ns  5.00 ns   4.00 ns  2.93 KiB\n"
      "2 (+1 alike)  70.0 ns  30.0 ns      30.0 %       20.0 ns  10.0 ns  6.00 ns   4.00 ns  1.95 KiB\n");
}

TEST(Summary, TextShowsSixteenRanksAndCountsTheRest) {
  Timeline timeline = hand_made_timeline();
  timeline.plan = std::make_shared<Plan>(hand_made_plan(10));  // 20 ranks
  const std::string text = summary_to_text(timeline, summarise(timeline));
  EXPECT_NE(text.find("\n15 "), std::string::npos) << text;
  EXPECT_EQ(text.find("\n16 "), std::string::npos) << text;
  EXPECT_NE(text.find("\n... 4 more ranks"), std::string::npos) << text;
}

TEST(Summary, JsonSaysTheSame) {
  const Timeline timeline = folded_timeline();
  const auto json = nlohmann::json::parse(summary_to_json(timeline, summarise(timeline)));
  EXPECT_EQ(json["source"], "simulated");
  EXPECT_DOUBLE_EQ(json["step_seconds"], 1e-7);
  EXPECT_DOUBLE_EQ(json["bubble_of_total"], 0.4);
  ASSERT_EQ(json["ranks"].size(), 2u);
  EXPECT_EQ(json["ranks"][1]["rank"], 2);
  EXPECT_EQ(json["ranks"][1]["stands_for"], 2);
  EXPECT_DOUBLE_EQ(json["ranks"][1]["exposed_seconds"][std::string(name_of(Category::pipeline_comm))], 4e-9);
}

}  // namespace
}  // namespace pgram
