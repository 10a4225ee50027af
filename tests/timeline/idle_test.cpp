#include "core/timeline/idle.h"

#include <gtest/gtest.h>

#include "tests/timeline/explained.h"

namespace pgram {
namespace {

TEST(Idle, ComputeOfTheFirstStage) {
  // compute [0,10] [10,20] [50,80]. Nothing in the plan keeps the backward from beginning at 20. After it the step
  // goes on until rank 1's data all-reduce [84,100] has ended.
  expect_idle(explained_timeline(), 0, Stream::compute,
              {{20, 50, IdleReason::host, false, "rank 0 sync.b(layer 0, mb 0).0:opaque"},
               {80, 84, IdleReason::drain, false, "rank 1 sync.b(layer 0, mb 0).2:all_reduce"},
               {84, 100, IdleReason::drain, true, "rank 1 sync.b(layer 0, mb 0).2:all_reduce"}});
}

TEST(Idle, ComputeOfTheLastStage) {
  // Its first forward waits for the message [10,14], and that for rank 0's forward [0,10].
  expect_idle(explained_timeline(), 1, Stream::compute,
              {{0, 10, IdleReason::fill, true, "rank 0 first.f(layer 5, mb 0).0:opaque"},
               {10, 14, IdleReason::fill, true, "rank 1 second.f(layer 5, mb 0).0:recv"},
               {84, 100, IdleReason::drain, true, "rank 1 sync.b(layer 0, mb 0).2:all_reduce"}});
}

TEST(Idle, WaitingInsideACommunicationSpan) {
  // Receives [0,14], 10 of it waiting, and [14,24], 6 of it waiting: the second for rank 0's forward [10,20].
  expect_idle(explained_timeline(), 1, kReceiveStream,
              {{0, 10, IdleReason::sender, true, "rank 0 first.f(layer 5, mb 0).0:opaque"},
               {14, 20, IdleReason::sender, true, "rank 0 first.f(layer 5, mb 1).0:opaque"},
               {24, 84, IdleReason::barrier, false, "rank 1 sync.b(layer 0, mb 0).2:all_reduce"},
               {84, 100, IdleReason::barrier, true, "rank 1 sync.b(layer 0, mb 0).2:all_reduce"}});
}

TEST(Idle, TaskOfAnotherStream) {
  // The all-reduce [84,94] waits for the backward [54,84], which has not begun before 54.
  expect_idle(explained_timeline(), 1, Stream::tensor,
              {{0, 54, IdleReason::task, false, "rank 1 sync.b(layer 0, mb 0).0:opaque"},
               {54, 84, IdleReason::task, true, "rank 1 sync.b(layer 0, mb 0).0:opaque"},
               {94, 100, IdleReason::barrier, true, "rank 1 sync.b(layer 0, mb 0).2:all_reduce"}});
}

TEST(Idle, AnEventSaysThatASendHasEnded) {
  // The backward of rank 0 waits for an event behind the second send [20,24]: [20,24] is the pipeline's, of the rest
  // [24,50] nothing in the plan is the cause.
  Timeline timeline = explained_timeline();
  auto plan = std::make_shared<Plan>(*timeline.plan);
  Program& program = plan->programs[0];
  program.num_events = 1;
  program.syncs = {{1, Sync::kRecord}, {0, 0}};
  program.calls[1].first_sync = 0;
  program.calls[1].num_syncs = 1;
  program.calls[2].first_sync = 1;
  program.calls[2].num_syncs = 1;
  timeline.plan = plan;
  expect_idle(timeline, 0, Stream::compute,
              {{20, 24, IdleReason::steady, true, "rank 0 first.f(layer 5, mb 1).1:send"},
               {24, 50, IdleReason::host, false, "rank 0 sync.b(layer 0, mb 0).0:opaque"},
               {80, 84, IdleReason::drain, false, "rank 1 sync.b(layer 0, mb 0).2:all_reduce"},
               {84, 100, IdleReason::drain, true, "rank 1 sync.b(layer 0, mb 0).2:all_reduce"}});
}

TEST(Idle, SharedLinksCountAtTheEndOfTheTransfer) {
  // The first message [10,14] lost 1 to one task and 2 to another: without them it would have come at 11.
  Timeline timeline = explained_timeline();
  timeline.contention = {{0, 12, 0, 2, 2, {}, 1 * kUnit}, {0, 12, 0, 2, 1, {}, 2 * kUnit}};
  expect_idle(timeline, 1, Stream::compute,
              {{0, 10, IdleReason::fill, true, "rank 0 first.f(layer 5, mb 0).0:opaque"},
               {10, 11, IdleReason::fill, true, "rank 1 second.f(layer 5, mb 0).0:recv"},
               {11, 13, IdleReason::link, true, "rank 0 sync.b(layer 0, mb 0).1:all_reduce"},
               {13, 14, IdleReason::link, true, "rank 0 sync.b(layer 0, mb 0).2:all_reduce"},
               {84, 100, IdleReason::drain, true, "rank 1 sync.b(layer 0, mb 0).2:all_reduce"}});
}

TEST(Idle, CollectiveWaitsForItsSlowestMember) {
  // Ranks 0 and 1 are one tensor group. Rank 1's backward is [50,87], so that rank 0's all-reduce, there at 80, waits
  // until 87.
  Timeline timeline = explained_timeline(2);
  std::vector<Span> spans;
  for (uint32_t rank = 0; rank < 4; ++rank) {
    for (Span span : explained_spans(rank / 2, rank)) {
      const bool backward = span.call == 2 && span.op == 0, sums = span.stream == static_cast<uint8_t>(Stream::tensor);
      if (rank == 1 && backward) span.end = 87 * kUnit;
      if (rank == 1 && sums) span.start = 87 * kUnit, span.end = 97 * kUnit;
      if (rank == 0 && sums) span.end = 97 * kUnit, span.set_wait(7 * kUnit);
      spans.push_back(span);
    }
  }
  timeline.representative.clear();
  timeline.steps[0].num_spans = spans.size();
  timeline.set_spans(spans);
  expect_idle(timeline, 0, Stream::tensor,
              {{0, 50, IdleReason::task, false, "rank 0 sync.b(layer 0, mb 0).0:opaque"},
               {50, 80, IdleReason::task, true, "rank 0 sync.b(layer 0, mb 0).0:opaque"},
               {80, 87, IdleReason::member, true, "rank 1 sync.b(layer 0, mb 0).0:opaque"},
               {97, 100, IdleReason::barrier, true, "rank 2 sync.b(layer 0, mb 0).2:all_reduce"}});
}

TEST(Idle, AlikeRanksHaveTheSameReasonsWithTheirOwnTasks) {
  // Folded: rank 3 is as rank 2, and its messages come from rank 1.
  expect_idle(explained_timeline(2), 3, Stream::compute,
              {{0, 10, IdleReason::fill, true, "rank 1 first.f(layer 5, mb 0).0:opaque"},
               {10, 14, IdleReason::fill, true, "rank 3 second.f(layer 5, mb 0).0:recv"},
               {84, 100, IdleReason::drain, true, "rank 2 sync.b(layer 0, mb 0).2:all_reduce"}});
}

TEST(Idle, ReasonsAreText) {
  const Timeline timeline = explained_timeline();
  const StepGraph graph(timeline, 0);
  const auto idle = idle_of_rank(graph, 1);
  EXPECT_EQ(to_text(graph, idle[0]),
            "pipeline bubble (fill): waits for rank 0 first.f(layer 5, mb 0).0:opaque, which is running");
  EXPECT_EQ(to_text(graph, idle[3]), "waits for rank 1 sync.b(layer 0, mb 0).0:opaque, which has not begun");
}

TEST(Idle, SharesAddUpToTheBubble) {
  // Compute idle: rank 0 host 30, drain 20; rank 1 fill 14, drain 16; of 2 * 100.
  const Timeline timeline = explained_timeline();
  const IdleSummary summary = summarise_idle(StepGraph(timeline, 0));
  const auto share = [&](IdleReason reason) { return summary.share[static_cast<size_t>(reason)]; };
  EXPECT_DOUBLE_EQ(share(IdleReason::host), 0.15);
  EXPECT_DOUBLE_EQ(share(IdleReason::drain), 0.18);
  EXPECT_DOUBLE_EQ(share(IdleReason::fill), 0.07);
  ASSERT_EQ(summary.ranks.size(), 2u);
  EXPECT_EQ(summary.ranks[0].total(), 50 * kUnit);
  EXPECT_EQ(summary.ranks[1].total(), 30 * kUnit);
}

}  // namespace
}  // namespace pgram
