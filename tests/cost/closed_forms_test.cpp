// Closed forms over links, by hand arithmetic on links of round numbers.
#include "core/cost/closed_forms.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace pgram {
namespace {

constexpr Bytes kBytes = 8000;

/// 4 nodes of 2: 1 us and 1 GB/s inside, 10 us and 0.25 GB/s a member between.
GroupShape four_twos() {
  GroupShape shape;
  shape.ranks = 8, shape.nodes = 4, shape.per_node = 2;
  shape.inside = 1e9, shape.between = 0.25e9;
  shape.inside_latency = 1e-6, shape.between_latency = 10e-6, shape.hop_latency = 5.5e-6;
  return shape;
}
/// 8 in one node, as above.
GroupShape eight() {
  GroupShape shape;
  shape.ranks = 8, shape.nodes = 1, shape.per_node = 8;
  shape.inside = 1e9, shape.between = std::numeric_limits<double>::infinity();
  shape.inside_latency = shape.hop_latency = 1e-6;
  return shape;
}

struct Expected {
  Collective collective;
  Algorithm algorithm;
  double latency_us, bandwidth_us;  ///< of 8,000 bytes; 0, 0: it cannot be done
};

void expect(const GroupShape& shape, const std::vector<Expected>& cases) {
  for (const Expected& e : cases) {
    SCOPED_TRACE(std::string(name_of(e.collective)) + " " + name_of(e.algorithm));
    const auto cost = closed_form(e.collective, e.algorithm, kBytes, shape, true);
    ASSERT_EQ(cost.has_value(), e.latency_us > 0);
    if (!cost) continue;
    EXPECT_NEAR(cost->latency * 1e6, e.latency_us, 1e-9);
    EXPECT_NEAR(kBytes / cost->bytes_per_second * 1e6, e.bandwidth_us, 1e-9);
    EXPECT_EQ(cost->algorithm, e.algorithm);
    EXPECT_EQ(cost->protocol, Protocol::simple);
  }
}

using enum Collective;
using A = Algorithm;

/// 8 us for the whole array at 1 GB/s.
TEST(ClosedForms, InOneNode) {
  expect(eight(), {
                      {all_reduce, A::ring, 14, 14},             // 14 steps of 1 us and an eighth
                      {all_gather, A::ring, 7, 7},               // half of it
                      {reduce_scatter, A::ring, 7, 7},           //
                      {all_reduce, A::tree, 6, 16},              // 2 x log2 8; the array up and down
                      {all_reduce, A::halving_doubling, 6, 14},  // the bytes of a ring in log2 steps
                      {all_gather, A::halving_doubling, 3, 7},   //
                      {all_reduce, A::direct, 2, 14},            // two steps to all
                      {reduce_scatter, A::direct, 1, 7},         //
                      {all_to_all, A::direct, 1, 7},             //
                      {broadcast, A::direct, 1, 56},             // 7 times the array out of the root
                      {broadcast, A::tree, 3, 24},               // log2 8 times
                      {all_reduce, A::nvls, 2, 9},               // S (1 + 1/8)
                      {all_gather, A::nvls, 1, 7},               //
                      {all_gather, A::pat, 3, 7},                //
                      {all_reduce, A::nvls_tree, 0, 0},          // only over nodes
                      {all_reduce, A::hierarchical, 0, 0},       //
                      {all_reduce, A::pat, 0, 0},                // only parts
                      {all_to_all, A::ring, 0, 0},               //
                      {broadcast, A::nvls, 0, 0},                //
                      {all_gather, A::tree, 0, 0},               //
                      {broadcast, A::halving_doubling, 0, 0},    //
                  });
  EXPECT_FALSE(closed_form(all_reduce, A::nvls, kBytes, eight(), false));
}

/// 8 us for the array inside, 32 us through one member's NIC; the ring goes at min(1, 2 x 0.25) = 0.5 GB/s: 16 us.
TEST(ClosedForms, OverNodes) {
  expect(four_twos(), {
                          {all_reduce, A::ring, 77, 28},              // 14 x 5.5; 14/8 x 16
                          {all_gather, A::pat, 21, 14},               // 1 + 2 x 10; 7/8 x 16
                          {all_reduce, A::tree, 42, 32},              // twice 1 + 2 x 10; 2 x 16
                          {all_reduce, A::halving_doubling, 42, 32},  // twice (4/8 x 8 inside + 3/8 x 32 between)
                          {all_reduce, A::hierarchical, 62, 32},      // twice 1 x 1 + 3 x 10; the same bytes
                          {all_gather, A::hierarchical, 31, 16},      //
                          {all_to_all, A::hierarchical, 11, 28},      // 1/2 x 8 + 6/8 x 32
                          {all_to_all, A::direct, 10, 24},            // max(1/8 x 8, 6/8 x 32)
                          {all_reduce, A::direct, 20, 48},            //
                          {broadcast, A::tree, 21, 72},               // 8 + 2 x 32
                          {all_reduce, A::nvls_tree, 42, 32},         // 2 + 2 x 2 x 10; max(1.5 x 8, 2/2 x 32)
                          {all_reduce, A::nvls, 0, 0},                // one switch only
                      });
  GroupShape two = four_twos();
  two.ranks = 4, two.nodes = 2;
  expect(two, {{all_reduce, A::nvls_tree, 22, 16}});  // two nodes exchange halves: 1/2 x 32
  // A network faster than the nodes, 2 us for the array. Of the two rings each leaves a node in place of another one of
  // its two hops, so that a hop within carries half: 14/8 x max(8/2, 2/2). Of uneven nodes some hop may carry both.
  GroupShape fast = four_twos();
  fast.between = 4e9;
  expect(fast, {{all_reduce, A::ring, 77, 7}, {all_gather, A::ring, 38.5, 3.5}});
  fast.even = false;
  expect(fast, {{all_reduce, A::ring, 77, 14}});
}

/// (n-2+c)(a + S/(cB)) with n = 8, a = 1 us, S/B = 6 x 4 us at c = sqrt(6 x 24) = 12 chunks: 18 x (1 + 2) = 54 us.
TEST(ClosedForms, ABroadcastIsAPipeline) {
  const Bytes bytes = 24000;
  for (Collective collective : {broadcast, reduce}) {
    const auto cost = closed_form(collective, A::ring, bytes, eight(), false);
    ASSERT_TRUE(cost);
    EXPECT_NEAR(cost->time(bytes) * 1e6, 54, 1e-9);
    EXPECT_NEAR(cost->bytes_per_second, 1e9, 1e-3);
  }
  // One chunk where the array is too short for more: 7 hops of 1 us + 0.1 us.
  EXPECT_NEAR(closed_form(broadcast, A::ring, 100, eight(), false)->time(100) * 1e6, 7.7, 1e-9);
}

TEST(ClosedForms, HalvingAndHierarchyNeedEvenGroups) {
  GroupShape odd = four_twos();
  odd.even = false;
  EXPECT_FALSE(closed_form(all_reduce, A::halving_doubling, kBytes, odd, false));
  EXPECT_FALSE(closed_form(all_reduce, A::hierarchical, kBytes, odd, false));
  GroupShape three = eight();
  three.ranks = three.per_node = 3;
  EXPECT_FALSE(closed_form(all_reduce, A::halving_doubling, kBytes, three, false));
  // ceil(log2 3) = 2 levels.
  EXPECT_NEAR(closed_form(all_reduce, A::tree, kBytes, three, false)->latency, 4e-6, 1e-15);
}

/// The shape of a group, from the links of 4 DGX H100: NVLink 370.8 GB/s and 2 us, a rail 48 GB/s and 4 us, another
/// rail 6 us.
TEST(GroupShape, OfMembersInAnyOrder) {
  const Cluster cluster = find_cluster("dgx-h100:4");
  const GroupShape shape = shape_of(std::vector<uint32_t>{25, 0, 9, 1, 24, 8}, cluster);
  EXPECT_EQ(shape.ranks, 6u);
  EXPECT_EQ(shape.nodes, 3u);
  EXPECT_EQ(shape.per_node, 2u);
  EXPECT_TRUE(shape.even);
  EXPECT_NEAR(shape.inside, 370.8e9, 1e3);
  EXPECT_NEAR(shape.between, 48e9, 1e3);
  EXPECT_NEAR(shape.inside_latency, 2e-6, 1e-15);
  EXPECT_NEAR(shape.between_latency, 6e-6, 1e-15);
  EXPECT_NEAR(shape.hop_latency, 4e-6, 1e-15);
  EXPECT_NEAR(shape.ring_bytes_per_second(), 96e9, 1e3);
  const GroupShape uneven = shape_of(std::vector<uint32_t>{0, 1, 2, 8}, cluster);
  EXPECT_EQ(uneven.nodes, 2u);
  EXPECT_EQ(uneven.per_node, 1u);
  EXPECT_FALSE(uneven.even);
  EXPECT_EQ(shape_of(std::vector<uint32_t>{5}, cluster).nodes, 1u);
}

/// Where NCCL has no profile of the nodes, the closed forms stand in for it: 14 steps of 2^27 bytes over 370.8 GB/s and
/// of 2 us.
TEST(ClosedForms, StandInWhereThereIsNoProfile) {
  Cluster cluster = find_cluster("dgx-h100");
  cluster.nccl.reset();
  std::vector<uint32_t> group{0, 1, 2, 3, 4, 5, 6, 7};
  const CollectiveCost cost = choose_collective(all_reduce, Bytes{1} << 30, group, cluster);
  EXPECT_EQ(cost.algorithm, A::ring);
  EXPECT_NEAR(cost.time(Bytes{1} << 30), 14.0 / 8 * (1 << 30) / 370.8e9 + 28e-6, 1e-12);
  // Short arrays go by a tree: 6 hops.
  EXPECT_EQ(choose_collective(all_reduce, 8, group, cluster).algorithm, A::tree);
  EXPECT_NEAR(choose_collective(all_reduce, 8, group, cluster).latency, 12e-6, 1e-15);
  // In-switch only by name, since not every NVSwitch can add: 2 x 2 us.
  EXPECT_NEAR(collective_cost(all_reduce, A::nvls, Protocol::simple, 8, group, cluster)->latency, 4e-6, 1e-15);
  EXPECT_FALSE(collective_cost(all_reduce, A::ring, Protocol::ll, 8, group, cluster));
  const std::vector<uint32_t> pair{0, 1};
  EXPECT_NEAR(choose_collective(send_recv, 3708, pair, cluster).time(3708), 2.01e-6, 1e-15);
}

}  // namespace
}  // namespace pgram
