#include "core/timeline/timeline.h"

#include <gtest/gtest.h>

#include "tests/timeline/hand_made.h"

namespace pgram {
namespace {

Timeline with_step_times(const std::vector<Picoseconds>& times) {
  Timeline timeline;
  Picoseconds now = 50;
  for (const Picoseconds time : times) {
    timeline.steps.push_back({0, 0, now, now + time, 0, 0});
    now += time;
  }
  return timeline;
}

TEST(Timeline, MedianStepIsTheMiddleOne) {
  EXPECT_EQ(with_step_times({7}).median_step(), 0u);
  EXPECT_EQ(with_step_times({30, 10, 20}).median_step(), 2u);
  EXPECT_EQ(with_step_times({30, 10, 20}).median_step_time(), 20);
}

TEST(Timeline, MedianOfAnEvenNumberIsTheLowerOne) {
  EXPECT_EQ(with_step_times({40, 10, 30, 20}).median_step(), 3u);  // 10 20 | 30 40
  EXPECT_EQ(with_step_times({40, 10, 30, 20}).median_step_time(), 20);
}

TEST(Timeline, EqualStepsKeepTheirOrder) {
  EXPECT_EQ(with_step_times({5, 5, 5}).median_step(), 1u);
}

TEST(Timeline, SpansOutliveCopiesAndMoves) {
  auto first = std::make_unique<Timeline>(hand_made_timeline());
  const Timeline copy = *first;
  first.reset();
  ASSERT_EQ(copy.spans.size(), 14u);
  EXPECT_EQ(copy.of_step(0)[13], hand_made_spans()[13]);
}

}  // namespace
}  // namespace pgram
