#include "core/timeline/critical_path.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/timeline/explanation.h"
#include "tests/timeline/explained.h"

namespace pgram {
namespace {

struct Part {
  Picoseconds start = 0, end = 0;  // units
  PathWhat what = PathWhat::work;
  std::string text;
};

void expect_path(const Timeline& timeline, const std::vector<Part>& expected) {
  const StepGraph graph(timeline, 0);
  const CriticalPath path = critical_path(graph);
  ASSERT_EQ(path.segments.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(path.segments[i].start, expected[i].start * kUnit) << i;
    EXPECT_EQ(path.segments[i].end, expected[i].end * kUnit) << i;
    EXPECT_STREQ(name_of(path.segments[i].what), name_of(expected[i].what)) << i;
    EXPECT_EQ(to_text(graph, path.segments[i]), expected[i].text) << i;
  }
}

// Backwards: rank 1's data all-reduce [84,100] after its backward [54,84] after its forwards [14,34] [34,54]; the first
// of them after the message [10,14], which its sender began when rank 0's forward [0,10] had ended.
TEST(CriticalPath, ThroughTasksAndLinks) {
  expect_path(explained_timeline(), {{0, 10, PathWhat::work, "rank 0 first.f(layer 5, mb 0).0:opaque"},
                                     {10, 14, PathWhat::work, "rank 1 second.f(layer 5, mb 0).0:recv"},
                                     {14, 34, PathWhat::work, "rank 1 second.f(layer 5, mb 0).1:opaque"},
                                     {34, 54, PathWhat::work, "rank 1 second.f(layer 5, mb 1).1:opaque"},
                                     {54, 84, PathWhat::work, "rank 1 sync.b(layer 0, mb 0).0:opaque"},
                                     {84, 100, PathWhat::work, "rank 1 sync.b(layer 0, mb 0).2:all_reduce"}});
  // forward 10 + 20 + 20, backward 30, data 16, pipeline 4.
  const Timeline timeline = explained_timeline();
  const CriticalPath path = critical_path(StepGraph(timeline, 0));
  const auto work = [&](Category category) { return path.work[static_cast<size_t>(category)] / kUnit; };
  EXPECT_EQ(work(Category::forward), 50);
  EXPECT_EQ(work(Category::backward), 30);
  EXPECT_EQ(work(Category::data_comm), 16);
  EXPECT_EQ(work(Category::pipeline_comm), 4);
  EXPECT_EQ(path.length(), 100 * kUnit);
}

// Of the message [10,14] the sender has moved all bytes at 12. The all-reduce [84,100] lost 5 on shared links. The step
// ends 3 after its last task.
TEST(CriticalPath, LatencyLinksAndTheEnd) {
  Timeline timeline = explained_timeline();
  std::vector<Span> spans(timeline.spans.begin(), timeline.spans.end());
  spans[5].end = 12 * kUnit;  // rank 0's first send
  timeline.set_spans(spans);
  timeline.contention = {{0, 11, 0, 2, 2, {}, 5 * kUnit}};  // rank 1's all-reduce on data
  timeline.steps[0].end = 103 * kUnit;
  expect_path(timeline, {{0, 10, PathWhat::work, "rank 0 first.f(layer 5, mb 0).0:opaque"},
                         {10, 12, PathWhat::work, "rank 1 second.f(layer 5, mb 0).0:recv"},
                         {12, 14, PathWhat::latency, "latency of rank 1 second.f(layer 5, mb 0).0:recv"},
                         {14, 34, PathWhat::work, "rank 1 second.f(layer 5, mb 0).1:opaque"},
                         {34, 54, PathWhat::work, "rank 1 second.f(layer 5, mb 1).1:opaque"},
                         {54, 84, PathWhat::work, "rank 1 sync.b(layer 0, mb 0).0:opaque"},
                         {84, 95, PathWhat::work, "rank 1 sync.b(layer 0, mb 0).2:all_reduce"},
                         {95, 100, PathWhat::link,
                          "rank 1 sync.b(layer 0, mb 0).2:all_reduce on a link shared with "
                          "rank 0 sync.b(layer 0, mb 0).2:all_reduce"},
                         {100, 103, PathWhat::barrier, "end of the step"}});
}

// The plan does not say why rank 0's backward [50,80] begins so late; with rank 0's data all-reduce [80,110] last, the
// path goes through it.
TEST(CriticalPath, WhatThePlanDoesNotExplain) {
  Timeline timeline = explained_timeline();
  timeline.source = TimelineSource::measured;
  std::vector<Span> spans(timeline.spans.begin(), timeline.spans.end());
  spans[4].end = 110 * kUnit;
  timeline.set_spans(spans);
  timeline.steps[0].end = 110 * kUnit;
  expect_path(timeline, {{0, 10, PathWhat::work, "rank 0 first.f(layer 5, mb 0).0:opaque"},
                         {10, 20, PathWhat::work, "rank 0 first.f(layer 5, mb 1).0:opaque"},
                         {20, 50, PathWhat::host, "host or jitter before rank 0 sync.b(layer 0, mb 0).0:opaque"},
                         {50, 80, PathWhat::work, "rank 0 sync.b(layer 0, mb 0).0:opaque"},
                         {80, 110, PathWhat::work, "rank 0 sync.b(layer 0, mb 0).2:all_reduce"}});
}

TEST(CriticalPath, OfAFoldedTimeline) {
  const Timeline timeline = explained_timeline(2);
  const CriticalPath path = critical_path(StepGraph(timeline, 0));
  ASSERT_EQ(path.segments.size(), 6u);
  EXPECT_EQ(path.segments[0].task->rank, 0u);
  EXPECT_EQ(path.segments[5].task->rank, 2u);
  EXPECT_EQ(path.length(), 100 * kUnit);
}

TEST(CriticalPath, TasksThatWaitInACircleEndThePath) {
  // Of a plan that nobody verified; the path still ends at the step's start.
  Timeline timeline = explained_timeline();
  auto plan = std::make_shared<Plan>(*timeline.plan);
  plan->bodies[1].waits[0] = 1;  // second.f's compute waits for itself
  timeline.plan = plan;
  EXPECT_EQ(critical_path(StepGraph(timeline, 0)).length(), 100 * kUnit);
}

TEST(Explanation, TextAndJson) {
  const Timeline timeline = explained_timeline();
  const Explanation explanation = explain(timeline);
  EXPECT_EQ(explanation_to_text(timeline, explanation),
            "\n"
            "why idle, mean of ranks  of the step\n"
            "pipeline fill                  7.0 %\n"
            "pipeline drain                18.0 %\n"
            "launch window                 15.0 %\n"
            "\n"
            "critical path  of the step\n"
            "forward             50.0 %\n"
            "backward            30.0 %\n"
            "data parallel       16.0 %\n"
            "pipeline             4.0 %\n");
  const auto json = nlohmann::json::parse(explanation_to_json(timeline, explanation));
  EXPECT_DOUBLE_EQ(json["idle"]["share_by_reason"]["drain"], 0.18);
  EXPECT_DOUBLE_EQ(json["idle"]["ranks"][1]["seconds_by_reason"]["fill"], 14e-9);
  EXPECT_DOUBLE_EQ(json["critical_path"]["seconds"], 1e-7);
  EXPECT_EQ(json["critical_path"]["segments"].size(), 6u);
}

TEST(Explanation, WithoutSpansIsEmpty) {
  Timeline timeline = explained_timeline();
  timeline.steps[0].num_spans = 0;
  EXPECT_EQ(explanation_to_text(timeline, explain(timeline)), "");
}

}  // namespace
}  // namespace pgram
