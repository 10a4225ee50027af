// Flows by hand: links of a few bytes a second, and what water-filling gives on them.
#include "sim/network/flow_network.h"

#include <gtest/gtest.h>

#include <limits>
#include <utility>
#include <vector>

namespace pgram::sim {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

using Uses = std::vector<LinkUse>;

/// (time, id) of every end from now on.
std::vector<std::pair<double, uint32_t>> ends(FlowNetwork& network) {
  std::vector<std::pair<double, uint32_t>> all;
  while (!network.idle() && network.next_end() < kInfinity) {
    const double time = network.next_end();
    all.emplace_back(time, network.finish());
  }
  return all;
}

using Ends = std::vector<std::pair<double, uint32_t>>;

// 100 B/s for two: 50 each. The short one (200 B) ends at 4 s; the long one has 600 - 200 = 400 B left at 100 B/s: 8 s.
TEST(FlowNetwork, TwoShareALink) {
  FlowNetwork network({100});
  const Uses uses = {{0}};
  network.start(0, 0, 200, kInfinity, uses);
  network.start(0, 1, 600, kInfinity, uses);
  EXPECT_EQ(network.rate(0), 50);
  EXPECT_EQ(ends(network), (Ends{{4, 0}, {8, 1}}));
}

// Links of 10 and 30 B/s; F0 uses both, F1 the first, F2 the second. The first is full at 5 each; F2 gets 30 - 5 = 25.
// F1 (50 B) ends at 10 s: F0 has 50 B left, F2 1000 - 250 = 750. Then F0 runs at 10, F2 at 20: F0 ends at 15 s, F2 has
// 650 left at 30 B/s: 15 + 650/30.
TEST(FlowNetwork, ParkingLot) {
  FlowNetwork network({10, 30});
  const Uses both = {{0}, {1}}, first = {{0}}, second = {{1}};
  network.start(0, 0, 100, kInfinity, both);
  network.start(0, 1, 50, kInfinity, first);
  network.start(0, 2, 1000, kInfinity, second);
  EXPECT_EQ(network.rate(0), 5);
  EXPECT_EQ(network.rate(1), 5);
  EXPECT_EQ(network.rate(2), 25);
  const Ends all = ends(network);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0], (std::pair<double, uint32_t>{10, 1}));
  EXPECT_EQ(all[1], (std::pair<double, uint32_t>{15, 0}));
  EXPECT_DOUBLE_EQ(all[2].first, 15 + 650.0 / 30);
}

// Links of 6, 10 and 30 B/s; flows over {0}, {0}, {0,1}, {1,2}, {2}. 6/3 = 2 for the first three; 10 - 2 = 8 for the
// fourth; 30 - 8 = 22 for the last. When the first ends: 3, 3, 7, 23.
TEST(FlowNetwork, ThreeLevels) {
  FlowNetwork network({6, 10, 30});
  const std::vector<Uses> uses = {{{0}}, {{0}}, {{0}, {1}}, {{1}, {2}}, {{2}}};
  const double bytes[] = {2, 20, 20, 80, 2200};
  for (uint32_t f = 0; f < 5; ++f) network.start(0, f, bytes[f], kInfinity, uses[f]);
  const double before[] = {2, 2, 2, 8, 22};
  for (uint32_t f = 0; f < 5; ++f) EXPECT_EQ(network.rate(f), before[f]) << f;
  EXPECT_EQ(network.next_end(), 1);
  EXPECT_EQ(network.finish(), 0u);
  const double after[] = {0, 3, 3, 7, 23};
  for (uint32_t f = 1; f < 5; ++f) EXPECT_EQ(network.rate(f), after[f]) << f;
}

// 30 B/s. A crosses the link twice: 2a + b <= 30 with a = b gives 10. With weight 0.5 instead: 0.5a + b = 30, 20 each.
TEST(FlowNetwork, WeightsAndALinkTwice) {
  FlowNetwork network({30, 1000});
  const Uses twice = {{0}, {1}, {0}}, half = {{0, 0.5}}, once = {{0}};
  network.start(0, 0, 100, kInfinity, twice);
  network.start(0, 1, 100, kInfinity, once);
  EXPECT_EQ(network.rate(0), 10);
  EXPECT_EQ(network.rate(1), 10);
  EXPECT_EQ(ends(network), (Ends{{10, 0}, {10, 1}}));
  network.start(10, 0, 100, kInfinity, half);
  network.start(10, 1, 100, kInfinity, once);
  EXPECT_EQ(network.rate(0), 20);
  EXPECT_EQ(network.rate(1), 20);
}

