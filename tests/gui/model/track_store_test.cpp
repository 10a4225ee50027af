#include "gui/model/track_store.h"

#include <gtest/gtest.h>

#include "gui/model/matcher.h"
#include "tests/gui/hand_made.h"

namespace pgram::gui {
namespace {

using testing::kMs;
using testing::make_plan_by_hand;
using testing::make_timeline_by_hand;

TEST(TrackStore, HasATrackForEachRankAndStream) {
  const TrackStore store = make_tracks(make_timeline_by_hand(make_plan_by_hand(), 1, 5 * kMs), 0);
  EXPECT_EQ(store.origin, 5 * kMs);
  EXPECT_EQ(store.duration, 12 * kMs);
  ASSERT_EQ(store.tracks.size(), 4u);  // two ranks: compute, and one end of the channel each
  const Track& compute = store.tracks[*store.find(0, Stream::compute)];
  EXPECT_EQ(compute.size(), 8u);  // F0 F1 B0 B1 of two products each
  EXPECT_EQ(compute.start[4], 8 * kMs);
  EXPECT_EQ(compute.piece_at(9 * kMs - 1), std::optional<size_t>(4));
  EXPECT_EQ(compute.piece_at(6 * kMs), std::nullopt);  // the bubble
  EXPECT_FALSE(store.find(0, Stream::tensor));
  EXPECT_FALSE(store.find(7, Stream::compute));
}

TEST(TrackStore, GroupsTheComputeStreamByScheduleSlot) {
  const TrackStore store = make_tracks(make_timeline_by_hand(make_plan_by_hand()), 0);
  const Track& compute = store.tracks[*store.find(1, Stream::compute)];
  ASSERT_EQ(compute.blocks.size(), 4u);
  EXPECT_EQ(compute.blocks[0].label, "F0");
  EXPECT_EQ(compute.blocks[3].label, "B1");
  EXPECT_EQ(compute.blocks[3].start, 9 * kMs);
  EXPECT_EQ(compute.blocks[3].end, 11 * kMs);
}

TEST(TrackStore, StepsOfACollectiveAreCalledByWhatTheyCarry) {
  Plan plan = *make_plan_by_hand();
  Body body = plan.bodies[0];
  const std::string kernel(name_of(body.ops[0].kernel));
  body.name = "step 3: chunk 2 from rank 1, the sum of 4";
  EXPECT_EQ(short_name(plan, body, body.ops[0]), kernel);
  plan.facts["collective"] = "all_reduce";
  EXPECT_EQ(short_name(plan, body, body.ops[0]), "chunk 2 from 1, the sum of 4");
  EXPECT_EQ(short_name(plan, plan.bodies[0], body.ops[0]), kernel);
}

TEST(TrackStore, SplitsAWaitingReceive) {
  const TrackStore store = make_tracks(make_timeline_by_hand(make_plan_by_hand()), 0);
  const Track& receives = store.tracks[*store.find(1, channel_stream(true, false, true))];
  ASSERT_EQ(receives.size(), 3u);  // waiting 0-2, receiving 2-3, receiving 3-5
  EXPECT_EQ(receives.kind[0], kWaitingClass);
  EXPECT_EQ(receives.end[0], 2 * kMs);
  EXPECT_EQ(receives.kind[1], static_cast<uint8_t>(Category::pipeline_comm));
  EXPECT_EQ(receives.span[0], receives.span[1]);
}

TEST(TrackStore, LeavesOutSpansThatNameNoTask) {
  auto timeline = make_timeline_by_hand(make_plan_by_hand());
  std::vector<Span> spans(timeline->spans.begin(), timeline->spans.end());
  spans[0].call = 99;
  spans[1].op = 7;
  spans[2].rank = 1000;
  spans[3].stream = 200;
  spans[4].end = spans[4].start - 1;
  timeline->set_spans(spans);
  const TrackStore store = make_tracks(timeline, 0);
  EXPECT_EQ(store.tracks[*store.find(0, Stream::compute)].size(), 3u);
}

TEST(TrackStore, OverlappingSpansAreDrawnOneAfterTheOther) {
  auto timeline = make_timeline_by_hand(make_plan_by_hand());
  std::vector<Span> spans(timeline->spans.begin(), timeline->spans.end());
  spans[0].end = spans[2].end;  // reaches over the next two
  timeline->set_spans(spans);
  const TrackStore store = make_tracks(timeline, 0);
  const Track& compute = store.tracks[*store.find(0, Stream::compute)];
  for (size_t i = 1; i < compute.size(); ++i) EXPECT_LE(compute.end[i - 1], compute.start[i]);
}

TEST(Rows, ShowBothTimelinesAndFoldedRanks) {
  auto timeline = make_timeline_by_hand(make_plan_by_hand(2));  // ranks 0 1 of stage 0, 2 3 of stage 1
  timeline->representative = {0, 0, 2, 2};
  const TrackStore upper = make_tracks(timeline, 0);
  const TrackStore lower = make_tracks(make_timeline_by_hand(timeline->plan), 0);
  auto rows = make_rows(&upper, &lower, false);
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(rows[1].rank, 1u);
  EXPECT_EQ(rows[1].track[0], rows[0].track[0]);  // rank 1 shows rank 0's track where it is folded
  EXPECT_NE(rows[1].track[1], rows[0].track[1]);
  EXPECT_EQ(make_rows(&upper, &lower, true).size(), 8u);
  rows = make_rows(&upper, nullptr, false, 2);  // more ranks than may be shown: representatives only
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[1].rank, 2u);
  EXPECT_EQ(rows[1].stands_for, 2u);
}

TEST(MemoryCurve, BeginsWithTheValueAtTheStepsStart) {
  auto timeline = make_timeline_by_hand(make_plan_by_hand());
  timeline->steps[0].start = 3 * kMs;  // samples at 0, 2, 4, 10, 12 ms; 68 MiB is valid at 3 ms
  const TrackStore store = make_tracks(timeline, 0);
  const auto curve = memory_curve(store, 0);
  ASSERT_EQ(curve.size(), 4u);
  EXPECT_EQ(curve[0], (std::pair<Picoseconds, int64_t>{0, 68 << 20}));
  EXPECT_EQ(curve[1], (std::pair<Picoseconds, int64_t>{1 * kMs, 88 << 20}));
  EXPECT_EQ(fullest_rank(store), 0u);  // rank 0 has 8 MiB more
  timeline->counter_names.clear();
  EXPECT_TRUE(memory_curve(store, 0).empty());
}

TEST(Matcher, FindsTheSameTaskInTheOtherTimeline) {
  const auto plan = make_plan_by_hand(2);
  auto simulated = make_timeline_by_hand(plan);
  simulated->representative = {0, 0, 2, 2};
  auto measured = make_timeline_by_hand(plan, 1.1, 70 * kMs);
  measured->source = TimelineSource::measured;
  const TrackStore upper = make_tracks(simulated, 0), lower = make_tracks(measured, 0);
  const Matcher matcher(&upper, &lower);
  ASSERT_TRUE(matcher.matched()) << matcher.why_not();
  for (uint32_t i = 0; i < lower.spans().size(); ++i) {
    const auto other = matcher.partner(1, i);
    ASSERT_TRUE(other);
    const Span &own = lower.spans()[i], &span = upper.spans()[*other];
    EXPECT_EQ(span.call, own.call);
    EXPECT_EQ(span.op, own.op);
    EXPECT_EQ(span.rank, simulated->representative_of(own.rank));
  }
  // everything took 1.1 times as long: +10 % of a limit of 20 % is half of the 7 steps, 3.5, rounded away from zero
  for (const uint8_t c : matcher.difference_classes(1, lower.tracks[0])) EXPECT_EQ(c, 7 + 4);
  EXPECT_EQ(matcher.difference_classes(1, lower.tracks[*lower.find(2, channel_stream(true, false, true))])[0],
            kWaitingDifferenceClass);
  // the upper one took 1/1.1 = -9.1 %: 3.2 steps
  for (const uint8_t c : matcher.difference_classes(0, upper.tracks[0])) EXPECT_EQ(c, 7 - 3);
}

TEST(Matcher, MatchesNothingWithoutASecondTimeline) {
  const TrackStore upper = make_tracks(make_timeline_by_hand(make_plan_by_hand()), 0);
  const Matcher matcher(&upper, nullptr);
  EXPECT_FALSE(matcher.matched());
  EXPECT_FALSE(matcher.partner(0, 0));
  for (const uint8_t c : matcher.difference_classes(0, upper.tracks[0])) EXPECT_EQ(c, kUnmatchedClass);
}

TEST(Matcher, SaysWhyPlansDoNotMatch) {
  const auto other = make_plan_by_hand();
  other->programs[0].calls.pop_back();
  const TrackStore upper = make_tracks(make_timeline_by_hand(make_plan_by_hand()), 0);
  auto timeline = std::make_shared<Timeline>(*make_timeline_by_hand(make_plan_by_hand()));
  timeline->plan = other;
  const TrackStore lower = make_tracks(timeline, 0);
  const Matcher matcher(&upper, &lower);
  EXPECT_FALSE(matcher.matched());
  EXPECT_FALSE(matcher.why_not().empty());
}

TEST(DifferenceClass, IsSymmetricAndSaturates) {
  EXPECT_EQ(difference_class(0, 0.2), 7);
  EXPECT_EQ(difference_class(0.2, 0.2), 14);
  EXPECT_EQ(difference_class(-5, 0.2), 0);
  EXPECT_EQ(difference_class(relative_difference(5, 0), 0.2), 14);
  EXPECT_DOUBLE_EQ(relative_difference(0, 0), 0);
  EXPECT_DOUBLE_EQ(relative_difference(12, 10), 0.2);
}

}  // namespace
}  // namespace pgram::gui
