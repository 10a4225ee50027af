// The queue of dates against a sorted set, with entries that stand in rows and entries that move.
#include "sim/network/date_queue.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <tuple>
#include <vector>

namespace pgram::sim {
namespace {

using Key = std::tuple<double, uint32_t, uint32_t>;  // date, id, slot

TEST(DateQueue, GivesTheEarliestAndOfEqualDatesTheLowestId) {
  DateQueue queue;
  // Two rows of the same date, 4 5 6 and 1 9: by id 1 4 5 6 9.
  for (const uint32_t id : {4u, 5u, 6u, 1u, 9u}) queue.push({7.0, id, 10 + id});
  queue.push({3.0, 8, 0});
  std::vector<uint32_t> ids;
  for (; !queue.empty(); queue.pop()) ids.push_back(queue.first().id);
  EXPECT_EQ(ids, (std::vector<uint32_t>{8, 1, 4, 5, 6, 9}));
}

TEST(DateQueue, OnlyWhoIsAloneMoves) {
  DateQueue queue;
  const uint32_t first = queue.push({1.0, 1, 0}), second = queue.push({1.0, 2, 0}), third = queue.push({2.0, 1, 0});
  EXPECT_FALSE(queue.is_alone(first));   // somebody is behind it
  EXPECT_FALSE(queue.is_alone(second));  // it is behind somebody
  ASSERT_TRUE(queue.is_alone(third));
  queue.move(third, 0.5);
  EXPECT_EQ(queue.first_place(), third);
  queue.move(third, 1.5);
  EXPECT_EQ(queue.first_place(), first);
  queue.pop();
  EXPECT_TRUE(queue.is_alone(second));
}

/// Few dates and ids, so that most come in rows.
TEST(DateQueue, EqualsASortedSet) {
  for (uint32_t seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    const auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
    DateQueue queue;
    std::set<Key> sorted;
    std::vector<uint32_t> places;  // of those that are there
    uint32_t slot = 0;
    for (int step = 0; step < 2000; ++step) {
      const uint32_t what = below(10);
      if (what < 5 || sorted.empty()) {
        // All different, mostly higher than the one before.
        const double date = below(6);
        const uint32_t id = step % 3 ? slot : below(1000) * 4096 + slot;
        places.push_back(queue.push({date, id, slot}));
        sorted.insert({date, id, slot++});
      } else if (what < 8) {
        const Dated& first = queue.first();
        ASSERT_EQ((Key{first.date, first.id, first.slot}), *sorted.begin()) << "seed " << seed << ", step " << step;
        std::erase(places, queue.first_place());
        queue.pop();
        sorted.erase(sorted.begin());
      } else {
        const uint32_t place = places[below(static_cast<uint32_t>(places.size()))];
        if (!queue.is_alone(place)) continue;
        const Dated before = queue.at(place);
        sorted.erase({before.date, before.id, before.slot});
        queue.move(place, below(6));
        sorted.insert({queue.at(place).date, before.id, before.slot});
      }
      ASSERT_EQ(queue.empty(), sorted.empty());
    }
  }
}

}  // namespace
}  // namespace pgram::sim