/// Six flows of weights 1 to 6 on one link of 21: all at 21 / 21. Flow k has k bytes, so that they end in this order,
/// and those left share 21: 21 / 20, 21 / 18, 21 / 15, 21 / 11, 21 / 6. Half as wide, half as fast.
TEST(FlowNetwork, EveryOneOfManyHasItsWeight) {
  FlowNetwork network({21, 100});
  for (uint32_t k = 1; k <= 6; ++k) network.start(0, k, k, kInfinity, std::vector<LinkUse>{{1, 1}, {0, double(k)}});
  double left = 21, end = 0;
  for (uint32_t k = 1; k <= 6; ++k) {
    for (uint32_t other = k; other <= 6; ++other) EXPECT_DOUBLE_EQ(network.rate(other), 21 / left) << k;
    end += left / 21;  // one byte more than the flow before
    EXPECT_DOUBLE_EQ(network.next_end(), end);
    EXPECT_EQ(network.finish(), k);
    left -= k;
    if (k != 3) continue;
    network.set_capacity(end, 0, 10.5);
    EXPECT_DOUBLE_EQ(network.rate(5), 10.5 / left);
    network.set_capacity(end, 0, 21);
  }
  EXPECT_TRUE(network.idle());
}

// Alone, a flow of weight 3 gets 30/3 = 10; one that uses nothing runs at its limit.
TEST(FlowNetwork, Alone) {
  FlowNetwork network({30});
  const Uses three = {{0, 3}}, none;
  network.start(0, 7, 100, kInfinity, three);
  network.start(0, 3, 100, 25, none);
  EXPECT_EQ(ends(network), (Ends{{4, 3}, {10, 7}}));
}

// 90 B/s for three of which one takes no more than 10: the others get 40.
TEST(FlowNetwork, Limits) {
  FlowNetwork network({90});
  const Uses uses = {{0}};
  network.start(0, 0, 1000, 10, uses);
  network.start(0, 1, 1000, kInfinity, uses);
  network.start(0, 2, 1000, 50, uses);
  EXPECT_EQ(network.rate(0), 10);
  EXPECT_EQ(network.rate(1), 40);
  EXPECT_EQ(network.rate(2), 40);
}

// Two of 100 B at 100 B/s, so 50 each. At 1 s, with 50 B left each, the link stops; at 11 s it goes on at 10 B/s: 5
// each, 10 s more.
TEST(FlowNetwork, ALinkStopsAndGoesOnSlower) {
  FlowNetwork network({100});
  const Uses uses = {{0}};
  network.start(0, 0, 100, kInfinity, uses);
  network.start(0, 1, 100, kInfinity, uses);
  EXPECT_EQ(network.next_end(), 2);
  network.set_capacity(1, 0, 0);
  EXPECT_EQ(network.next_end(), kInfinity);
  EXPECT_FALSE(network.idle());
  EXPECT_EQ(network.rate(0), 0);
  network.set_capacity(11, 0, 10);
  EXPECT_EQ(ends(network), (Ends{{21, 0}, {21, 1}}));
}

// A flow over a stopped link takes nothing from the flow beside it on its other link.
TEST(FlowNetwork, AStoppedFlowLeavesItsOtherLinksFree) {
  FlowNetwork network({0, 60});
  const Uses both = {{0}, {1}}, second = {{1}};
  network.start(0, 0, 100, kInfinity, both);
  network.start(0, 1, 120, kInfinity, second);
  EXPECT_EQ(network.rate(1), 60);
  EXPECT_EQ(ends(network), (Ends{{2, 1}}));
  EXPECT_FALSE(network.idle());
}

// 100 B/s and 25 B/s. Both flows (100 B) on the first link: 50 each. At 1 s the second has 50 B left and moves to the
// other link: 2 s more there; the first has 50 B left at 100 B/s.
TEST(FlowNetwork, Reroute) {
  FlowNetwork network({100, 25});
  const Uses first = {{0}}, second = {{1}};
  network.start(0, 0, 100, kInfinity, first);
  network.start(0, 1, 100, kInfinity, first);
  EXPECT_EQ(network.next_end(), 2);
  network.reroute(1, 1, second);
  EXPECT_EQ(network.rate(0), 100);
  EXPECT_EQ(network.rate(1), 25);
  EXPECT_EQ(ends(network), (Ends{{1.5, 0}, {3, 1}}));
}

