#include "core/timeline/compare.h"

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "core/base/errors.h"
#include "tests/timeline/hand_made.h"

namespace pgram {
namespace {

const CategoryDifference& find(const Comparison& comparison, Category category) {
  for (const auto& entry : comparison.categories) {
    if (entry.category == category) return entry;
  }
  throw std::runtime_error("no such category");
}

TEST(Compare, ATimelineEqualsItself) {
  const Timeline timeline = hand_made_timeline();
  const Comparison comparison = compare(timeline, timeline);
  EXPECT_EQ(comparison.step_error(), 0);
  ASSERT_EQ(comparison.pairs.size(), 14u);
  for (const SpanPair& pair : comparison.pairs) EXPECT_EQ(pair.a, pair.b);
  EXPECT_TRUE(comparison.only_a.empty() && comparison.only_b.empty());
  for (const auto& kernel : comparison.kernels) EXPECT_EQ(kernel.a, kernel.b);
}

TEST(Compare, FoldedPredictionAgainstEveryMeasuredRank) {
  // 4 measured ranks of 7 spans each: 28 pairs; ranks 0, 1 with the spans of 0 and ranks 2, 3 with those of 2.
  // Times (a = folded, weight 2; b = stretched by 3):
  //   forward   2 * (10 + 10 + 20 + 20) = 120 and 3 * 120 = 360
  //   backward  2 * (30 + 30) = 120 and 360
  //   tensor    2 * (15 + 10) = 50 and 150
  //   pipeline  a: 2 * (4 + 4 + (14 - 10) + (10 - 6)) = 32; waiting is not stretched, so
  //             b: 2 * (12 + 12 + (42 - 10) + (30 - 6)) = 160
  const Timeline a = folded_timeline(), b = unfolded_timeline(a.plan, 3);
  const Comparison comparison = compare(a, b);
  ASSERT_EQ(comparison.pairs.size(), 28u);
  for (const SpanPair& pair : comparison.pairs) {
    EXPECT_EQ(a.spans[pair.a].call, b.spans[pair.b].call);
    EXPECT_EQ(a.spans[pair.a].op, b.spans[pair.b].op);
    EXPECT_EQ(a.spans[pair.a].rank, a.representative_of(b.spans[pair.b].rank));
  }
  EXPECT_TRUE(std::is_sorted(comparison.pairs.begin(), comparison.pairs.end(),
                             [](const SpanPair& x, const SpanPair& y) { return x.a < y.a; }));
  EXPECT_TRUE(comparison.only_a.empty() && comparison.only_b.empty());
  EXPECT_DOUBLE_EQ(comparison.step_error(), (100. - 300.) / 300.);
  EXPECT_EQ(find(comparison, Category::forward).a, 120 * kUnit);
  EXPECT_EQ(find(comparison, Category::forward).b, 360 * kUnit);
  EXPECT_EQ(find(comparison, Category::backward).b, 360 * kUnit);
  EXPECT_EQ(find(comparison, Category::tensor_comm).a, 50 * kUnit);
  EXPECT_EQ(find(comparison, Category::tensor_comm).b, 150 * kUnit);
  EXPECT_EQ(find(comparison, Category::pipeline_comm).a, 32 * kUnit);
  EXPECT_EQ(find(comparison, Category::pipeline_comm).b, 160 * kUnit);

  // Largest difference first, weight 2 against stretched by 3 (the all-reduces last 15 + 10 + 10 + 16 = 51):
  // 2 * 2 * 60 = 240, 2 * 2 * 51 = 204, 2 * 2 * 40 = 160, receives 112 - 16 = 96, 2 * 2 * 20 = 80, sends 2 * 2 * 8 = 32
  const std::vector<std::pair<std::string, Picoseconds>> expected{{"sync.b opaque", 240},   {"sync.b all_reduce", 204},
                                                                  {"second.f opaque", 160}, {"second.f recv", 96},
                                                                  {"first.f opaque", 80},   {"first.f send", 32}};
  ASSERT_EQ(comparison.kernels.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    const auto& kernel = comparison.kernels[i];
    EXPECT_EQ(kernel.body + " " + kernel.kernel, expected[i].first);
    EXPECT_EQ(kernel.b - kernel.a, expected[i].second * kUnit);
  }
  EXPECT_EQ(comparison.kernels[0].count, 4u);  // one sync.b on each of 4 ranks
}

TEST(Compare, ExchangingTheSidesExchangesTheFigures) {
  const Timeline a = folded_timeline(), b = unfolded_timeline(a.plan, 3);
  const Comparison forth = compare(a, b), back = compare(b, a);
  EXPECT_EQ(forth.pairs.size(), back.pairs.size());
  ASSERT_EQ(forth.categories.size(), back.categories.size());
  for (size_t i = 0; i < forth.categories.size(); ++i) {
    EXPECT_EQ(forth.categories[i].a, back.categories[i].b);
    EXPECT_EQ(forth.categories[i].b, back.categories[i].a);
  }
  EXPECT_DOUBLE_EQ(back.step_error(), 2.0);  // (300 - 100) / 100
}

TEST(Compare, SpansOfOneSideOnlyAreNamed) {
  const Timeline a = hand_made_timeline();
  Timeline b = hand_made_timeline();
  auto spans = hand_made_spans();
  spans.erase(spans.begin() + 3);  // rank 0's all-reduce on the tensor stream
  b.set_spans(spans);
  b.steps[0].num_spans = 13;
  const Comparison comparison = compare(a, b);
  EXPECT_EQ(comparison.pairs.size(), 13u);
  EXPECT_EQ(comparison.only_a, std::vector<uint32_t>{3});
  EXPECT_TRUE(comparison.only_b.empty());
  EXPECT_EQ(compare(b, a).only_b, std::vector<uint32_t>{3});
}

TEST(Compare, OtherTasksAreRefused) {
  const Timeline a = hand_made_timeline();
  const auto refused = [&](const std::function<void(Plan&)>& change, const std::string& reason) {
    Timeline b = hand_made_timeline();
    Plan plan = hand_made_plan();
    change(plan);
    b.plan = std::make_shared<Plan>(plan);
    try {
      compare(a, b);
      ADD_FAILURE() << "expected: " << reason;
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find(reason), std::string::npos) << error.what();
    }
  };
  refused([](Plan& plan) { plan.mesh.size = {1, 2, 2}; }, "meshes");
  refused([](Plan& plan) { plan.programs[1].calls[0].micro_batch = 3; }, "calls of role 1");
  refused([](Plan& plan) { plan.bodies[2].ops[0].kernel = Kernel::add; }, "sync.b");
}

TEST(Compare, OtherFactsAreNoOtherPlan) {
  const Timeline a = hand_made_timeline();
  Timeline b = hand_made_timeline();
  Plan plan = hand_made_plan();
  plan.facts["model"] = "renamed";
  b.plan = std::make_shared<Plan>(plan);
  EXPECT_EQ(compare(a, b).pairs.size(), 14u);
}

TEST(Compare, MedianStepsAreCompared) {
  Timeline b = hand_made_timeline();
  b.source = TimelineSource::measured;
  auto spans = hand_made_spans();
  std::vector<Span> three;
  for (int step = 0; step < 3; ++step) {
    for (Span span : spans) {
      span.start += step * 1000 * kUnit;
      span.end += step * 1000 * kUnit;
      three.push_back(span);
    }
  }
  b.set_spans(three);
  b.steps = {{0, 14, 0, 130 * kUnit, 0, 0},
             {14, 14, 1000 * kUnit, 1110 * kUnit, 0, 0},
             {28, 14, 2000 * kUnit, 2120 * kUnit, 0, 0}};
  const Comparison comparison = compare(hand_made_timeline(), b);
  EXPECT_EQ(comparison.step_b, 2u);
  EXPECT_EQ(comparison.step_time_b, 120 * kUnit);
  EXPECT_EQ(comparison.pairs.back().b, 13u);  // counted from the step's first span
}

TEST(Compare, Text) {
  const Timeline a = folded_timeline(), b = unfolded_timeline(a.plan, 2);
  const std::string text = comparison_to_text(a, b, compare(a, b));
  for (const char* line :
       {"           predicted  measured  difference\n", "step time     100 ns    200 ns     -50.0 %\n",
        "bubble        40.0 %    40.0 %      +0.0 %\n", "28 spans matched by task\n"})
    EXPECT_NE(text.find(line), std::string::npos) << line << "in\n" << text;
}

TEST(Compare, JsonSaysTheSame) {
  const Timeline a = folded_timeline(), b = unfolded_timeline(a.plan, 2);
  const auto json = nlohmann::json::parse(comparison_to_json(a, b, compare(a, b)));
  EXPECT_DOUBLE_EQ(json["step_error"], -0.5);
  EXPECT_EQ(json["pairs"], 28);
  EXPECT_EQ(json["rank_bubble_a"], nlohmann::json::parse("[0.5, 0.5, 0.3, 0.3]"));
  EXPECT_EQ(json["source_b"], "measured");
}

}  // namespace
}  // namespace pgram
