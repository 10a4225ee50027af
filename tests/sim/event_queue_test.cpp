#include "sim/event_queue.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <random>

namespace pgram::sim {
namespace {

/// Against a sorted map, with times near and far, many of them equal.
TEST(EventQueue, LeavesByTimeThenInTheOrderOfComing) {
  std::mt19937_64 random(3);
  for (const Picoseconds unit : {Picoseconds{1}, Picoseconds{1000}, Picoseconds{1} << 40}) {
    EventQueue queue;
    std::map<Picoseconds, std::deque<uint64_t>> expected;
    Picoseconds now = 0;
    uint64_t pushed = 0, left = 0;
    while (left < 20'000) {
      if (pushed < 20'000 && random() % 2 == 0) {
        // As the event loop does: later than the last one that left, and earlier or later than the next.
        const Picoseconds time = now + unit * static_cast<Picoseconds>(1 + random() % (random() % 8 ? 20 : 3000));
        expected[time].push_back(pushed);
        queue.push({time, pushed++});
      } else if (!expected.empty()) {
        auto& [time, events] = *expected.begin();
        ASSERT_EQ(queue.next_time(), time);
        const Event event = queue.pop();
        ASSERT_EQ(event.time, time);
        ASSERT_EQ(event.what, events.front());
        now = time;
        ++left;
        events.pop_front();
        if (events.empty()) expected.erase(expected.begin());
      }
      ASSERT_EQ(queue.empty(), expected.empty());
    }
  }
}

}  // namespace
}  // namespace pgram::sim
