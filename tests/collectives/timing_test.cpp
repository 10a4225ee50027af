// How long collectives take: by hand on switches of round numbers, the three levels against each other, NCCL's model.
#include "sim/collectives/timing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "core/base/errors.h"
#include "core/cluster/fabric.h"
#include "sim/collectives/uses.h"
#include "tests/collectives/cases.h"

namespace pgram::sim::test {
namespace {

constexpr double kA = 1e-6, kB = 1e9;          // within a node: 1 us, 1 GB/s
constexpr double kFarA = 4.5e-6, kFarB = 5e8;  // between nodes: 4.5 us, 0.5 GB/s
constexpr Bytes kSize = 8'000'000;
constexpr double kS = 8e-3, kFarS = 16e-3;  // seconds that it takes

/// Every device has a NIC. A hop within a node: two links of 0.5 us; between nodes of one leaf: twice 0.8 us to a PCIe
/// switch, 0.2 us to the NIC, 1.25 us to the leaf.
Cluster plain(uint32_t nodes, uint32_t devices, uint32_t nodes_per_leaf = 64, double oversubscription = 1,
              Seconds spine_latency = 0) {
  Fabric fabric;
  fabric.devices_per_node = devices, fabric.nodes = nodes;
  fabric.nics = devices;
  fabric.inside = {"nvlink", kB, 0.5e-6};
  fabric.pcie = {"pcie", 4e9, 0.8e-6};
  fabric.between = {"infiniband", kFarB, 1.25e-6};
  fabric.spine_latency = spine_latency;
  fabric.nodes_per_leaf = nodes_per_leaf;
  fabric.oversubscription = oversubscription;
  Cluster cluster;
  cluster.name = "plain";
  build_topology(fabric, cluster);
  return cluster;
}

std::vector<uint32_t> first(uint32_t count) {
  std::vector<uint32_t> group(count);
  std::iota(group.begin(), group.end(), 0u);
  return group;
}

StepTimes step(Collective collective, Algorithm algorithm, uint32_t members, const Cluster& cluster, Bytes size = kSize,
               uint32_t chunks = 1, Protocol protocol = Protocol::simple) {
  const std::vector<uint32_t> group = first(members);
  const StepProgram program = make_steps(collective, algorithm, GroupNodes::of(group, cluster), {0, chunks});
  return step_times(program, protocol, size, group, cluster);
}

void expect_time(const StepTimes& times, double expected, const char* what) {
  EXPECT_NEAR(times.time, expected, 1e-9 * expected) << what;
}

TEST(CollectiveTimes, OnASwitchByHand) {
  const Cluster node = plain(1, 8);
  using enum Collective;
  // 2(n-1) steps of a + S/(nB), and half of them.
  expect_time(step(all_reduce, Algorithm::ring, 8, node), 14 * (kA + kS / 8), "ring");
  expect_time(step(reduce_scatter, Algorithm::ring, 8, node), 7 * (kA + kS / 8), "ring");
  expect_time(step(all_gather, Algorithm::ring, 5, node), 4 * (kA + kS / 5), "ring of 5");
  // In each of 2 steps 7 messages of S/8 leave every member at once.
  expect_time(step(all_reduce, Algorithm::direct, 8, node), 2 * (kA + 7 * kS / 8), "direct");
  expect_time(step(all_to_all, Algorithm::direct, 8, node), kA + 7 * kS / 8, "all to all");
  expect_time(step(send_recv, Algorithm::direct, 2, node), kA + kS, "send");
  // S/2, S/4, S/8 and back.
  expect_time(step(all_reduce, Algorithm::halving_doubling, 8, node), 6 * kA + 2 * 7 * kS / 8, "halving");
  // 6 = 4 + 2: two hand over S first and get S back; between, the four do S/2, S/4 and back. Members 2 and 3 wait for
  // nobody at first, so that their S/4 arrive at 0 and 1 while these still receive S: later by so much.
  expect_time(step(all_reduce, Algorithm::halving_doubling, 6, node), 6 * kA + 2 * kS + 2 * 3 * kS / 4 + kS / 4,
              "halving, 6 members");
  // A chain of 7 hops in c chunks: (n-2+c)(a + S/(cB)).
  for (const uint32_t chunks : {1u, 4u, 16u})
    expect_time(step(broadcast, Algorithm::ring, 8, node, kSize, chunks), (6 + chunks) * (kA + kS / chunks), "chain");
  // Two trees of 4, S/2 each: 1 and 3 to 2, and 2 and 0 to 1, both at once into one link: a + S/B. Then 2 to 0 and 1 to
  // 3: a + S/(2B). Then the same backwards.
  expect_time(step(all_reduce, Algorithm::tree, 4, node), 4 * kA + 3 * kS, "tree");
  // All of it up, an eighth down to each, an eighth up, all of it down; half of a hop each time.
  expect_time(step(all_reduce, Algorithm::nvls, 8, node), 2 * kA + 2 * (kS + kS / 8), "nvls");
  // In chunks up and down go on at once, and (1 + 1/n)S/B is left.
  const double many = step(all_reduce, Algorithm::nvls, 8, plain(1, 8), 800'000'000, 64).time;
  EXPECT_NEAR(many, 0.8 * 9 / 8, 0.03);
}

TEST(CollectiveTimes, BetweenNodesByHand) {
  using enum Collective;
  // PAT over 8 nodes of one: 1, 2 and 4 eighths, in steps of 4.5 us.
  expect_time(step(all_gather, Algorithm::pat, 8, plain(8, 1)), 3 * kFarA + 7 * kFarS / 8, "pat");
  expect_time(step(reduce_scatter, Algorithm::pat, 8, plain(8, 1)), 3 * kFarA + 7 * kFarS / 8, "pat");
  // 2 nodes of 4: rings within, S/4 a step, and between those of equal place, S/8 a step.
  expect_time(step(all_reduce, Algorithm::hierarchical, 8, plain(2, 4)), 6 * (kA + kS / 4) + 2 * (kFarA + kFarS / 8),
              "hierarchical");
  // 4 nodes of 2: S/2 to the near member, S/4 and S/8 over the network.
  expect_time(step(reduce_scatter, Algorithm::halving_doubling, 8, plain(4, 2)),
              kA + kS / 2 + 2 * kFarA + 3 * kFarS / 8, "halving over nodes");
  // 4 nodes of one on two leaves, 2 to 1 oversubscribed: an uplink has 0.5 GB/s for 4 of the messages of S/4; their way
  // takes 2 us more.
  expect_time(step(all_to_all, Algorithm::direct, 4, plain(4, 1, 2, 2, 1e-6)), kFarA + 2e-6 + kFarS, "oversubscribed");
  // Without it, 3 messages of S/4 share a NIC, the near one from 2 us before the others on.
  expect_time(step(all_to_all, Algorithm::direct, 4, plain(4, 1, 2, 1, 1e-6)), kFarA + 3 * kFarS / 4, "free");
}

TEST(CollectiveTimes, LevelsAgreeWhereNothingIsShared) {
  using enum Collective;
  struct Row {
    Collective collective;
    Algorithm algorithm;
    uint32_t nodes, devices;
  };
  const std::vector<Row> rows{
      {all_reduce, Algorithm::ring, 1, 8},
      {reduce_scatter, Algorithm::ring, 1, 7},
      {all_gather, Algorithm::ring, 1, 3},
      {all_reduce, Algorithm::ring, 6, 1},
      {all_reduce, Algorithm::direct, 1, 8},
      {all_gather, Algorithm::direct, 1, 5},
      {all_to_all, Algorithm::direct, 1, 8},
      {all_to_all, Algorithm::direct, 5, 1},
      {all_reduce, Algorithm::halving_doubling, 1, 8},
      {all_gather, Algorithm::halving_doubling, 8, 1},
      {all_gather, Algorithm::pat, 8, 1},
      {reduce_scatter, Algorithm::pat, 4, 1},
      {send_recv, Algorithm::direct, 1, 2},
      {broadcast, Algorithm::direct, 1, 8},
  };
  for (const Row& row : rows) {
    const Cluster cluster = plain(row.nodes, row.devices);
    const std::vector<uint32_t> group = first(cluster.devices);
    for (const Bytes size : {Bytes{4096}, Bytes{1} << 20, Bytes{1} << 30}) {
      const std::string what = text_of({row.collective, row.algorithm}, GroupNodes::of(group, cluster));
      const auto analytic = collective_cost(row.collective, row.algorithm, Protocol::simple, size, group, cluster);
      ASSERT_TRUE(analytic) << what;
      const StepProgram program = make_steps(row.collective, row.algorithm, GroupNodes::of(group, cluster));
      const double by_steps = step_times(program, Protocol::simple, size, group, cluster).time;
      const double by_flow =
          collective_flow(row.collective, row.algorithm, Protocol::simple, size, group, cluster).time(size, cluster);
      EXPECT_NEAR(by_steps, analytic->time(size), 1e-12 * program.steps) << what << ", " << size;
      EXPECT_NEAR(by_flow, analytic->time(size), 1e-12 * program.steps) << what << ", " << size;
    }
  }
}

// Two lines of 4 in a torus are two nodes; wires of 61.8 GB/s and 2 us lead to the next in a line, and from line to
// line. Each of 4 rings goes along one line, over to the other and back along it. In a line each leaves out another one
// of the 4 wires, so that a wire carries 3/4 of the array. The closed form has the hop from line to line as two wires.
TEST(CollectiveTimes, RingsLeaveALineOfATorusByEveryMember) {
  const Cluster torus = find_cluster("torus-4x4x4");
  const std::vector<uint32_t> group = first(8);
  constexpr Bytes kBytes = 64 << 20;
  const double wire = 0.75 * kBytes / 61.8e9;
  expect_time(step(Collective::all_reduce, Algorithm::ring, 8, torus, kBytes), 14 * (2e-6 + wire / 8), "step");
  const double alone = 14 * (2.5e-6 + wire / 8);
  const auto analytic =
      collective_cost(Collective::all_reduce, Algorithm::ring, Protocol::simple, kBytes, group, torus);
  ASSERT_TRUE(analytic);
  EXPECT_NEAR(analytic->time(kBytes), alone, 1e-12);
  const CollectiveFlow flow =
      collective_flow(Collective::all_reduce, Algorithm::ring, Protocol::simple, kBytes, group, torus);
  EXPECT_NEAR(flow.time(kBytes, torus), alone, 1e-12);
  for (const LinkUse& use : flow.uses) EXPECT_LE(use.weight, 0.75 * 14 / 8 + 1e-12);
}

TEST(CollectiveTimes, NcclsModelIsKept) {
  // Rings within one node and over two, where the NICs are just as fast as the channels.
  for (const char* name : {"dgx-h100", "dgx-a100", "dgx-h100:2", "dgx-b200"}) {
    const Cluster cluster = find_cluster(name);
    ASSERT_TRUE(cluster.nccl) << name;
    const std::vector<uint32_t> group = first(cluster.devices);
    for (const Protocol protocol : {Protocol::ll, Protocol::ll128, Protocol::simple}) {
      for (const Collective collective : {Collective::all_reduce, Collective::all_gather, Collective::reduce_scatter}) {
        const StepProgram program = make_steps(collective, Algorithm::ring, GroupNodes::of(group, cluster));
        for (const Bytes size : {Bytes{4096}, Bytes{1} << 20, Bytes{1} << 30}) {
          const std::string what = std::string(name) + " " + name_of(collective) + " " + name_of(protocol);
          const auto analytic = collective_cost(collective, Algorithm::ring, protocol, size, group, cluster);
          ASSERT_TRUE(analytic) << what;
          const double by_flow =
              collective_flow(collective, Algorithm::ring, protocol, size, group, cluster).time(size, cluster);
          EXPECT_NEAR(by_flow, analytic->time(size), 1e-12 * program.steps) << what << ", " << size;
          EXPECT_NEAR(step_times(program, protocol, size, group, cluster).time, analytic->time(size),
                      1e-12 * program.steps)
              << what << ", " << size;
        }
      }
    }
  }
}

TEST(CollectiveTimes, PipelinesOfNcclTakeAsMuchLongerAsTheyNeedToFill) {
  const Bytes size = Bytes{1} << 30;
  const Cluster node = find_cluster("dgx-h100");
  const std::vector<uint32_t> group = first(8);
  const uint32_t chunks = default_chunks(Collective::all_reduce, Algorithm::nvls, Protocol::simple, size, group, node);
  EXPECT_EQ(chunks, 128u);
  const auto analytic = collective_cost(Collective::all_reduce, Algorithm::nvls, Protocol::simple, size, group, node);
  const double time = step(Collective::all_reduce, Algorithm::nvls, 8, node, size, chunks).time;
  EXPECT_GE(time, analytic->time(size) * (1 - 1e-9));
  EXPECT_LE(time, analytic->time(size) * (1 + 4.0 / chunks));
}

TEST(CollectiveTimes, AllReduceTakesAsLongAsItsHalves) {
  for (const Algorithm algorithm :
       {Algorithm::ring, Algorithm::halving_doubling, Algorithm::direct, Algorithm::nvls, Algorithm::hierarchical}) {
    const Cluster cluster = algorithm == Algorithm::hierarchical ? plain(2, 4) : plain(1, 8);
    const double both = step(Collective::all_reduce, algorithm, 8, cluster).time;
    const double halves = step(Collective::reduce_scatter, algorithm, 8, cluster).time +
                          step(Collective::all_gather, algorithm, 8, cluster).time;
    EXPECT_NEAR(both, halves, 1e-12 * 14) << name_of(algorithm);
  }
}

TEST(CollectiveTimes, LongRunIsStopped) {
  const Cluster cluster = plain(128, 1);
  const std::vector<uint32_t> group = first(128);
  const StepProgram program = make_steps(Collective::all_reduce, Algorithm::ring, GroupNodes::of(group, cluster));
  double seen = 0;
  const StepTimes times = step_times(program, Protocol::simple, kSize, group, cluster, [&](double share) {
    seen = share;
    return false;
  });
  EXPECT_TRUE(times.stopped);
  EXPECT_GT(seen, 0);
  EXPECT_LT(seen, 1);
}

TEST(CollectiveTimes, GroupWithAMissingRankIsRefused) {
  const Cluster cluster = plain(1, 8);
  const std::vector<uint32_t> group{0, 1, 8};
  const StepProgram program = make_steps(Collective::all_reduce, Algorithm::ring, GroupNodes::single(3));
  EXPECT_THROW(step_times(program, Protocol::simple, kSize, group, cluster), InputError);
  EXPECT_THROW(collective_flow(Collective::all_reduce, Algorithm::ring, Protocol::simple, kSize, group, cluster),
               InputError);
}

}  // namespace
}  // namespace pgram::sim::test
