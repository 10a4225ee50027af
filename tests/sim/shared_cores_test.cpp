// Processors shared by more ranks than there are cores.
#include <gtest/gtest.h>

#include "core/base/errors.h"
#include "core/planner/schedule.h"
#include "sim/core_sharing.h"
#include "tests/sim/hand_made.h"

namespace pgram {
namespace {

using test::laws;
using test::PlanMaker;
using test::span_of;

Cluster shared(uint32_t cores) {
  Cluster cluster;
  cluster.name = "shared";
  cluster.shared_cores = cores;
  cluster.cores_per_device = 1;
  return cluster;
}

/// `roles` roles of one F each.
Plan independent(uint32_t roles) {
  PlanMaker make(roles);
  const uint16_t f = make.compute("F", 0);
  for (uint32_t role = 0; role < roles; ++role) make.call(role, f);
  return make.plan;
}

// 4 tasks of 10 on 2 cores: each runs at 2/4 of its speed, so all end at 20. On 4 cores: nothing is shared, 10.
TEST(SharedCores, FourTasksOnTwoCoresTakeTwiceAsLong) {
  EXPECT_EQ(simulate(independent(4), shared(2), laws(10, 0, 0)).makespan, 20);
  EXPECT_EQ(simulate(independent(4), shared(4), laws(10, 0, 0)).makespan, 10);
}

// Devices of 2 threads each: 2 ranks want 4 cores, and have 2: half speed.
TEST(SharedCores, ADeviceMayWantSeveralCores) {
  Cluster cluster = shared(2);
  cluster.cores_per_device = 2;
  EXPECT_EQ(simulate(independent(2), cluster, laws(10, 0, 0)).makespan, 20);
}

// Tasks of 10 and 30 on 1 core: both at half speed until the short one ends at 20, with 20 of 30 left for the other,
// alone: 40.
TEST(SharedCores, SpeedFollowsWhoIsThere) {
  PlanMaker make(2);
  make.call(0, make.compute("F", 0));
  make.call(1, make.compute("B", 1));
  const SimulationResult result = simulate(make.plan, shared(1), laws(10, 30, 0));
  EXPECT_EQ(span_of(result, {0, 0, 0}).end, 20);
  EXPECT_EQ(span_of(result, {1, 0, 0}).end, 40);
}

// Ranks that are alike still load the cores each: the 4 tp ranks of one role must not be folded into one.
TEST(SharedCores, FoldingDoesNotChangeTheLoad) {
  PlanMaker make(1, 4);
  make.call(0, make.compute("F", 0));
  const SimulationResult result = simulate(make.plan, shared(2), laws(10, 0, 0));
  EXPECT_EQ(result.classes, 4u);
  EXPECT_EQ(result.makespan, 20);
}

TEST(SharedCores, AutomaticTakesTheEventLoopAndTheEvaluatorRefuses) {
  EXPECT_EQ(simulate(independent(4), shared(2), laws(1, 0, 0)).engine, Engine::events);
  EXPECT_EQ(simulate(independent(2), shared(2), laws(1, 0, 0)).engine, Engine::evaluator);
  EXPECT_THROW(simulate(independent(4), shared(2), laws(1, 0, 0, Engine::evaluator)), InputError);
}

// P = 4 stages on 4 cores follow the law; on 1 core all work is one after the other, whatever the order:
// P M (F + B) = 4 * 6 * (3 + 5) = 192, since some stage always has work.
TEST(SharedCores, OneCoreDoesAllTheWork) {
  const Plan plan = make_schedule_plan(one_f_one_b(4, 6));
  EXPECT_EQ(simulate(plan, shared(4), laws(3, 5, 0)).makespan, (6 + 4 - 1) * (3 + 5));
  EXPECT_NEAR(simulate(plan, shared(1), laws(3'000'000, 5'000'000, 0)).makespan, 192'000'000, 100);
}

// The clock itself: 3 jobs of 2, 4, 6 on 2 cores. Rate 2/3 until the first has done 2: at 3. Then rate 1: the second
// has 2 left, ends at 5; the third 4 left, ends at 7.
TEST(CoreSharing, ByHand) {
  sim::CoreSharing cores(2);
  cores.start(0, 7, 6, 1);
  cores.start(0, 8, 2, 1);
  cores.start(0, 9, 4, 1);
  EXPECT_EQ(cores.next_end(), 3);
  EXPECT_EQ(cores.finish(), 8u);
  EXPECT_EQ(cores.next_end(), 5);
  EXPECT_EQ(cores.finish(), 9u);
  EXPECT_EQ(cores.next_end(), 7);
  EXPECT_EQ(cores.finish(), 7u);
  EXPECT_TRUE(cores.idle());
}

}  // namespace
}  // namespace pgram
