// Steps as a timeline: the plan is good, the file is read back, and a person finds the way of a chunk in it.
#include "sim/collectives/trace.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <numeric>

#include "core/base/errors.h"
#include "core/plan/verify.h"
#include "core/timeline/idle.h"
#include "tests/collectives/cases.h"

namespace pgram::sim::test {
namespace {

Timeline trace(const Case& c, const std::string& cluster_name, uint32_t members, Bytes bytes = 1 << 20) {
  const Cluster cluster = find_cluster(cluster_name);
  std::vector<uint32_t> group(members);
  std::iota(group.begin(), group.end(), 0u);
  const StepProgram program = make_steps(c.collective, c.algorithm, GroupNodes::of(group, cluster));
  return step_timeline(program, step_times(program, Protocol::simple, bytes, group, cluster), Protocol::simple, bytes,
                       cluster);
}

std::string name(const Timeline& timeline, const Span& span) {
  const Plan& plan = *timeline.plan;
  return plan.bodies[plan.programs[span.rank].calls[span.call].body].name;
}

TEST(StepTimeline, WayOfAChunkAroundARing) {
  // Ring of 4: chunk 2 goes from rank 3 on, adds up 0 and 1, arrives at 2 as the sum of 4, and goes around once more.
  const Timeline timeline = trace({Collective::all_reduce, Algorithm::ring}, "dgx-h100", 4);
  std::vector<std::string> way;
  std::vector<Span> spans(timeline.spans.begin(), timeline.spans.end());
  std::sort(spans.begin(), spans.end(), [](const Span& a, const Span& b) { return a.end < b.end; });
  for (const Span& span : spans) {
    const std::string text = name(timeline, span);
    if (text.find("chunk 2 from") != std::string::npos) way.push_back(std::to_string(span.rank) + ": " + text);
  }
  const std::vector<std::string> expected{
      "0: step 1: chunk 2 from rank 3, the sum of 2", "1: step 2: chunk 2 from rank 0, the sum of 3",
      "2: step 3: chunk 2 from rank 1, the sum of 4", "3: step 4: chunk 2 from rank 2, the sum of 4",
      "0: step 5: chunk 2 from rank 3, the sum of 4", "1: step 6: chunk 2 from rank 0, the sum of 4"};
  EXPECT_EQ(way, expected);
  // 6 steps of 4 messages with two ends each; what a rank has of the result grows to all 4 chunks.
  EXPECT_EQ(timeline.spans.size(), 48u);
  for (uint32_t rank = 0; rank < 4; ++rank) {
    int64_t last = 0;
    for (const CounterSample& sample : timeline.counters) {
      if (sample.rank != rank) continue;
      EXPECT_GE(sample.value, last);
      last = sample.value;
    }
    EXPECT_EQ(last, 4);
  }
}

TEST(StepTimeline, EveryAlgorithmMakesAGoodPlanAndIsReadBack) {
  const std::string path = testing::TempDir() + "steps.timeline";
  for (const Case& c : all_cases()) {
    const bool pat = c.algorithm == Algorithm::pat;
    const bool over_nodes = c.algorithm == Algorithm::nvls_tree || c.algorithm == Algorithm::hierarchical;
    if (pat) continue;  // NCCL has it only with one device a node
    const Cluster cluster = find_cluster(over_nodes ? "dgx-h100:2" : "dgx-h100");
    const bool rooted_tree = c.algorithm == Algorithm::tree && c.collective != Collective::all_reduce;
    const Timeline timeline = trace(c, over_nodes ? "dgx-h100:2" : "dgx-h100", over_nodes ? 16 : 8);
    const std::string what = std::string(name_of(c.collective)) + " " + name_of(c.algorithm);
    EXPECT_EQ(verify(*timeline.plan), "") << what;
    EXPECT_TRUE(!rooted_tree || timeline.spans.size() == 2u * 14) << what;
    write_timeline(timeline, path);
    const Timeline back = read_timeline(path);
    ASSERT_EQ(back.spans.size(), timeline.spans.size()) << what;
    EXPECT_TRUE(std::equal(back.spans.begin(), back.spans.end(), timeline.spans.begin())) << what;
    EXPECT_EQ(back.facts.at("algorithm"), name_of(c.algorithm));
    EXPECT_EQ(back.counters.size(), timeline.counters.size());
    EXPECT_EQ(name(back, back.spans[0]), name(timeline, timeline.spans[0]));
  }
  std::remove(path.c_str());
}

TEST(StepTimeline, MessagesOfAConnectionComeOneAfterAnother) {
  // A tree in chunks, where NCCL's model hides the latency: what is drawn on one stream of a rank must not overlap.
  const Cluster cluster = find_cluster("dgx-h100");
  const std::vector<uint32_t> group{0, 1, 2, 3, 4, 5, 6, 7};
  const StepProgram program =
      make_steps(Collective::all_reduce, Algorithm::tree, GroupNodes::of(group, cluster), {1, 8});
  const Bytes bytes = 1 << 24;
  const Timeline timeline = step_timeline(program, step_times(program, Protocol::simple, bytes, group, cluster),
                                          Protocol::simple, bytes, cluster);
  for (size_t i = 1; i < timeline.spans.size(); ++i) {
    const Span &before = timeline.spans[i - 1], &span = timeline.spans[i];
    if (before.rank != span.rank || before.stream != span.stream) continue;
    EXPECT_LE(before.end, span.start);
  }
}

TEST(StepTimeline, EveryWaitHasItsReason) {
  // Nothing but the plan and the links keeps a step: no idle time is the host's or a launch window's.
  for (const Case& c : all_cases()) {
    if (c.algorithm == Algorithm::pat) continue;
    const bool over_nodes = c.algorithm == Algorithm::nvls_tree || c.algorithm == Algorithm::hierarchical;
    const Timeline timeline = trace(c, over_nodes ? "dgx-h100:2" : "dgx-h100", over_nodes ? 16 : 8);
    const StepGraph graph(timeline, 0);
    for (uint32_t rank = 0; rank < timeline.plan->mesh.ranks(); ++rank) {
      for (const Idle& idle : idle_of_rank(graph, rank)) {
        EXPECT_NE(idle.reason, IdleReason::host)
            << name_of(c.collective) << " " << name_of(c.algorithm) << ", rank " << rank << ": " << idle.start << " to "
            << idle.end << " " << to_text(graph, idle);
      }
    }
  }
}

TEST(StepTimeline, AReceiveWaitsForItsSender) {
  // Ring of 4. Rank 0's copies come on a stream of their own, from step 4 on. Chunk 3, the first of them, may come once
  // rank 0 has passed its own sum of it on in step 1; until step 4 rank 3, which sends it, waits for the sum itself.
  const Timeline timeline = trace({Collective::all_reduce, Algorithm::ring}, "dgx-h100", 4);
  const StepGraph graph(timeline, 0);
  Picoseconds waits = 0;
  for (const Idle& idle : idle_of_rank(graph, 0)) {
    if (idle.reason == IdleReason::sender) waits += idle.end - idle.start;
  }
  EXPECT_NEAR(static_cast<double>(waits), static_cast<double>(timeline.steps[0].end) / 3, 2000);
}

TEST(StepTimeline, TooManyMessagesAreRefused) {
  EXPECT_THROW(trace({Collective::all_reduce, Algorithm::direct}, "dgx-h100:16", 128), InputError);
}

}  // namespace
}  // namespace pgram::sim::test
