// The law of idle reasons: a stream's idle stretches and its busy time add up to the step, without overlap.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/timeline/critical_path.h"
#include "core/timeline/idle.h"
#include "core/timeline/lookup.h"

namespace pgram::test {

/// For every stream of every rank of a step, and for its critical path.
inline void expect_sums_exact(const Timeline& timeline, size_t step, const std::string& text) {
  const StepGraph graph(timeline, step);
  const Picoseconds begin = graph.step().start, end = graph.step().end;
  for (uint32_t rank = 0; rank < timeline.plan->mesh.ranks(); ++rank) {
    using Stretch = std::pair<Picoseconds, Picoseconds>;
    std::map<uint8_t, std::vector<Stretch>> stretches;  // idle and busy ones
    for (const Idle& idle : idle_of_rank(graph, rank)) stretches[idle.stream].push_back({idle.start, idle.end});
    std::map<uint8_t, std::vector<Stretch>> busy;
    for (const Span& span : of_rank(graph.spans(), timeline.representative_of(rank))) {
      const Picoseconds work = graph.work({rank, &span});
      ASSERT_GE(work, span.start + span.wait() < span.end ? span.start + span.wait() : span.start) << text;
      busy[span.stream].push_back({std::clamp(work, begin, end), std::clamp(span.end, begin, end)});
    }
    for (auto& [stream, spans] : busy) {
      std::sort(spans.begin(), spans.end());
      Picoseconds until = begin;
      for (const auto& [from, to] : spans) {
        if (to > std::max(from, until)) stretches[stream].push_back({std::max(from, until), to});
        until = std::max(until, to);
      }
    }
    for (auto& [stream, parts] : stretches) {
      std::sort(parts.begin(), parts.end());
      Picoseconds now = begin;
      for (const auto& [from, to] : parts) {
        ASSERT_EQ(from, now) << text << ", rank " << rank << ", stream " << int{stream};
        ASSERT_LT(from, to);
        now = to;
      }
      ASSERT_EQ(now, end) << text << ", rank " << rank << ", stream " << int{stream};
    }
  }
  Picoseconds now = begin;
  for (const Segment& segment : critical_path(graph).segments) {
    ASSERT_EQ(segment.start, now) << text;
    ASSERT_LT(segment.start, segment.end) << text;
    now = segment.end;
  }
  ASSERT_EQ(now, end) << text;
}

}  // namespace pgram::test
