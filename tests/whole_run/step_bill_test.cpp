// Energy and price of a step, by hand.
#include "sim/whole_run/step_bill.h"

#include <gtest/gtest.h>

#include "core/timeline/timeline.h"

namespace pgram {
namespace {

/// Four ranks in nodes of two; rank 0 stands for 0, 1 and 2. A step of 10 s.
struct Case {
  Timeline timeline;
  Summary summary;
  Cluster cluster;

  Case() {
    auto plan = std::make_shared<Plan>();
    plan->mesh.size = {1, 4, 1};
    timeline.plan = plan;
    summary.step_time = to_picoseconds(10);
    summary.tokens_per_second = 1000;
    RankSummary first{.rank = 0, .represented = 3, .busy = to_picoseconds(6), .idle = to_picoseconds(4)};
    first.exposed[static_cast<size_t>(Category::tensor_comm)] = to_picoseconds(1);
    first.exposed[static_cast<size_t>(Category::data_comm)] = to_picoseconds(2);
    summary.ranks = {first, {.rank = 3, .busy = to_picoseconds(2), .idle = to_picoseconds(8)}};
    cluster.devices = 4;
    cluster.devices_per_node = 2;
    cluster.device.watts = {.idle = 100, .compute = 600, .communication = 300};
    cluster.operation.node_watts = 1000;
    cluster.operation.pue = 1.2;
    cluster.operation.dollars_per_gpu_hour = 3.6;
  }
  StepBill bill() const { return step_bill(timeline, summary, cluster); }
};

TEST(StepBill, CountsEveryRankByItsStates) {
  const StepBill bill = Case().bill();
  // Ranks 0 to 2: 6 s x 600 W + 3 s x 300 W + 1 s x 100 W = 4,600 J each. Rank 3: 2 x 600 + 8 x 100 = 2,000 J.
  // Devices 15,800 J in 10 s, 395 W each. Two nodes 2 x 1,000 W x 10 s. All of it x 1.2: 42,960 J.
  EXPECT_DOUBLE_EQ(bill.watts_per_device, 395);
  EXPECT_DOUBLE_EQ(bill.joules, 42'960);
  // 4 GPUs x 10 s x 3.6 / 3,600 = 4 cents for 10,000 tokens.
  EXPECT_DOUBLE_EQ(bill.dollars, 0.04);
  EXPECT_DOUBLE_EQ(bill.dollars_per_million_tokens, 4);
  EXPECT_DOUBLE_EQ(bill.joules_per_token, 4.296);
}

TEST(StepBill, NodesCountWhole) {
  Case one;
  auto plan = std::make_shared<Plan>();
  plan->mesh.size = {1, 3, 1};
  one.timeline.plan = plan;
  one.summary.ranks.pop_back();
  // Three devices of 460 W are in two nodes.
  EXPECT_DOUBLE_EQ(one.bill().joules, (3 * 4600 + 2 * 1000 * 10) * 1.2);
  EXPECT_EQ(nodes_of(3, one.cluster), 2u);
  EXPECT_DOUBLE_EQ(idle_watts(3, one.cluster), (3 * 100 + 2 * 1000) * 1.2);
}

TEST(StepBill, WhatIsNotKnownIsZero) {
  Case one;
  one.cluster.device.watts = {};
  EXPECT_EQ(one.bill().joules, 0);
  EXPECT_EQ(one.bill().joules_per_token, 0);
  EXPECT_EQ(one.bill().watts_per_device, 0);
  EXPECT_GT(one.bill().dollars, 0);
  EXPECT_EQ(idle_watts(4, one.cluster), 0);

  Case two;
  two.cluster.operation = {};
  EXPECT_DOUBLE_EQ(two.bill().joules, 15'800) << "the devices alone";
  EXPECT_EQ(two.bill().dollars, 0);
  EXPECT_EQ(two.bill().dollars_per_million_tokens, 0);

  Case three;
  three.summary.ranks.clear();
  EXPECT_EQ(three.bill().joules, 0) << "no spans were kept";
  Case four;
  four.summary.tokens_per_second = 0;
  EXPECT_EQ(four.bill().dollars_per_million_tokens, 0);
  EXPECT_EQ(four.bill().joules_per_token, 0);
}

}  // namespace
}  // namespace pgram
