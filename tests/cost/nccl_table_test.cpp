// The tables that NCCL 2.28.9's own tuning gives for these systems, and what it chooses.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <vector>

#include "tests/cost/nccl_system.h"

namespace pgram {
namespace {

using namespace test;

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

TEST(NcclTable, HalfTheCardsCarryHalf) {
  // 8 channels of 24 GB/s against 8 of 48: the bandwidths of the rows above, halved; latencies stay.
  const Row gather{ring, Simple, {{"dgx-h100-4nic:2", 70.0, 204.8}, {"dgx-h100-4nic:16", 599.2, 193.5}}};
  for (const Cell& cell : gather.cells) expect_cell(Collective::all_gather, gather, cell);
  const Row reduce{ring, Simple, {{"dgx-h100-4nic:2", 131.6, 102.4}, {"dgx-h100-4nic:16", 1190, 96.75}}};
  for (const Cell& cell : reduce.cells) expect_cell(Collective::all_reduce, reduce, cell);
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

}  // namespace
}  // namespace pgram
