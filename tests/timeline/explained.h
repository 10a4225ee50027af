// The hand-made timeline with the waits that its plan needs, and what explains it.
#pragma once
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "core/timeline/idle.h"
#include "tests/timeline/hand_made.h"

namespace pgram {

/// hand_made_plan() with its waits: sends after their compute, compute after its receive, all-reduces after the
/// backward.
inline Plan explained_plan(uint32_t tp) {
  Plan plan = hand_made_plan(tp);
  for (Body& body : plan.bodies) {
    for (size_t op = 1; op < body.ops.size(); ++op) {
      body.ops[op].first_wait = static_cast<uint32_t>(body.waits.size());
      body.ops[op].num_waits = 1;
      body.waits.push_back(0);
    }
  }
  return plan;
}

/// One step [0, 100] as such a plan gives it:
///   rank 0  compute [0,10] [10,20] [50,80]   send [10,14] [20,24]            tensor [80,90]  data [80,95]
///   rank 1  compute [14,34] [34,54] [54,84]  recv [0,14] 10 of it waiting,   tensor [84,94]  data [84,100]
///                                                 [14,24] 6 of it waiting
inline std::vector<Span> explained_spans(uint32_t role, uint32_t rank) {
  std::vector<Span> spans = spans_of_role(role, rank);
  if (role == 0) {
    spans[3].start = 80 * kUnit;
    spans[4].start = 80 * kUnit;
  }
  return spans;
}

/// Two ranks, or with tp 2 four, of which 0 and 2 stand for all.
inline Timeline explained_timeline(uint32_t tp = 1) {
  Timeline timeline = tp == 1 ? hand_made_timeline() : folded_timeline();
  timeline.plan = std::make_shared<Plan>(explained_plan(tp));
  std::vector<Span> spans = explained_spans(0, 0);
  const auto second = explained_spans(1, tp);
  spans.insert(spans.end(), second.begin(), second.end());
  timeline.set_spans(spans);
  return timeline;
}

struct Expected {
  Picoseconds start = 0, end = 0;  ///< units
  IdleReason reason = IdleReason::host;
  bool running = false;
  std::string awaited;
};

inline void expect_idle(const Timeline& timeline, uint32_t rank, Stream stream, const std::vector<Expected>& expected) {
  const StepGraph graph(timeline, 0);
  std::vector<Idle> found = idle_of_rank(graph, rank);
  std::erase_if(found, [&](const Idle& idle) { return idle.stream != static_cast<uint8_t>(stream); });
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].start, expected[i].start * kUnit) << i;
    EXPECT_EQ(found[i].end, expected[i].end * kUnit) << i;
    EXPECT_STREQ(name_of(found[i].reason), name_of(expected[i].reason)) << i;
    EXPECT_EQ(found[i].running, expected[i].running) << i;
    ASSERT_TRUE(found[i].awaited.has_value()) << i;
    EXPECT_EQ(to_text(*timeline.plan, *found[i].awaited), expected[i].awaited) << i;
  }
}

}  // namespace pgram
