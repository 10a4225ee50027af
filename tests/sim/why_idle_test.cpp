// Why streams are idle, on simulated timelines: the reasons add up exactly, and the pipeline's are those of its laws.
#include <gtest/gtest.h>

#include "core/planner/schedule.h"
#include "core/timeline/critical_path.h"
#include "core/timeline/idle.h"
#include "tests/sim/hand_made.h"
#include "tests/sim/random_plans.h"
#include "tests/timeline/idle_sums.h"

namespace pgram {
namespace {

using test::laws;
using test::unused_cluster;

// 1F1B on P ranks: rank r begins after r forwards and messages, ends as many backwards and messages before the last
// rank's end, and of (P-1)(F+B) idle time (c = 0) has the rest in between: P=4, M=8, F=1, B=2: fill 0 1 2 3, steady
// 9 6 3 0, drain 0 2 4 6.
TEST(WhyIdle, BubbleOfOneForwardOneBackward) {
  const Plan plan = make_schedule_plan(one_f_one_b(4, 8));
  for (const Picoseconds scale : {1, 1700}) {  // below and above the nanoseconds of Span::wait()
    const SimulationResult result = simulate(plan, unused_cluster(), laws(scale, 2 * scale, 0));
    const StepGraph graph(result.timeline, 0);
    for (uint32_t rank = 0; rank < 4; ++rank) {
      const IdleSums sums = sum_idle(graph, idle_of_rank(graph, rank));
      const auto of = [&](IdleReason reason) { return sums.reason[static_cast<size_t>(reason)] / scale; };
      EXPECT_EQ(of(IdleReason::fill), rank);
      EXPECT_EQ(of(IdleReason::steady), 9 - 3 * rank);
      EXPECT_EQ(of(IdleReason::drain), 2 * rank);
      EXPECT_EQ(sums.total(), 9 * scale);
    }
  }
}

// GPipe with messages of c: fill r(F + c), drain r(B + c); makespan (M+P-1)(F+B) + 2c(P-1), so that the rest of
// (P-1)(F+B) + 2c(P-1) is steady. F = 3, B = 5, c = 2, P = 4.
TEST(WhyIdle, BubbleOfGPipeWithLatency) {
  const SimulationResult result = simulate(make_schedule_plan(gpipe(4, 6)), unused_cluster(), laws(3, 5, 2));
  const StepGraph graph(result.timeline, 0);
  for (uint32_t rank = 0; rank < 4; ++rank) {
    const IdleSums sums = sum_idle(graph, idle_of_rank(graph, rank));
    const auto of = [&](IdleReason reason) { return sums.reason[static_cast<size_t>(reason)]; };
    EXPECT_EQ(of(IdleReason::fill), rank * (3 + 2));
    EXPECT_EQ(of(IdleReason::drain), rank * (5 + 2));
    EXPECT_EQ(of(IdleReason::steady), 3 * 8 + 2 * 2 * 3 - rank * 12);
  }
}

// The critical path of 1F1B with messages of c holds its latency: (M+P-1)(F+B) of work and 2c[(P-1) + ...] on the way.
TEST(WhyIdle, CriticalPathOfOneForwardOneBackward) {
  // P = 4, M = 8: 11 (F + B) and 2c (3 + floor(7 * 3 / 4)) = 16 c; F = 3, B = 5, c = 2.
  const SimulationResult result = simulate(make_schedule_plan(one_f_one_b(4, 8)), unused_cluster(), laws(3, 5, 2));
  const CriticalPath path = critical_path(StepGraph(result.timeline, 0));
  EXPECT_EQ(path.work[static_cast<size_t>(Category::forward)], 11 * 3);
  EXPECT_EQ(path.work[static_cast<size_t>(Category::backward)], 11 * 5);
  EXPECT_EQ(path.what[static_cast<size_t>(PathWhat::latency)], 16 * 2);
  EXPECT_EQ(path.length(), 11 * 8 + 32);
}

void expect_explained(const SimulationResult& result, const std::string& text) {
  test::expect_sums_exact(result.timeline, 0, text);
  const StepGraph graph(result.timeline, 0);
  // Nothing bounds what is issued: whatever is idle, the plan says why.
  for (uint32_t rank = 0; rank < result.timeline.plan->mesh.ranks(); ++rank) {
    for (const Idle& idle : idle_of_rank(graph, rank)) {
      ASSERT_NE(idle.reason, IdleReason::host) << text << ": " << to_text(graph, idle) << " at " << idle.start;
      ASSERT_TRUE(idle.awaited.has_value());
    }
  }
  const CriticalPath path = critical_path(graph);
  ASSERT_EQ(path.what[static_cast<size_t>(PathWhat::host)], 0) << text;
  ASSERT_EQ(path.what[static_cast<size_t>(PathWhat::barrier)], 0) << text;
}

TEST(WhyIdle, RandomPlansAreExplainedExactly) {
  for (const PointToPoint p2p : {PointToPoint::channels, PointToPoint::paired}) {
    test::RandomCases cases(p2p == PointToPoint::paired ? 71 : 70, p2p);
    for (int i = 0; i < 20; ++i) {
      const test::RandomCase c = cases.next();
      SimulationOptions options;
      options.engine = Engine::evaluator;
      options.network = NetworkLevel::analytic;
      if (i % 3 == 1) options.slow_ranks = {{cases.draw(0, c.plan.mesh.ranks() - 1), 1.5}};
      const SimulationResult folded = simulate(c.plan, c.cluster, options);
      ASSERT_EQ(folded.error, "");
      expect_explained(folded, c.text);
      if (i % 4) continue;
      options.unfold = true;
      const SimulationResult unfolded = simulate(c.plan, c.cluster, options);
      expect_explained(unfolded, c.text + " unfolded");
      // Alike ranks are idle for the same reasons.
      const StepGraph a(folded.timeline, 0), b(unfolded.timeline, 0);
      for (uint32_t rank = 0; rank < c.plan.mesh.ranks(); ++rank) {
        ASSERT_EQ(sum_idle(a, idle_of_rank(a, rank)).reason, sum_idle(b, idle_of_rank(b, rank)).reason) << c.text;
      }
    }
  }
}

// Flows that meet others take longer and say by whom; nothing else changes in what is explained.
TEST(WhyIdle, SharedLinksAreExplainedExactly) {
  test::RandomCases cases(73);
  Picoseconds by_links = 0;
  for (int i = 0; i < 20; ++i) {
    const test::RandomCase c = cases.next();
    SimulationOptions options;
    options.launch_window = 1u << 20;
    const SimulationResult result = simulate(c.plan, c.cluster, options);
    ASSERT_EQ(result.error, "");
    test::expect_sums_exact(result.timeline, 0, c.text);
    const StepGraph graph(result.timeline, 0);
    for (uint32_t rank = 0; rank < c.plan.mesh.ranks(); ++rank)
      by_links += sum_idle(graph, idle_of_rank(graph, rank)).reason[static_cast<size_t>(IdleReason::link)];
  }
  EXPECT_GT(by_links, 0);
}

// With a window of a few tasks the event loop keeps tasks back: that is the host's, and the sums still are exact.
TEST(WhyIdle, LaunchWindow) {
  test::RandomCases cases(72);
  Picoseconds host = 0;
  for (int i = 0; i < 8; ++i) {
    const test::RandomCase c = cases.next();
    SimulationOptions options;
    options.engine = Engine::events;
    options.launch_window = 4;
    const SimulationResult result = simulate(c.plan, c.cluster, options);
    if (!result.error.empty()) continue;  // a window may be too small for a plan
    test::expect_sums_exact(result.timeline, 0, c.text);
    const StepGraph graph(result.timeline, 0);
    for (const IdleSums& sums : summarise_idle(graph).ranks) host += sums.reason[static_cast<size_t>(IdleReason::host)];
  }
  EXPECT_GT(host, 0);
}

}  // namespace
}  // namespace pgram