// Four equal flows end at one date: one after the other by id, and the rates are worked out once before and never
// between.
TEST(FlowNetwork, WhatEndsTogetherLeavesTogether) {
  FlowNetwork network({100});
  const Uses uses = {{0}};
  for (uint32_t id : {9, 2, 5, 1}) network.start(0, id, 100, kInfinity, uses);
  EXPECT_EQ(ends(network), (Ends{{4, 1}, {4, 2}, {4, 5}, {4, 9}}));
  EXPECT_EQ(network.statistics().changes, 1u);
  EXPECT_EQ(network.statistics().touched, 4u);
  EXPECT_EQ(network.statistics().changed, 4u);
}

// Three flows at 100 B/s each, over links of their own, of 100, 101 and 200 B: 1 s, 1.01 s and 2 s. With ends up to
// 0.05 s being one date, the first two leave before rates are worked out.
TEST(FlowNetwork, EndsThatAreNearAreOneDate) {
  FlowNetwork network({100, 100, 100, 150}, 0.05);
  const Uses uses[] = {{{0}, {3}}, {{1}}, {{2}}};
  network.start(0, 0, 100, kInfinity, uses[0]);
  network.start(0, 1, 101, kInfinity, uses[1]);
  network.start(0, 2, 200, kInfinity, uses[2]);
  EXPECT_EQ(network.next_end(), 1);
  EXPECT_EQ(network.finish(), 0u);
  EXPECT_EQ(network.next_end(), 1.01);
  EXPECT_EQ(network.finish(), 1u);
  EXPECT_EQ(network.statistics().changes, 1u);
  EXPECT_EQ(ends(network), (Ends{{2, 2}}));
}

TEST(FlowNetwork, NothingToCarryEndsAtOnce) {
  FlowNetwork network({100, 0});
  const Uses first = {{0}}, stopped = {{1}}, none;
  EXPECT_EQ(network.next_end(), kInfinity);
  network.start(3, 0, 0, kInfinity, first);
  network.start(3, 1, 0, kInfinity, stopped);
  network.start(3, 2, 50, kInfinity, none);  // nothing holds it back
  EXPECT_EQ(ends(network), (Ends{{3, 0}, {3, 1}, {3, 2}}));
}

// A ring of 1,000 ranks is one flow over all hops, each of 100 B/s; a second flow over hop 500 takes half of it.
TEST(FlowNetwork, ARingIsOneFlow) {
  FlowNetwork network(std::vector<double>(1000, 100));
  Uses ring;
  for (uint32_t link = 0; link < 1000; ++link) ring.push_back({link, 1});
  const Uses hop = {{500}};
  network.start(0, 0, 400, kInfinity, ring);
  EXPECT_EQ(network.rate(0), 100);
  network.start(1, 1, 50, kInfinity, hop);  // 1 s at 50 B/s; the ring has then 400 - 100 - 50 left
  EXPECT_EQ(network.rate(0), 50);
  EXPECT_EQ(ends(network), (Ends{{2, 1}, {4.5, 0}}));
}

// Two rings over the same 1,000 hops of 100 B/s: 50 each, whichever hop is said to be full. The first (100 B) ends at 2
// s, the other has 400 - 100 left at 100 B/s. One hop at 20 B/s from 3 s on: 200 B more, 10 s.
TEST(FlowNetwork, TwoRingsOverTheSameHops) {
  FlowNetwork network(std::vector<double>(1000, 100));
  Uses ring;
  for (uint32_t link = 0; link < 1000; ++link) ring.push_back({link, 1});
  network.start(0, 0, 100, kInfinity, ring);
  network.start(0, 1, 400, kInfinity, ring);
  EXPECT_EQ(network.rate(0), 50);
  EXPECT_EQ(network.rate(1), 50);
  EXPECT_EQ(network.next_end(), 2);
  EXPECT_EQ(network.finish(), 0u);
  EXPECT_EQ(network.rate(1), 100);
  network.set_capacity(3, 700, 20);
  EXPECT_EQ(ends(network), (Ends{{13, 1}}));
}

// Flows that share no link with others are worked out without looking at any other.
TEST(FlowNetwork, StrangersAreNotTouched) {
  FlowNetwork network(std::vector<double>(100, 10));
  std::vector<Uses> uses;
  for (uint32_t f = 0; f < 100; ++f) uses.push_back({{f}});
  for (uint32_t f = 0; f < 100; ++f) network.start(0, f, 10 * (f + 1), kInfinity, uses[f]);
  const Ends all = ends(network);
  for (uint32_t f = 0; f < 100; ++f) EXPECT_EQ(all[f], (std::pair<double, uint32_t>{f + 1, f}));
  EXPECT_EQ(network.statistics().touched, 100u);
  EXPECT_EQ(network.statistics().changed, 100u);
}

}  // namespace
}  // namespace pgram::sim
