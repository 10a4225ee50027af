// Calls that do again what was seen run as one event of the event loop: nothing in the results tells.
#include <gtest/gtest.h>

#include <array>
#include <random>
#include <utility>

#include "core/timeline/idle.h"
#include "core/timeline/summary.h"
#include "tests/sim/hand_made.h"
#include "tests/sim/random_plans.h"

namespace pgram {
namespace {

using test::PlanMaker;
using test::RandomCase;
using test::RandomCases;
using test::unit_cluster;

std::string text(const Timeline& timeline, const Span& s) {
  return to_text(*timeline.plan, {s.rank, s.call, s.op}) + " " + std::to_string(s.start) + " to " +
         std::to_string(s.end);
}

/// What is known of calls that ran as one, and of the order of tasks, is not asked of their spans again; where nothing
/// is known, all spans are. Gives how many calls were summed up so.
size_t expect_equal_sums(const Timeline& as_one, Timeline all, const std::string& what) {
  EXPECT_EQ(all.in_plan_order, as_one.in_plan_order) << what;
  all.in_plan_order = false;
  const StepGraph graph(as_one, 0), slow(all, 0);
  const Summary a = summarise(graph), b = summarise(slow);
  const IdleSummary idle_a = summarise_idle(graph), idle_b = summarise_idle(slow);
  size_t covered = 0;
  EXPECT_TRUE(all.alike.empty()) << what;
  for (size_t i = 0; i < b.ranks.size(); ++i) {
    const RankSummary &x = a.ranks.at(i), &y = b.ranks[i];
    EXPECT_EQ(x.busy_with, y.busy_with) << what;
    EXPECT_EQ(x.exposed, y.exposed) << what;
    EXPECT_EQ(x.time, y.time) << what;
    EXPECT_EQ(x.idle, y.idle) << what;
    EXPECT_EQ(x.span_idle, y.span_idle) << what;
    EXPECT_EQ(idle_a.ranks.at(i).reason, idle_b.ranks[i].reason) << what;
    EXPECT_EQ(idle_a.ranks[i].task, idle_b.ranks[i].task) << what;
    EXPECT_EQ(graph.last().task(), slow.last().task()) << what;
    if (const auto* compute = graph.compute(x.rank)) covered += compute->covered_calls;
  }
  return covered;
}

/// `covered` counts the calls that were summed up without a look at their spans.
void expect_equal(const Plan& plan, const Cluster& cluster, SimulationOptions options, const std::string& what,
                  size_t& covered) {
  options.engine = Engine::events;
  const SimulationResult a = simulate(plan, cluster, options);
  options.task_by_task = true;
  const SimulationResult b = simulate(plan, cluster, options);
  ASSERT_EQ(a.error, "") << what;
  ASSERT_EQ(b.error, "") << what;
  ASSERT_EQ(a.tasks, b.tasks) << what;
  ASSERT_EQ(a.timeline.spans.size(), a.tasks) << what;
  ASSERT_EQ(b.timeline.spans.size(), b.tasks) << what;
  for (size_t s = 0; s < a.timeline.spans.size(); ++s) {
    ASSERT_EQ(a.timeline.spans[s], b.timeline.spans[s])
        << what << ": " << text(a.timeline, a.timeline.spans[s]) << " but " << text(b.timeline, b.timeline.spans[s]);
  }
  ASSERT_EQ(a.makespan, b.makespan) << what;
  ASSERT_EQ(a.timeline.contention.size(), b.timeline.contention.size()) << what;
  options.keep_spans = false;
  options.task_by_task = false;
  EXPECT_EQ(simulate(plan, cluster, options).makespan, b.makespan) << what;
  covered += expect_equal_sums(a.timeline, b.timeline, what);
  ASSERT_FALSE(testing::Test::HasFailure()) << what;
}

class CallsOfPlans : public testing::TestWithParam<PointToPoint> {};
INSTANTIATE_TEST_SUITE_P(PointToPoint, CallsOfPlans, testing::Values(PointToPoint::channels, PointToPoint::paired),
                         [](const auto& info) { return std::string(name_of(info.param)); });

/// Whole training steps. Narrow launch windows end in such calls, and links are shared or not.
TEST_P(CallsOfPlans, TrainingStepsEqualTaskByTask) {
  RandomCases cases(14, GetParam());
  size_t covered = 0;
  for (int i = 0; i < 80; ++i) {
    const RandomCase c = cases.next();
    SimulationOptions options;
    if (i % 3 == 0) options.network = NetworkLevel::analytic;
    if (i % 4) options.collective_share = std::array{0.0, 0.1, 0.37, 0.6}[i % 4];
    options.unfold = i % 5 == 0;
    if (i % 7 == 0) options.slow_ranks = {{cases.draw(0, c.plan.mesh.ranks() - 1), 1.37}};
    options.launch_window = std::array{7u, 60u, 200u, 1024u}[i / 4 % 4];
    expect_equal(c.plan, c.cluster, options, std::to_string(i) + " " + c.text, covered);
  }
  EXPECT_GT(covered, 0u);
}

/// A layer of two to eight tasks in a row or beside each other, some of them all-reduces of the two ranks of `group`,
/// or of `beside`, the same two on another stream.
uint16_t random_layer(PlanMaker& make, std::mt19937& random, uint16_t group, uint16_t beside) {
  const auto draw = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  Body body;
  body.name = "layer";
  const int tasks = draw(2, 8);
  for (int i = 0; i < tasks; ++i) {
    Op op;
    op.flops = static_cast<uint64_t>(draw(0, 5) ? draw(1, 9) : 0);
    if (draw(0, 2) == 0) {
      op.kernel = Kernel::all_reduce;
      const bool other = draw(0, 3) == 0;
      op.comm = other ? beside : group;
      op.stream = other ? Stream::channel_first : Stream::tensor;
      op.bytes = static_cast<uint64_t>(draw(1, 60) * (draw(0, 1) ? 100 : 1));  // above 1 KiB links are shared
      op.flops = 0;
    }
    op.first_wait = static_cast<uint32_t>(body.waits.size());
    for (int before = std::max(0, i - 2); before < i; ++before) {
      if (draw(0, 2) == 0) continue;
      body.waits.push_back(static_cast<uint16_t>(before));
      ++op.num_waits;
    }
    body.ops.push_back(op);
  }
  make.plan.bodies.push_back(body);
  return static_cast<uint16_t>(make.plan.bodies.size() - 1);
}

/// 60 layers of three kinds; between them all-reduces of other groups on streams of their own, which wait for a task in
/// the middle of the layer before, slow compute down when they come and when they go, and are waited for by later
/// layers. The first task of a layer may wait for one of the layer before, at whose end it comes in between.
Plan random_layers(std::mt19937& random) {
  const auto draw = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  PlanMaker make(1, 2);
  make.plan.mesh.size[1] = 2;
  const auto group = [&](const char* name, AxisMask axes, Stream stream) {
    Communicator c;
    c.name = name;
    c.axes = axes;
    c.stream = stream;
    return make.comm(c);
  };
  const uint16_t tensor = group("tp", kTp, Stream::tensor), data = group("dp", kDp, Stream::data);
  const uint16_t world = group("all", kTp | kDp, Stream::misc), beside = group("tp2", kTp, Stream::channel_first);
  std::array<uint16_t, 3> layers{}, others{};
  for (uint16_t& layer : layers) layer = random_layer(make, random, tensor, beside);
  for (size_t i = 0; i < others.size(); ++i) {
    const bool wide = i == 2;
    others[i] = make.transfer("sum", Kernel::all_reduce, wide ? world : data, wide ? Stream::misc : Stream::data,
                              static_cast<Bytes>(draw(1, 40) * (i == 1 ? 100 : 1)));
  }
  Program& program = make.plan.programs[0];
  program.num_events = 8;
  const bool chained = draw(0, 1);
  bool recorded = false, follows = false;
  for (int i = 0; i < 60; ++i) {
    const uint16_t body = layers[static_cast<size_t>(draw(0, draw(0, 2)))];
    Call call;
    call.body = body;
    call.first_sync = static_cast<uint32_t>(program.syncs.size());
    const int last = static_cast<int>(make.plan.bodies[body].ops.size()) - 1;
    const bool asks = draw(0, 1);
    int op = 0;
    if (std::exchange(follows, chained && draw(0, 9))) program.syncs.push_back({0, 5});
    if (follows) program.syncs.push_back({static_cast<uint16_t>(op = draw(last / 2, last)), 5 | Sync::kRecord});
    if (recorded && draw(0, 3) == 0) program.syncs.push_back({static_cast<uint16_t>(op = draw(op, last)), 4});
    if (asks) program.syncs.push_back({static_cast<uint16_t>(draw(op, last)), 1 | Sync::kRecord});
    call.num_syncs = static_cast<uint16_t>(program.syncs.size() - call.first_sync);
    program.calls.push_back(call);
    if (!asks) continue;
    const size_t kind = static_cast<size_t>(draw(0, 2));
    recorded |= kind < 2;
    make.call(0, others[kind], {1}, kind < 2 ? std::vector<uint16_t>{4} : std::vector<uint16_t>{});
  }
  return make.plan;
}

TEST(CallsAsOne, DisturbedLayersEqualTaskByTask) {
  std::mt19937 random(15);
  const Cluster inside = unit_cluster(1, 4, 4), across = unit_cluster(2, 2, 2, 2);
  size_t covered = 0;
  for (int i = 0; i < 7000; ++i) {
    const Plan plan = random_layers(random);
    SimulationOptions options;
    options.network = i % 3 == 0 ? NetworkLevel::analytic : NetworkLevel::flow;
    options.collective_share = std::array{0.1, 0.37, 0.6, 0.0}[i % 4];
    options.unfold = i % 5 == 0;
    options.launch_window = std::array{3u, 12u, 40u, 1024u}[i / 4 % 4];
    expect_equal(plan, i % 2 ? inside : across, options, std::to_string(i), covered);
  }
  EXPECT_GT(covered, 10000u);
}

}  // namespace
}  // namespace pgram
