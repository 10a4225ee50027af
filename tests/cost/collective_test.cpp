// Collectives on systems that NCCL knows: corrections, channels, groups that are part of nodes, and what users force.
#include "core/cost/collective.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "core/base/errors.h"
#include "core/cost/nccl.h"
#include "tests/cost/nccl_system.h"

namespace pgram {
namespace {

using namespace test;

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
