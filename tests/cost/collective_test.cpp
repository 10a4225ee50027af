// Collectives: the tables that NCCL 2.28.9's own tuning gives for these systems, and what it chooses.
#include "core/cost/collective.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "core/base/errors.h"
#include "core/cost/nccl.h"

namespace pgram {
namespace {

constexpr Bytes kKiB = 1024, kMiB = 1024 * kKiB, kGiB = 1024 * kMiB;
using enum Algorithm;
constexpr Protocol LL = Protocol::ll, LL128 = Protocol::ll128, Simple = Protocol::simple;

std::vector<uint32_t> range(uint32_t count, uint32_t first = 0, uint32_t stride = 1) {
  std::vector<uint32_t> group(count);
  for (uint32_t i = 0; i < count; ++i) group[i] = first + i * stride;
  return group;
}

/// All devices of a cluster.
struct System {
  explicit System(const std::string& name) : cluster(find_cluster(name)), group(range(cluster.devices)) {}
  std::optional<CollectiveCost> cost(Collective collective, Algorithm algorithm, Protocol protocol, Bytes bytes) const {
    return collective_cost(collective, algorithm, protocol, bytes, group, cluster);
  }
  CollectiveCost choose(Collective collective, Bytes bytes) const {
    return choose_collective(collective, bytes, group, cluster);
  }
  Cluster cluster;
  std::vector<uint32_t> group;
};

struct Cell {
  const char* system;
  double latency_us, algbw_gb_s;  ///< 0, 0: NCCL has no such thing there
};
struct Row {
  Algorithm algorithm;
  Protocol protocol;
  std::vector<Cell> cells;
};

/// The model's latency and algbw before the corrections for the size. 1 GiB is above the trees' corrections; a ring's
/// plateau (x 1.4) is taken back.
void expect_cell(Collective collective, const Row& row, const Cell& cell) {
  SCOPED_TRACE(std::string(cell.system) + " " + name_of(row.algorithm) + " " + name_of(row.protocol));
  const System system(cell.system);
  const auto cost = system.cost(collective, row.algorithm, row.protocol, kGiB);
  ASSERT_EQ(cost.has_value(), cell.latency_us > 0);
  if (!cost) return;
  const bool plateau = row.algorithm == ring && row.protocol == Simple && collective == Collective::all_reduce &&
                       system.cluster.devices > system.cluster.devices_per_node;
  EXPECT_NEAR(cost->latency / (plateau ? 1.4 : 1) * 1e6, cell.latency_us, 0.01 * cell.latency_us);
  EXPECT_NEAR(cost->bytes_per_second / 1e9, cell.algbw_gb_s, 0.01 * cell.algbw_gb_s);
}

TEST(NcclTable, AllReduce) {
  const char *a8 = "dgx-a100", *a16 = "dgx-a100:2", *h8 = "dgx-h100", *h16 = "dgx-h100:2", *h128 = "dgx-h100:16",
             *b8 = "dgx-b200";
  // Latency us / algbw GB/s of NCCL 2.28.9 for 8 A100, 16 in 2 nodes, 8 H100, 16 in 2, 128 in 16, 8 B200.
  const std::vector<Row> rows{
      {ring,
       LL,
       {{a8, 15.0, 50.1},
        {a16, 68.0, 12.0},
        {h8, 15.0, 80.6},
        {h16, 40.0, 20.8},
        {h128, 311.6, 10.3},
        {b8, 15.0, 161.1}}},
      {ring,
       LL128,
       {{a8, 40.6, 126.2},
        {a16, 78.0, 85.3},
        {h8, 40.6, 189.3},
        {h16, 75.2, 156.6},
        {h128, 559.6, 148.0},
        {b8, 40.6, 378.5}}},
      {ring,
       Simple,
       {{a8, 56.0, 137.1},
        {a16, 204.4, 102.4},
        {h8, 56.0, 205.7},
        {h16, 131.6, 204.8},
        {h128, 1190, 193.5},
        {b8, 56.0, 411.4}}},
      {tree,
       LL,
       {{a8, 15.2, 29.1}, {a16, 25.2, 11.2}, {h8, 15.2, 43.6}, {h16, 25.2, 16.6}, {h128, 55.2, 8.7}, {b8, 15.2, 77.5}}},
      {tree,
       LL128,
       {{a8, 31.5, 85.9},
        {a16, 48.5, 80.0},
        {h8, 31.5, 128.8},
        {h16, 48.5, 124.8},
        {h128, 99.5, 98.6},
        {b8, 31.5, 229.0}}},
      {tree,
       Simple,
       {{a8, 64.4, 110.4},
        {a16, 92.4, 94.4},
        {h8, 64.4, 165.6},
        {h16, 92.4, 140.8},
        {h128, 176.4, 122.4},
        {b8, 64.4, 294.4}}},
      {nvls, Simple, {{a8, 0, 0}, {a16, 0, 0}, {h8, 25.0, 272.0}, {h16, 0, 0}, {h128, 0, 0}, {b8, 25.0, 411.4}}},
      {nvls_tree, Simple, {{a8, 0, 0}, {a16, 0, 0}, {h8, 0, 0}, {h16, 66.8, 246.2}, {h128, 192.2, 183.4}, {b8, 0, 0}}},
  };
  for (const Row& row : rows)
    for (const Cell& cell : row.cells) expect_cell(Collective::all_reduce, row, cell);
}

TEST(NcclTable, AllGather) {
  const Row row{ring,
                Simple,
                {{"dgx-a100", 32.2, 274.3},
                 {"dgx-a100:2", 106.4, 204.8},
                 {"dgx-h100", 32.2, 411.4},
                 {"dgx-h100:2", 70.0, 409.6},
                 {"dgx-h100:16", 599.2, 387.0},
                 {"dgx-b200", 32.2, 822.9},
                 {"dgx-h200", 32.2, 411.4}}};
  for (const Cell& cell : row.cells) {
    expect_cell(Collective::all_gather, row, cell);
    expect_cell(Collective::reduce_scatter, row, cell);
  }
}

/// Ends of the ranges of one choice after another; the last goes on to 8 GiB.
struct Choice {
  const char* system;
  std::vector<std::tuple<Bytes, Algorithm, Protocol>> below;
};

TEST(NcclChoice, AllReduceAtEveryPowerOfTwo) {
  constexpr Bytes kEnd = ~Bytes{0};
  const std::vector<Choice> choices{
      {"dgx-a100", {{4 * kMiB, ring, LL}, {32 * kMiB, ring, LL128}, {kEnd, ring, Simple}}},
      {"dgx-h100", {{2 * kMiB, ring, LL}, {kEnd, nvls, Simple}}},
      {"dgx-b200", {{4 * kMiB, ring, LL}, {kEnd, nvls, Simple}}},
      {"dgx-h100:2", {{256 * kKiB, tree, LL}, {2 * kMiB, tree, LL128}, {kEnd, nvls_tree, Simple}}},
      {"dgx-h100:16",
       {{256 * kKiB, tree, LL}, {16 * kMiB, tree, LL128}, {8 * kGiB, nvls_tree, Simple}, {kEnd, ring, Simple}}},
      {"dgx-a100:16", {{256 * kKiB, tree, LL}, {256 * kMiB, tree, LL128}, {kGiB, ring, LL128}, {kEnd, ring, Simple}}},
  };
  for (const Choice& choice : choices) {
    const System system(choice.system);
    for (Bytes bytes = kKiB; bytes <= 8 * kGiB; bytes *= 2) {
      SCOPED_TRACE(std::string(choice.system) + " at " + std::to_string(bytes));
      const auto expected = std::find_if(choice.below.begin(), choice.below.end(),
                                         [&](const auto& part) { return bytes < std::get<0>(part); });
      const CollectiveCost cost = system.choose(Collective::all_reduce, bytes);
      EXPECT_STREQ(name_of(cost.algorithm), name_of(std::get<1>(*expected)));
      EXPECT_STREQ(name_of(cost.protocol), name_of(std::get<2>(*expected)));
    }
  }
}

/// From LL to LL128 between 256 KiB and 16 MiB, on to Simple between 16 and 512 MiB, on all of these systems.
TEST(NcclChoice, AllGatherGoesThroughTheProtocols) {
  for (const char* name : {"dgx-a100", "dgx-a100:2", "dgx-h100", "dgx-h100:2", "dgx-h100:16", "dgx-b200"}) {
    SCOPED_TRACE(name);
    const System system(name);
    int protocol = 0;
    for (Bytes bytes = kKiB; bytes <= 8 * kGiB; bytes *= 2) {
      const CollectiveCost cost = system.choose(Collective::all_gather, bytes);
      EXPECT_EQ(cost.algorithm, ring);
      const int now = static_cast<int>(cost.protocol);
      EXPECT_TRUE(now == protocol || now == protocol + 1) << bytes;
      if (now > protocol) {
        EXPECT_GE(bytes, cost.protocol == LL128 ? 256 * kKiB : 16 * kMiB);
        EXPECT_LE(bytes, cost.protocol == LL128 ? 16 * kMiB : 512 * kMiB);
      }
      protocol = now;
    }
    EXPECT_EQ(protocol, 2);
  }
}

/// H100 x 8, Tree, algbw without correction 43.57 (LL), 128.8 (LL128), 165.6 (Simple): 12 x 30 x 0.92 = 331.2 on the
/// bus, / 3.8, x 7/9, x 1, half of it. Entry i holds from 64 << i bytes on: 4 KiB is entry 6, 256 MiB the last.
TEST(NcclCorrections, TreesOfMediumSize) {
  const System system("dgx-h100");
  const auto rate = [&](Protocol protocol, Bytes bytes) {
    return system.cost(Collective::all_reduce, tree, protocol, bytes)->bytes_per_second / 1e9;
  };
  EXPECT_NEAR(rate(LL, 1), 331.2 / 3.8 / 2, 1e-9);  // under 64 B there is none
  EXPECT_NEAR(rate(LL, 4 * kKiB), 0.7 * 331.2 / 3.8 / 2, 1e-9);
  EXPECT_NEAR(rate(LL, 8 * kKiB - 1), 0.7 * 331.2 / 3.8 / 2, 1e-9);
  EXPECT_NEAR(rate(LL, 512 * kKiB), 0.4 * 331.2 / 3.8 / 2, 1e-9);  // entry 13
  EXPECT_NEAR(rate(LL128, 512 * kKiB), 0.6 * 331.2 * 7 / 9 / 2, 1e-9);
  EXPECT_NEAR(rate(Simple, 64), 0.9 * 331.2 / 2, 1e-9);
  EXPECT_NEAR(rate(Simple, 256 * kMiB), 0.9 * 331.2 / 2, 1e-9);  // entry 22
  EXPECT_NEAR(rate(Simple, 512 * kMiB), 331.2 / 2, 1e-9);
}

/// 16 channels and 16 ranks: from 16 x 16 x 64 = 16,384 bytes on the ring's latency grows by 1.4. H100 over 2 nodes:
/// 8.4 + 28 x max(3.4, 3 x 1.0) + 2 x 14 = 131.6 us.
TEST(NcclCorrections, PlateauOfRingsOverNodes) {
  const System two("dgx-h100:2");
  EXPECT_NEAR(two.cost(Collective::all_reduce, ring, Simple, 16383)->latency, 131.6e-6, 1e-12);
  EXPECT_NEAR(two.cost(Collective::all_reduce, ring, Simple, 16384)->latency, 1.4 * 131.6e-6, 1e-12);
  EXPECT_NEAR(two.cost(Collective::all_gather, ring, Simple, kGiB)->latency, 70e-6, 1e-12);
  EXPECT_NEAR(two.cost(Collective::all_reduce, ring, LL, kGiB)->latency, 40e-6, 1e-12);
  System volta("dgx-h100:2");
  volta.cluster.nccl->architecture = CollectiveProfile::Architecture::volta;
  EXPECT_NEAR(volta.cost(Collective::all_reduce, ring, Simple, kGiB)->latency, 1.9 * 131.6e-6, 1e-12);
  EXPECT_NEAR(System("dgx-h100").cost(Collective::all_reduce, ring, Simple, kGiB)->latency, 56e-6, 1e-12);
}

/// A network's own latency counts once a crossing, and once more with Simple. H100 over 2 nodes, all-gather: 1
/// crossing.
TEST(NcclCorrections, LatencyOfTheNetwork) {
  System system("dgx-h100:2");
  const auto latency = [&](Protocol protocol) {
    return system.cost(Collective::all_gather, ring, protocol, kMiB)->latency;
  };
  const Seconds ll = latency(LL), simple = latency(Simple);
  system.cluster.nccl->network_latency = 3e-6;
  EXPECT_NEAR(latency(LL) - ll, 3e-6, 1e-12);
  EXPECT_NEAR(latency(Simple) - simple, 6e-6, 1e-12);
}

/// AMD's network overhead of 2 us a step (Simple: 6) against Intel's 1 and 3; LL's limit goes by the CPU as well.
TEST(NcclCorrections, TheCpuCounts) {
  System system("dgx-h100:2");
  system.cluster.nccl->cpu = CollectiveProfile::CpuVendor::amd;
  // 6.6 + 28 x 2 + 2 x 2.7 = 68 us; 22.5 GB/s x 16/30 = 12.
  const CollectiveCost ll = *system.cost(Collective::all_reduce, ring, LL, kGiB);
  EXPECT_NEAR(ll.latency, 68e-6, 1e-12);
  EXPECT_NEAR(ll.bytes_per_second, 12e9, 1);
  // 1.4 x (8.4 + 28 x 6 + 2 x 14).
  EXPECT_NEAR(system.cost(Collective::all_reduce, ring, Simple, kGiB)->latency, 1.4 * 204.4e-6, 1e-12);
}

/// Two thread blocks a channel of the search (24 for 12, 16 for 8, 32 for 16); NVLS 16 on Hopper, 24 or 32 on
/// Blackwell.
TEST(NcclChannels, InUseByTheSystem) {
  const std::vector<std::pair<const char*, uint32_t>> rings{{"dgx-a100", 24},   {"dgx-a100:2", 16}, {"dgx-h100", 24},
                                                            {"dgx-h100:2", 16}, {"dgx-b200", 32},   {"dgx-b200:2", 16}};
  for (const auto& [name, channels] : rings)
    EXPECT_EQ(System(name).cost(Collective::all_reduce, ring, Simple, kGiB)->channels, channels) << name;
  EXPECT_EQ(System("dgx-h100").cost(Collective::all_reduce, nvls, Simple, kKiB)->channels, 16u);
  EXPECT_EQ(System("dgx-h100:2").cost(Collective::all_reduce, nvls_tree, Simple, kKiB)->channels, 16u);
  EXPECT_EQ(System("dgx-b200").cost(Collective::all_reduce, nvls, Simple, kGiB)->channels, 24u);
  EXPECT_EQ(System("dgx-b200:2").cost(Collective::all_reduce, nvls_tree, Simple, kGiB)->channels, 32u);
  // Two systems that the library does not hold: 16 x 48 GB/s over 2 nodes, and PCIe with one channel of 15 GB/s.
  CollectiveProfile b300;
  b300.architecture = CollectiveProfile::Architecture::blackwell;
  b300.several_nodes = {{16, 48e9, 48e9}, {16, 48e9, 48e9}, {8, 48e9, 96e9}};
  EXPECT_EQ(nccl_channels(b300, 2, 8), 32u);
  CollectiveProfile pcie;
  pcie.architecture = CollectiveProfile::Architecture::ampere;
  pcie.one_node = {{1, 15e9, 15e9}, {1, 15e9, 15e9}, {}};
  EXPECT_EQ(nccl_channels(pcie, 1, 8), 2u);
}

/// Fewer while a channel's threads would have less than the protocol's threshold: Ring LL 512 threads x 8 B x 8 ranks =
/// 32 KiB a channel, LL128 640 x 8 = 5,120 B, Simple 512 x 64 = 32 KiB, Tree LL 512 x 8 = 4 KiB.
TEST(NcclChannels, FewerForSmallSizes) {
  const System system("dgx-h100");
  const auto channels = [&](Algorithm algorithm, Protocol protocol, Bytes bytes) {
    return system.cost(Collective::all_reduce, algorithm, protocol, bytes)->channels;
  };
  EXPECT_EQ(channels(ring, LL, 1), 1u);
  EXPECT_EQ(channels(ring, LL, 64 * kKiB - 1), 1u);
  EXPECT_EQ(channels(ring, LL, 64 * kKiB), 2u);
  EXPECT_EQ(channels(ring, LL, 24 * 32 * kKiB), 24u);
  EXPECT_EQ(channels(ring, LL, 24 * 32 * kKiB - 1), 23u);
  EXPECT_EQ(channels(ring, LL128, 10 * 5120), 10u);
  EXPECT_EQ(channels(ring, Simple, 5 * 32 * kKiB + 1), 5u);
  EXPECT_EQ(channels(tree, LL, 9 * 4 * kKiB), 9u);
}

/// Groups that are part of nodes, by the rule of CollectiveProfile::channels.
TEST(NcclParts, OfANode) {
  const Cluster h100 = find_cluster("dgx-h100");
  const auto cost = [&](uint32_t members, Collective collective, Algorithm algorithm) {
    return collective_cost(collective, algorithm, Simple, kGiB, range(members), h100);
  };
  // A ring of 4 has the 12 x 30 GB/s of 8: 360 x 4/6 = 240 for the array; 8.4 + 6 x 3.4 = 28.8 us.
  EXPECT_NEAR(cost(4, Collective::all_reduce, ring)->bytes_per_second, 240e9, 1);
  EXPECT_NEAR(cost(4, Collective::all_reduce, ring)->latency, 28.8e-6, 1e-12);
  // NVLS of 4: 4 channels that would carry 80 GB/s each and get 60; min(2 x 60 x 0.85 x 3/4, 60) = 60; 240 x 4/6 = 160.
  EXPECT_NEAR(cost(4, Collective::all_reduce, nvls)->bytes_per_second, 160e9, 1);
  EXPECT_EQ(choose_collective(Collective::all_reduce, kGiB, range(4), h100).algorithm, ring);
  // Six: 320 / 6 = 53.3, so 50 each; min(2 x 50 x 0.85 x 5/6, 60) = 60; 360 x 6/10 = 216.
  EXPECT_NEAR(cost(6, Collective::all_reduce, nvls)->bytes_per_second, 216e9, 1);
  // None for two.
  EXPECT_FALSE(cost(2, Collective::all_reduce, nvls));
  EXPECT_NEAR(cost(2, Collective::all_reduce, ring)->bytes_per_second, 360e9, 1);
}

TEST(NcclParts, OneInEachOfSeveralNodes) {
  const Cluster h100 = find_cluster("dgx-h100:8");
  const std::vector<uint32_t> rail = range(8, 3, 8);
  // One channel of 48 GB/s, on 4 thread blocks. All-reduce: x 8/14 = 27.43; 1.4 x (8.4 + 14 x 14) us.
  const CollectiveCost all = *collective_cost(Collective::all_reduce, ring, Simple, kGiB, rail, h100);
  EXPECT_NEAR(all.bytes_per_second, 48e9 * 8 / 14, 1);
  EXPECT_NEAR(all.latency, 1.4 * 204.4e-6, 1e-12);
  EXPECT_EQ(all.channels, 4u);
  // The latency of the network is a tree's also for a ring: LL 6.6 + 14 x 5.0.
  EXPECT_NEAR(collective_cost(Collective::all_reduce, ring, LL, kKiB, rail, h100)->latency, 76.6e-6, 1e-12);
  // PAT: 8 + 3 x 14/3.5 + 2.8 x 8 = 42.4 us, 0.75 x 48 = 36 GB/s; only with one member a node, only for parts.
  const CollectiveCost pat_cost = *collective_cost(Collective::all_gather, pat, Simple, kGiB, rail, h100);
  EXPECT_NEAR(pat_cost.latency, 42.4e-6, 1e-12);
  EXPECT_NEAR(pat_cost.bytes_per_second, 36e9, 1);
  EXPECT_FALSE(collective_cost(Collective::all_gather, pat, Simple, kGiB, range(16), h100));
  EXPECT_FALSE(collective_cost(Collective::all_reduce, pat, Simple, kGiB, rail, h100));
  // Two members a node have no NVLSTree, four have: 4 x min(2 x 60 x 0.85 x 3/4, 48, 45.5) = 182; x 32/62.
  std::vector<uint32_t> fours, twos;
  for (uint32_t node = 0; node < 8; ++node)
    for (uint32_t i = 0; i < 4; ++i) {
      fours.push_back(8 * node + i);
      if (i < 2) twos.push_back(8 * node + i);
    }
  EXPECT_FALSE(collective_cost(Collective::all_reduce, nvls_tree, Simple, kGiB, twos, h100));
  EXPECT_NEAR(collective_cost(Collective::all_reduce, nvls_tree, Simple, kGiB, fours, h100)->bytes_per_second,
              182e9 * 32 / 62, 1);
}

/// 8 A100 on PCIe: one ring of 15 GB/s through the CPUs, no LL128, no tree known. Simple: 15 x 8/14 GB/s, 8.4 + 14
/// x 5.7 us; LL: half of it, 6.6 + 14 x 1.0 us. Two nodes, which the profile does not know, are a closed form.
TEST(Nccl, PcieWithoutNvlink) {
  const System one("a100-pcie"), two("a100-pcie:2");
  const CollectiveCost simple = *one.cost(Collective::all_reduce, ring, Simple, kGiB);
  EXPECT_NEAR(simple.bytes_per_second, 15e9 * 8 / 14, 1);
  EXPECT_NEAR(simple.latency, 88.2e-6, 1e-12);
  EXPECT_EQ(simple.channels, 2u);
  const CollectiveCost ll = *one.cost(Collective::all_reduce, ring, LL, kGiB);
  EXPECT_NEAR(ll.bytes_per_second, 7.5e9 * 8 / 14, 1);
  EXPECT_NEAR(ll.latency, 20.6e-6, 1e-12);
  EXPECT_FALSE(one.cost(Collective::all_reduce, ring, LL128, kGiB));
  EXPECT_FALSE(one.cost(Collective::all_reduce, tree, Simple, kGiB));
  EXPECT_EQ(one.choose(Collective::all_reduce, kGiB).algorithm, ring);
  EXPECT_FALSE(two.cost(Collective::all_reduce, ring, LL, kGiB));
  EXPECT_TRUE(two.cost(Collective::all_reduce, ring, Simple, kGiB));
}

/// Rings of 12 GB/s or less run on 256 threads: 256 x 64 = 16 KiB a channel.
TEST(NcclChannels, SlowRingsHaveFewerThreads) {
  System system("a100-pcie");
  EXPECT_EQ(system.cost(Collective::all_reduce, ring, Simple, 32 * kKiB)->channels, 1u);
  system.cluster.nccl->one_node.ring.intra_bytes_per_second = 12e9;
  EXPECT_EQ(system.cost(Collective::all_reduce, ring, Simple, 32 * kKiB)->channels, 2u);
}

/// Broadcast and reduce are rings. In one node all channels go the same way, and one hop is counted; over several nodes
/// n hops, of a tree where Simple. H100: 8.4 + 3.4; over 2 nodes 8.4 + 16 x 14.
TEST(Nccl, BroadcastIsARing) {
  const System one("dgx-h100"), two("dgx-h100:2");
  for (Collective collective : {Collective::broadcast, Collective::reduce}) {
    EXPECT_NEAR(one.cost(collective, ring, Simple, kGiB)->latency, 11.8e-6, 1e-12);
    EXPECT_NEAR(one.cost(collective, ring, Simple, kGiB)->bytes_per_second, 360e9, 1);
    EXPECT_NEAR(two.cost(collective, ring, Simple, kGiB)->latency, 232.4e-6, 1e-12);
    EXPECT_NEAR(two.cost(collective, ring, LL, kGiB)->latency, 49.8e-6, 1e-12);
    EXPECT_EQ(two.choose(collective, kGiB).algorithm, ring);
  }
}

/// NVLS all-gather: 8 x min(40 x 0.85 x 7/8 x 7/8, 60) = 208.25 GB/s of the array, in 25 us.
TEST(Nccl, AllGatherInTheSwitch) {
  const CollectiveCost cost = *System("dgx-h100").cost(Collective::all_gather, nvls, Simple, kGiB);
  EXPECT_NEAR(cost.bytes_per_second, 208.25e9, 1);
  EXPECT_NEAR(cost.latency, 25e-6, 1e-12);
}

/// What NCCL does not tune: the start of its kernel, a hop, and the links. 8 x (1/8 of 1 GiB) go out at 370.8 GB/s.
TEST(Nccl, ExchangesGoOverTheLinks) {
  const System h100("dgx-h100");
  const CollectiveCost large = h100.choose(Collective::all_to_all, kGiB);
  EXPECT_EQ(large.algorithm, direct);
  EXPECT_EQ(large.protocol, Simple);
  EXPECT_NEAR(large.bytes_per_second, 370.8e9 * 8 / 7, 1e3);
  EXPECT_NEAR(large.latency, 11.8e-6, 1e-12);
  EXPECT_EQ(large.channels, 24u);
  // 16 KiB to everyone still go by LL.
  EXPECT_EQ(h100.choose(Collective::all_to_all, 128 * kKiB).protocol, LL);
  EXPECT_NEAR(h100.choose(Collective::all_to_all, 128 * kKiB).latency, 7.2e-6, 1e-12);
  EXPECT_EQ(h100.choose(Collective::all_to_all, 128 * kKiB + 8).protocol, Simple);
  EXPECT_EQ(choose_collective(Collective::all_to_all, kKiB, h100.group, h100.cluster, {{}, Simple}).protocol, Simple);
  const std::vector<uint32_t> pair{0, 1};
  EXPECT_EQ(choose_collective(Collective::send_recv, 1, pair, h100.cluster).channels, 1u);
}

TEST(CollectiveChoice, ForcedOnesAreTaken) {
  const System h100("dgx-h100");
  const auto forced = [&](CollectiveOptions options) {
    return choose_collective(Collective::all_reduce, kGiB, h100.group, h100.cluster, options);
  };
  EXPECT_EQ(forced({ring, {}}).protocol, Simple);
  EXPECT_EQ(forced({{}, LL128}).algorithm, ring);
  EXPECT_EQ(forced({tree, LL}).algorithm, tree);
  // Not NCCL's, only by name: 2 x 7/8 over 370.8 GB/s of NVLink, and 3 doublings of 2 us, twice.
  const CollectiveCost halving = forced({halving_doubling, {}});
  EXPECT_NEAR(halving.bytes_per_second, 370.8e9 * 8 / 14, 1e3);
  EXPECT_NEAR(halving.latency, 12e-6, 1e-12);
  try {
    forced({pat, {}});
    FAIL() << "no refusal";
  } catch (const InputError& error) {
    EXPECT_STREQ(error.what(),
                 "collective: all_reduce over 8 devices of dgx-h100 cannot be done by pat; there is ring (ll, ll128, "
                 "simple); tree (ll, ll128, simple); halving_doubling (simple); direct (simple); nvls (simple)");
  }
  EXPECT_THROW(forced({nvls, LL}), InputError);
}

TEST(CollectiveChoice, OneDeviceHasNothingToDo) {
  const System h100("dgx-h100");
  const std::vector<uint32_t> alone{3};
  const CollectiveCost cost = choose_collective(Collective::all_reduce, kGiB, alone, h100.cluster);
  EXPECT_EQ(cost.time(kGiB), 0);
  EXPECT_EQ(cost.channels, 0u);
}

TEST(CollectiveNames, AreParsed) {
  for (int i = 0; i < 7; ++i)
    EXPECT_EQ(parse_collective(name_of(static_cast<Collective>(i))), static_cast<Collective>(i));
  for (int i = 0; i < 8; ++i) EXPECT_EQ(parse_algorithm(name_of(static_cast<Algorithm>(i))), static_cast<Algorithm>(i));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(parse_protocol(name_of(static_cast<Protocol>(i))), static_cast<Protocol>(i));
  try {
    parse_protocol("LL");
    FAIL() << "no refusal";
  } catch (const InputError& error) {
    EXPECT_STREQ(error.what(), "protocol: unknown protocol \"LL\"; expected one of ll, ll128, simple");
  }
  EXPECT_THROW(parse_algorithm(""), InputError);
  EXPECT_THROW(parse_collective("allreduce"), InputError);
}

/// nccl-tests' PERFORMANCE.md.
TEST(BusFactor, IsThatOfNcclTests) {
  EXPECT_DOUBLE_EQ(bus_factor(Collective::all_reduce, 4), 1.5);
  EXPECT_DOUBLE_EQ(bus_factor(Collective::all_gather, 4), 0.75);
  EXPECT_DOUBLE_EQ(bus_factor(Collective::reduce_scatter, 8), 0.875);
  EXPECT_DOUBLE_EQ(bus_factor(Collective::all_to_all, 4), 0.75);
  EXPECT_DOUBLE_EQ(bus_factor(Collective::broadcast, 4), 1);
  EXPECT_DOUBLE_EQ(bus_factor(Collective::reduce, 4), 1);
  EXPECT_DOUBLE_EQ(bus_factor(Collective::send_recv, 2), 1);
}

}  // namespace
}  // namespace pgram
