// The network level `step`: collectives as their own messages, by hand, against the other levels, and by chance.
// Devices of 1 FLOP/s; nothing by hand has a profile of NCCL.
#include <gtest/gtest.h>

#include <cmath>

#include "core/base/errors.h"
#include "core/cluster/fabric.h"
#include "sim/collectives/timing.h"
#include "tests/sim/hand_made.h"
#include "tests/sim/random_plans.h"
#include "tests/timeline/idle_sums.h"

namespace pgram {
namespace {

using test::PlanMaker;
using test::RandomCase;
using test::RandomCases;
using test::span_of;

constexpr Picoseconds kSecond = 1'000'000'000'000;

/// Nodes whose devices hang on one switch by wires of 10 B/s, with a NIC of 1 B/s each; `latency` from device to device
/// through the switch.
Cluster switches(uint32_t nodes, uint32_t per_node, Seconds latency) {
  Fabric fabric;
  fabric.nodes = nodes;
  fabric.devices_per_node = fabric.nics = per_node;
  fabric.inside = {"nvlink", 10, latency / 2};
  fabric.pcie = {"pcie", 4, 0};
  fabric.between = {"infiniband", 1, 0};
  Cluster cluster;
  build_topology(fabric, cluster);
  cluster.name = "switches";
  cluster.device.fp32_flops_per_second = 1;
  cluster.device.memory_bytes_per_second = 1e9;
  cluster.device.matmul_efficiency = cluster.device.attention_efficiency = cluster.device.memory_efficiency = 1;
  return cluster;
}

SimulationOptions by(NetworkLevel level, Algorithm algorithm = Algorithm::ring) {
  SimulationOptions options;
  options.network = level;
  options.collectives.algorithm = algorithm;
  return options;
}

/// All-reduces over all ranks of a tensor-parallel group: one stream after the other.
struct Sums {
  explicit Sums(uint32_t ranks) : make(1, ranks) {}
  /// After `seconds` of compute, if any.
  void add(Bytes bytes, Stream stream, double seconds = 0) {
    Communicator group;
    group.name = "group" + std::to_string(make.plan.comms.size());
    group.axes = kTp;
    group.stream = stream;
    const uint16_t event = static_cast<uint16_t>(make.plan.comms.size());
    const uint16_t sum = make.transfer("sum", Kernel::all_reduce, make.comm(group), stream, bytes);
    if (seconds == 0) return make.call(0, sum);
    Op op;
    op.flops = seconds;
    make.call(0, make.body("compute", op), {}, {event});
    make.call(0, sum, {event});
  }
  PlanMaker make;
};

// 4,000 bytes in parts of 1,000, in 2 x 3 steps of 2 s latency and 100 s over 10 B/s.
TEST(StepLevel, ARingOnASwitch) {
  const Cluster cluster = switches(1, 4, 2);
  ASSERT_EQ(cluster.path(0, 1).latency, 2);
  Sums sums(4);
  sums.add(4000, Stream::tensor);
  for (const NetworkLevel level : {NetworkLevel::step, NetworkLevel::flow, NetworkLevel::analytic}) {
    const SimulationResult result = simulate(sums.make.plan, cluster, by(level));
    for (uint32_t rank = 0; rank < 4; ++rank)
      EXPECT_EQ(span_of(result, {rank % result.classes, 0, 0}).end, 612 * kSecond);
  }
  // 4 messages a step; 4 wires, both ways.
  const SimulationResult result = simulate(sums.make.plan, cluster, by(NetworkLevel::step));
  EXPECT_EQ(result.classes, 4u);
  EXPECT_EQ(result.engine, Engine::events);
  EXPECT_EQ(result.timeline.facts.at("network").find("step: 24 messages of collectives over "), 0u)
      << result.timeline.facts.at("network");
}

// Over the same links at once, without latency: 5 B/s each. The smaller one's 6 steps of 1,000 bytes take 1,200 s; by
// then the larger one has done 3 of its 6 steps of 2,000, and the others take 200 s each: 1,800 s.
TEST(StepLevel, TwoRingsOverTheSameLinks) {
  Sums sums(4);
  sums.add(4000, Stream::tensor);
  sums.add(8000, Stream::data);
  const SimulationResult result = simulate(sums.make.plan, switches(1, 4, 0), by(NetworkLevel::step));
  for (uint32_t rank = 0; rank < 4; ++rank) {
    EXPECT_EQ(span_of(result, {rank, 0, 0}).end, 1200 * kSecond);
    EXPECT_EQ(span_of(result, {rank, 1, 0}).end, 1800 * kSecond);
  }
  // Alone they take 600 and 1,200 s: each lost 600 s to the other, at every rank.
  const std::vector<Contention>& held = result.timeline.contention;
  ASSERT_EQ(held.size(), 8u);
  for (const Contention& c : held) {
    EXPECT_EQ(c.lost, 600 * kSecond);
    EXPECT_EQ(c.call, 1 - result.timeline.spans[c.span].call);
  }
  test::expect_sums_exact(result.timeline, 0, "two rings");
}

// With 100 s of latency and 100 s on the wire for each step, and the second ring 100 s after the first, the one's
// messages are on the wires while the other's are on their way: neither loses anything. As flows, whose latency comes
// first, they meet: from 700 s to 1,100 s both move at 5 B/s.
TEST(StepLevel, RingsThatTakeTurns) {
  Sums sums(4);
  sums.add(4000, Stream::tensor);
  sums.add(4000, Stream::data, 100);
  const Cluster cluster = switches(1, 4, 100);
  const SimulationResult steps = simulate(sums.make.plan, cluster, by(NetworkLevel::step));
  EXPECT_EQ(span_of(steps, {0, 0, 0}).end, 1200 * kSecond);
  EXPECT_EQ(span_of(steps, {0, 2, 0}).end, 1300 * kSecond);
  EXPECT_TRUE(steps.timeline.contention.empty());
  EXPECT_GT(simulate(sums.make.plan, cluster, by(NetworkLevel::flow)).makespan, 1300 * kSecond);
}

// Two members in two nodes: two steps of 1,000 bytes over 1 B/s. At 500 s the first one's NIC goes down, and its
// messages leave by its neighbour's, which a send of 2,000 bytes has: 1/2 B/s each. The first message's other 500 bytes
// take 1,000 s, until 1,500 s. The other member's first message arrived at 1,000 s, so that the second message of the
// first follows at once, with 1/2 B/s; the send, with 1,000 bytes through at 1,500 s, needs 2,000 s more: both end at
// 3,500 s.
TEST(StepLevel, ALinkGoesDown) {
  const Cluster cluster = switches(2, 2, 0);
  PlanMaker make(4);
  Communicator pair;
  pair.name = "pair";
  pair.axes = kPp;
  pair.roles = {0, 2};
  pair.stream = Stream::data;
  const uint16_t sum = make.transfer("sum", Kernel::all_reduce, make.comm(pair), Stream::data, 2000);
  make.call(0, sum);
  make.call(2, sum);
  const uint16_t channel = make.channel(1, 3);
  make.call(1, make.transfer("send", Kernel::send, channel, channel_stream(true, false, false), 2000));
  make.call(3, make.transfer("recv", Kernel::recv, channel, channel_stream(true, false, true), 2000));
  SimulationOptions options = by(NetworkLevel::step);
  EXPECT_EQ(simulate(make.plan, cluster, options).makespan, 2000 * kSecond);
  const ClusterGraph& graph = cluster.graph();
  for (uint32_t i = 0; i < graph.links.size(); ++i) {
    if (graph.vertices[graph.links[i].from].name == "n0.nic0" && graph.vertices[graph.links[i].to].name == "leaf0")
      options.link_changes = {{500 * kSecond, i, 0}};
  }
  ASSERT_EQ(options.link_changes.size(), 1u);
  const SimulationResult result = simulate(make.plan, cluster, options);
  EXPECT_EQ(span_of(result, {0, 0, 0}).end, 3500 * kSecond);
  EXPECT_EQ(span_of(result, {1, 0, 0}).end, 3500 * kSecond);
}

// Of a tree the members end one after another, as the collective alone says (sim/collectives/timing.h), and by NCCL's
// latencies and limits on a cluster that NCCL knows.
TEST(StepLevel, EqualsTheCollectiveAlone) {
  for (const char* name : {"", "dgx-h100:2"}) {
    Cluster cluster = *name ? find_cluster(name) : switches(2, 4, 1e-3);
    const uint32_t ranks = *name ? 16 : 8;
    std::vector<uint32_t> group(ranks);
    for (uint32_t i = 0; i < ranks; ++i) group[i] = i;
    for (const Algorithm algorithm : {Algorithm::ring, Algorithm::tree}) {
      const Bytes bytes = *name ? Bytes{16} << 20 : Bytes{4000};
      Sums sums(ranks);
      sums.add(bytes, Stream::tensor);
      SimulationOptions options = by(NetworkLevel::step, algorithm);
      options.collectives.protocol = Protocol::simple;
      const SimulationResult result = simulate(sums.make.plan, cluster, options);
      const auto chunks =
          sim::default_chunks(Collective::all_reduce, algorithm, Protocol::simple, bytes, group, cluster);
      const sim::StepProgram program =
          sim::make_steps(Collective::all_reduce, algorithm, sim::GroupNodes::of(group, cluster), {0, chunks});
      const sim::StepTimes alone = sim::step_times(program, Protocol::simple, bytes, group, cluster);
      for (uint32_t member = 0; member < ranks; ++member) {
        double last = 0;
        for (size_t i = 0; i < program.transfers.size(); ++i) {
          const sim::Transfer& transfer = program.transfers[i];
          if (transfer.source == member || transfer.target == member) last = std::max(last, alone.finish[i]);
        }
        EXPECT_NEAR(static_cast<double>(span_of(result, {member, 0, 0}).end), last * 1e12, program.steps)
            << name << " " << name_of(algorithm) << ", member " << member;
      }
      EXPECT_TRUE(result.timeline.contention.empty());
    }
  }
}

/// On one switch, or one device a node: every hop is like every other, as the closed forms take them to be (a ring of
/// unlike hops goes as fast as the slowest, which closed forms know of bandwidth but not of latency). Within a
/// picosecond for each step of each task that may follow another.
TEST(StepLevel, EqualsTheOthersWhereNothingIsShared) {
  RandomCases cases(31);
  uint32_t compared = 0;
  for (int i = 0; i < 80; ++i) {
    const RandomCase c = cases.next();
    const uint32_t ranks = c.plan.mesh.ranks();
    Fabric fabric;
    fabric.nodes = i % 2 ? ranks : 1;
    fabric.devices_per_node = fabric.nics = i % 2 ? 1 : ranks;
    fabric.inside = {"nvlink", 3e11, 1e-6};
    fabric.pcie = {"pcie", 6e10, 1e-6};
    fabric.between = {"infiniband", 5e10, 5e-7};
    Cluster cluster = c.cluster;  // the device
    build_topology(fabric, cluster);
    SimulationOptions options = by(NetworkLevel::flow);
    options.collective_share = 0;
    const SimulationResult flow = simulate(c.plan, cluster, options);
    options.network = NetworkLevel::analytic;
    const SimulationResult analytic = simulate(c.plan, cluster, options);
    options.network = NetworkLevel::step;
    const SimulationResult steps = simulate(c.plan, cluster, options);
    if (!flow.timeline.contention.empty() || !steps.timeline.contention.empty()) continue;
    const Picoseconds most = static_cast<Picoseconds>(2 * steps.tasks);
    EXPECT_LE(std::abs(steps.makespan - flow.makespan), most) << c.text;
    EXPECT_LE(std::abs(steps.makespan - analytic.makespan), most) << c.text;
    compared += steps.timeline.facts.at("network").find("step: 0 ") == std::string::npos;
  }
  EXPECT_GT(compared, 15u);
}

TEST(StepLevel, RandomPlans) {
  RandomCases cases(32);
  uint32_t held_back = 0, num_trees = 0;
  for (int i = 0; i < 40; ++i) {
    const RandomCase c = cases.next();
    const bool trees = i % 2 && c.text.find(".sp") == std::string::npos;  // only all-reduces
    SimulationOptions options = by(NetworkLevel::step, trees ? Algorithm::tree : Algorithm::ring);
    const uint32_t links = c.cluster.topology->num_links();
    if (i % 3 == 0 && links > 0) options.link_changes = {{300'000'000, cases.draw(0, links - 1), 0.3}};
    const SimulationResult result = simulate(c.plan, c.cluster, options);
    ASSERT_EQ(result.error, "") << c.text;
    const bool sends = result.timeline.facts.at("network") != "step: nothing is sent";
    EXPECT_TRUE(!sends || result.classes == c.plan.mesh.ranks()) << c.text;
    test::expect_sums_exact(result.timeline, 0, c.text);
    const SimulationResult again = simulate(c.plan, c.cluster, options);
    EXPECT_TRUE(std::ranges::equal(result.timeline.spans, again.timeline.spans)) << c.text;
    EXPECT_EQ(result.timeline.contention.size(), again.timeline.contention.size());
    num_trees += trees;
    held_back += !result.timeline.contention.empty();
  }
  EXPECT_GT(held_back, 5u);
  EXPECT_GT(num_trees, 5u);
}

TEST(StepLevel, RefusesTooManyRanks) {
  Sums sums(2049);
  sums.add(4000, Stream::tensor);
  try {
    simulate(sums.make.plan, switches(257, 8, 0), by(NetworkLevel::step));
    FAIL() << "went on";
  } catch (const InputError& error) {
    EXPECT_STREQ(error.what(),
                 "network: 'step' simulates every rank and message of at most 2048 ranks, the plan has 2049; take "
                 "'flow'");
  }
}

}  // namespace
}  // namespace pgram
