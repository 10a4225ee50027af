// What is given back is taken again, by lists of the same size.
#include "sim/network/list_pool.h"

#include <gtest/gtest.h>

#include <vector>

namespace pgram::sim {
namespace {

TEST(ListPool, BlocksArePowersOfTwoAndTakenAgain) {
  ListPool<int> pool;
  const auto three = pool.take(3), one = pool.take(1), four = pool.take(4);
  EXPECT_EQ(three.places, 4u);
  EXPECT_EQ(one.places, 1u);
  EXPECT_EQ(one.first, three.first + 4);
  EXPECT_EQ(four.first, one.first + 1);
  *pool.at(three.first) = 7;
  pool.give_back(three);
  EXPECT_EQ(pool.take(1).first, four.first + 4);  // not part of a larger one
  EXPECT_EQ(pool.take(4).first, three.first);
  EXPECT_EQ(*pool.at(three.first), 7);
}

std::vector<uint32_t> numbers(const ShortList& list, const ShortList::Pool& pool) {
  const auto in = list.in(pool);
  return {in.begin(), in.end()};
}

TEST(ShortList, TakesFromThePoolFromTheFifthOnAndGivesBackWhenEmpty) {
  ShortList::Pool pool;
  ShortList list, other;
  for (uint32_t i = 0; i < 4; ++i) list.push(10 + i, pool);
  EXPECT_EQ(list.places(), 4u);
  list.push(14, pool);
  EXPECT_EQ(list.places(), 8u);
  for (uint32_t i = 0; i < 9; ++i) other.push(20 + i, pool);  // 8 places, then 16
  EXPECT_EQ(other.places(), 16u);
  EXPECT_EQ(numbers(list, pool), (std::vector<uint32_t>{10, 11, 12, 13, 14}));
  list.take_out(1, pool);  // the last one takes its place
  EXPECT_EQ(numbers(list, pool), (std::vector<uint32_t>{10, 14, 12, 13}));
  while (list.size() > 0) list.take_out(list.size() - 1, pool);
  EXPECT_EQ(list.places(), 4u);
  list.push(30, pool);
  EXPECT_EQ(numbers(list, pool), std::vector<uint32_t>{30});
  EXPECT_EQ(numbers(other, pool), (std::vector<uint32_t>{20, 21, 22, 23, 24, 25, 26, 27, 28}));
  other.clear(pool);
  EXPECT_EQ(pool.take(16).first, 16u);  // 8 + 8 places before it; it came back
}

}  // namespace
}  // namespace pgram::sim
