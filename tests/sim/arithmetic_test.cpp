// Costs through and through, with unit values: a device of 1 FLOP/s and 1 B/s, wires of 1 B/s and a quarter of a
// second.
#include <gtest/gtest.h>

#include "core/cluster/fabric.h"
#include "tests/sim/hand_made.h"

namespace pgram {
namespace {

using test::PlanMaker;
using test::span_of;

constexpr Picoseconds kSecond = 1'000'000'000'000;

Cluster unit_cluster(uint32_t devices) {
  Fabric fabric;
  fabric.devices_per_node = devices;
  fabric.inside = {"nvlink", 1, 0.25};
  Cluster cluster;
  build_topology(fabric, cluster);
  cluster.name = "unit";
  cluster.device.fp32_flops_per_second = 1;
  cluster.device.memory_bytes_per_second = 1;
  cluster.device.matmul_efficiency = cluster.device.attention_efficiency = cluster.device.memory_efficiency = 1;
  return cluster;
}

SimulationResult run(const Plan& plan, const Cluster& cluster, Engine engine) {
  SimulationOptions options;
  options.engine = engine;
  return simulate(plan, cluster, options);
}

class Arithmetic : public testing::TestWithParam<Engine> {};
INSTANTIATE_TEST_SUITE_P(Engines, Arithmetic, testing::Values(Engine::evaluator, Engine::events));

// 6 FLOPs at 1 FLOP/s and 2 bytes at 1 B/s: the longer one, 6 s. Then 1 FLOP and 4 bytes: 4 s more.
TEST_P(Arithmetic, ComputeTask) {
  PlanMaker make(1);
  Op op;
  op.flops = 6;
  op.bytes = 2;
  make.call(0, make.body("six", op));
  op.flops = 1;
  op.bytes = 4;
  make.call(0, make.body("four", op));
  const SimulationResult result = run(make.plan, unit_cluster(1), GetParam());
  EXPECT_EQ(span_of(result, {0, 0, 0}).end, 6 * kSecond);
  EXPECT_EQ(result.makespan, 10 * kSecond);
  EXPECT_EQ(result.provenance[static_cast<size_t>(Provenance::roofline)], 2u);
}

// A slow rank's 6 s take 9 s at factor 1.5.
TEST_P(Arithmetic, SlowRank) {
  PlanMaker make(1, 2);
  Op op;
  op.flops = 6;
  make.call(0, make.body("six", op));
  SimulationOptions options;
  options.engine = GetParam();
  options.slow_ranks = {{1, 1.5}};
  const SimulationResult result = simulate(make.plan, unit_cluster(2), options);
  EXPECT_EQ(span_of(result, {0, 0, 0}).end, 6 * kSecond);
  EXPECT_EQ(span_of(result, {1, 0, 0}).end, 9 * kSecond);
}

// A ring all-reduce of 4 bytes over 2 devices: 2 (q-1) = 2 steps, each of 4/2 bytes at 1 B/s and two wires' latency of
// 0.25 s: 2 (2 + 0.5) = 5 s.
TEST_P(Arithmetic, AllReduce) {
  PlanMaker make(1, 2);
  Communicator tensor;
  tensor.name = "tp";
  tensor.axes = kTp;
  make.call(0, make.transfer("reduce", Kernel::all_reduce, make.comm(tensor), Stream::tensor, 4));
  EXPECT_EQ(run(make.plan, unit_cluster(2), GetParam()).makespan, 5 * kSecond);
}

// Two messages of 3 bytes: each holds its streams for 3 s and arrives 0.5 s later: arrivals at 3.5 s and 6.5 s, and the
// sender is done at 6 s.
TEST_P(Arithmetic, Send) {
  PlanMaker make(2);
  const uint16_t channel = make.channel(0, 1);
  const uint16_t send = make.transfer("send", Kernel::send, channel, channel_stream(true, false, false), 3);
  const uint16_t receive = make.transfer("recv", Kernel::recv, channel, channel_stream(false, false, true), 3);
  for (int i = 0; i < 2; ++i) {
    make.call(0, send);
    make.call(1, receive);
  }
  const SimulationResult result = run(make.plan, unit_cluster(2), GetParam());
  EXPECT_EQ(span_of(result, {1, 0, 0}).end, 3 * kSecond + kSecond / 2);
  EXPECT_EQ(span_of(result, {1, 1, 0}).start, 3 * kSecond);
  EXPECT_EQ(span_of(result, {1, 1, 0}).end, 6 * kSecond + kSecond / 2);
  EXPECT_EQ(span_of(result, {0, 1, 0}).end, 6 * kSecond);
}

// On shared cores a copy takes part of one. Rank 0 and 1 share 1 core; 3 bytes are copied (3 s of work, by the
// receiver) while rank 0 computes for 3 s: both at half speed, both end at 6 s; the message arrives at 6.5 s.
TEST(SharedCores, CopiesTakeTheirShare) {
  PlanMaker make(2);
  const uint16_t channel = make.channel(0, 1);
  make.call(0, make.transfer("send", Kernel::send, channel, channel_stream(true, false, false), 3));
  make.call(1, make.transfer("recv", Kernel::recv, channel, channel_stream(false, false, true), 3));
  Op op;
  op.flops = 3;
  make.call(0, make.body("three", op));
  Cluster cluster = unit_cluster(2);
  cluster.shared_cores = 1;
  cluster.cores_per_device = 1;
  const SimulationResult result = run(make.plan, cluster, Engine::automatic);
  EXPECT_EQ(result.engine, Engine::events);
  EXPECT_EQ(span_of(result, {0, 0, 0}).end, 6 * kSecond);
  EXPECT_EQ(span_of(result, {0, 1, 0}).end, 6 * kSecond);
  EXPECT_EQ(span_of(result, {1, 0, 0}).end, 6 * kSecond + kSecond / 2);
}

// On one machine communication takes the cores from compute. 2 cores, 2 ranks that compute for 6 s each and meanwhile
// all-reduce 4 bytes at 1 B/s (2 steps of 2 bytes, 4 s of work each): four jobs at half speed until the all-reduce is
// done at 8 s; 2 s of compute are left, alone: 10 s. The evaluator does not see it: 6 s.
TEST(SharedCores, CommunicationTakesThemFromCompute) {
  PlanMaker make(1, 2);
  Communicator data;
  data.axes = kTp;
  data.stream = Stream::data;
  Op op;
  op.flops = 6;
  make.call(0, make.body("six", op));
  make.call(0, make.transfer("reduce", Kernel::all_reduce, make.comm(data), Stream::data, 4));
  Cluster cluster = unit_cluster(2);
  cluster.device.is_cpu = true;
  cluster.device.copy_bytes_per_second = 1;
  cluster.cores_per_device = 1;
  const SimulationResult result = run(make.plan, cluster, Engine::automatic);
  EXPECT_EQ(result.engine, Engine::events);
  EXPECT_EQ(span_of(result, {0, 1, 0}).end, 8 * kSecond);
  EXPECT_EQ(span_of(result, {0, 0, 0}).end, 10 * kSecond);
  EXPECT_EQ(run(make.plan, cluster, Engine::evaluator).makespan, 6 * kSecond);
}

// What a summary needs comes along: FLOPs and tokens from the plan, the peak from the device at the plan's precision.
TEST(Facts, CarryWhatSummariesNeed) {
  PlanMaker make(1);
  Op op;
  op.flops = 1;
  make.call(0, make.body("one", op));
  make.plan.facts = {{"flops_per_step", "123"}, {"tokens_per_step", "7"}, {"precision", "bf16"}};
  Cluster cluster = unit_cluster(1);
  cluster.device.bf16_flops_per_second = 2;
  auto facts = run(make.plan, cluster, Engine::events).timeline.facts;
  EXPECT_EQ(facts["flops_per_step"], "123");
  EXPECT_EQ(facts["tokens_per_step"], "7");
  EXPECT_EQ(std::stod(facts["peak_flops_per_rank"]), 2);
  EXPECT_EQ(facts["network"], "flow: no link is ever full");
  EXPECT_EQ(facts["engine"], "event loop");
  EXPECT_EQ(facts["launch_window"], "1024");
  EXPECT_EQ(facts["folded classes"], "1 of 1 ranks");
}

}  // namespace
}  // namespace pgram
