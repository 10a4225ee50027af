// The two engines, and folded against unfolded simulation, on random plans: equal in every span.
#include <gtest/gtest.h>

#include <map>

#include "core/base/errors.h"
#include "tests/sim/hand_made.h"
#include "tests/sim/random_plans.h"

namespace pgram {
namespace {

using test::RandomCase;
using test::RandomCases;

std::string text(const Timeline& timeline, const Span& s) {
  return to_text(*timeline.plan, {s.rank, s.call, s.op}) + " " + std::to_string(s.start) + " to " +
         std::to_string(s.end);
}

class Engines : public testing::TestWithParam<PointToPoint> {};
class Folding : public testing::TestWithParam<PointToPoint> {};
const auto kBoth = testing::Values(PointToPoint::channels, PointToPoint::paired);
const auto kName = [](const auto& info) { return std::string(name_of(info.param)); };
INSTANTIATE_TEST_SUITE_P(PointToPoint, Engines, kBoth, kName);
INSTANTIATE_TEST_SUITE_P(PointToPoint, Folding, kBoth, kName);

TEST_P(Engines, EqualInEverySpan) {
  RandomCases cases(11, GetParam());
  for (int i = 0; i < 80; ++i) {
    const RandomCase c = cases.next();
    SimulationOptions options;
    options.network = NetworkLevel::analytic;  // the evaluator cannot share links
    options.unfold = i % 2;
    if (i % 3 == 0) options.slow_ranks = {{cases.draw(0, c.plan.mesh.ranks() - 1), 1.37}};
    // Wider than any program here: the evaluator issues without bound.
    options.launch_window = 1u << 20;
    options.engine = Engine::evaluator;
    const SimulationResult a = simulate(c.plan, c.cluster, options);
    options.engine = Engine::events;
    const SimulationResult b = simulate(c.plan, c.cluster, options);
    ASSERT_EQ(a.error, "") << c.text;
    ASSERT_EQ(b.error, "") << c.text;
    ASSERT_EQ(a.makespan, b.makespan) << c.text;
    ASSERT_EQ(a.tasks, b.tasks);
    ASSERT_EQ(a.timeline.spans.size(), b.timeline.spans.size());
    ASSERT_EQ(a.timeline.spans.size(), a.tasks);
    for (size_t s = 0; s < a.timeline.spans.size(); ++s) {
      ASSERT_EQ(a.timeline.spans[s], b.timeline.spans[s]) << c.text << ": " << text(a.timeline, a.timeline.spans[s])
                                                          << " but " << text(b.timeline, b.timeline.spans[s]);
    }
  }
}

/// Spans of each rank that has its own.
std::map<uint32_t, std::vector<Span>> by_rank(const Timeline& timeline) {
  std::map<uint32_t, std::vector<Span>> result;
  for (const Span& span : timeline.spans) result[span.rank].push_back(span);
  return result;
}

TEST_P(Folding, EqualsUnfoldedInEverySpan) {
  RandomCases cases(12, GetParam());
  uint32_t ranks = 0, classes = 0;
  for (int i = 0; i < 80; ++i) {
    RandomCase c = cases.next();
    SimulationOptions options;
    if (i % 4 == 0) options.network = NetworkLevel::analytic;
    if (i % 2) options.collective_share = 0.1;
    if (i % 3 == 0) options.slow_ranks = {{cases.draw(0, c.plan.mesh.ranks() - 1), 1.5}};
    const SimulationResult folded = simulate(c.plan, c.cluster, options);
    options.unfold = true;
    const SimulationResult whole = simulate(c.plan, c.cluster, options);
    c.text += ", network " + folded.timeline.facts.at("network");
    ASSERT_EQ(whole.classes, c.plan.mesh.ranks());
    ranks += whole.classes;
    classes += folded.classes;
    const auto own = by_rank(folded.timeline);
    ASSERT_EQ(own.size(), folded.classes);
    for (const auto& [rank, spans] : by_rank(whole.timeline)) {
      const uint32_t representative = folded.timeline.representative_of(rank);
      const std::vector<Span>& stands_for = own.at(representative);
      ASSERT_EQ(spans.size(), stands_for.size());
      for (size_t s = 0; s < spans.size(); ++s) {
        Span expected = stands_for[s];
        expected.rank = rank;
        ASSERT_EQ(spans[s], expected) << c.text << ": " << text(whole.timeline, spans[s]) << ", folded "
                                      << text(folded.timeline, stands_for[s]);
      }
    }
    ASSERT_EQ(folded.makespan, whole.makespan) << c.text;
  }
  EXPECT_LT(classes, ranks) << "nothing was folded";
}

// 8 ranks dp2 x tp2 x pp2 that are all alike but for their stage fold into the 2 stages. A slow rank differs from its
// tp and dp partners, and so do they from theirs: (its tp coordinate or not) x (its dp or not) x (its stage or not)
// = 8.
TEST(FoldedClasses, StragglerUnfoldsWhatMeetsIt) {
  Model model;
  model.layers = 2;
  model.heads = model.kv_heads = 4;
  model.head_dim = 8;
  model.hidden = model.ffn = 32;
  model.vocabulary = 64;
  model.max_positions = 16;
  model.rotary_dims = 8;
  Layout layout;
  layout.tp = layout.pp = layout.dp = 2;
  Workload work;
  work.global_batch = 4;
  work.sequence = 16;
  const Plan plan = make_plan(model, layout, work);
  Fabric fabric;
  fabric.devices_per_node = 8;
  fabric.inside = {"nvlink", 1e11, 1e-6};
  Cluster cluster;
  build_topology(fabric, cluster);
  cluster.device.fp32_flops_per_second = cluster.device.memory_bytes_per_second = 1e12;
  SimulationOptions options;
  EXPECT_EQ(simulate(plan, cluster, options).classes, 2u);
  EXPECT_EQ(simulate(plan, cluster, options).timeline.representative, (std::vector<uint32_t>{0, 0, 0, 0, 4, 4, 4, 4}));
  options.slow_ranks = {{5, 1.2}};
  EXPECT_EQ(simulate(plan, cluster, options).classes, 8u);
}

TEST(Options, RefusedWithTheirNumbers) {
  test::PlanMaker make(4);
  make.call(0, make.compute("F", 0));
  Cluster cluster;
  cluster.name = "small";
  cluster.devices = 2;
  const auto message = [&](const SimulationOptions& options) -> std::string {
    try {
      simulate(make.plan, cluster, options);
    } catch (const InputError& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_EQ(message({}),
            "cluster: small has 2 devices but the plan needs 4; take a larger cluster or a smaller layout");
  SimulationOptions options = test::laws(1, 1, 0);
  options.launch_window = 0;
  EXPECT_EQ(message(options), "launch window: is 0 tasks; expected at least 1 (1024 is usual)");
  options = test::laws(1, 1, 0);
  options.slow_ranks = {{4, 2.0}};
  EXPECT_EQ(message(options), "slow rank: 4 is not a rank of the plan; expected 0 to 3");
  options.slow_ranks = {{0, -1.0}};
  EXPECT_EQ(message(options), "slow rank: 0 has factor -1.000000; expected a number above 0 (2 = half as fast)");
  options = test::laws(Picoseconds{1} << 62, 1, 0);
  EXPECT_EQ(message(options).find("step: takes more than 10^6 seconds"), 0u);
}

}  // namespace
}  // namespace pgram
