// What is given back is taken again, by lists of the same size.
#include "sim/network/list_pool.h"

#include <gtest/gtest.h>

namespace pgram::sim {
namespace {

TEST(ListPool, BlocksArePowersOfTwoAndTakenAgain) {
  ListPool<int> pool;
  const auto three = pool.take(3), one = pool.take(1), four = pool.take(4);
  EXPECT_EQ(three.places, 4u);
  EXPECT_EQ(one.places, 1u);
  EXPECT_EQ(one.first, three.first + 4);
  EXPECT_EQ(four.first, one.first + 1);
  pool[three.first] = 7;
  pool.give_back(three);
  EXPECT_EQ(pool.take(1).first, four.first + 4);  // not part of a larger one
  EXPECT_EQ(pool.take(4).first, three.first);
  EXPECT_EQ(pool.list(three, 1)[0], 7);
}

}  // namespace
}  // namespace pgram::sim
