// What is kept in short for speed against what is written out: the order of tasks, what explains them, idle sums and
// summaries, on simulated timelines and on ones disordered by chance.
#include "core/timeline/step_graph.h"

#include <gtest/gtest.h>

#include <array>
#include <numeric>
#include <optional>
#include <random>
#include <tuple>

#include "core/timeline/idle.h"
#include "core/timeline/lookup.h"
#include "tests/sim/random_plans.h"
#include "tests/timeline/slow_order.h"
#include "tests/timeline/slow_summary.h"

namespace pgram {
namespace {

using test::SlowTask;

/// As if measured: spans end at times of their own, some are missing, some wait.
Timeline disordered(const Timeline& timeline, uint32_t seed) {
  std::mt19937 random(seed);
  const auto draw = [&](Picoseconds most) { return std::uniform_int_distribution<Picoseconds>(0, most)(random); };
  Timeline result = timeline;
  result.source = TimelineSource::measured;
  std::vector<Span> spans;
  for (Span span : timeline.spans) {
    if (draw(40) == 0) continue;
    const Picoseconds length = span.end - span.start;
    span.start += draw(length);
    span.end += draw(2 * length);
    span.set_wait(draw(1) * draw(span.end - span.start));
    spans.push_back(span);
  }
  std::ranges::sort(spans, {}, [](const Span& s) { return std::tuple(s.rank, s.stream, s.start, s.call, s.op); });
  result.steps[0].num_spans = spans.size();
  result.contention.clear();
  result.set_spans(std::move(spans));
  return result;
}

/// The stream on which all of a communicator's operations are and no other task is.
std::optional<Stream> own_stream(const std::vector<SlowTask>& tasks, uint16_t comm) {
  const auto first = std::ranges::find(tasks, comm, [](const SlowTask& task) { return task.what->comm; });
  if (first == tasks.end()) return std::nullopt;
  const Stream stream = first->what->stream;
  const bool is_own = std::ranges::all_of(
      tasks, [&](const SlowTask& task) { return (task.what->comm == comm) == (task.what->stream == stream); });
  return is_own ? std::optional(stream) : std::nullopt;
}

void expect_order(const Timeline& timeline, const std::string& text) {
  const Plan& plan = *timeline.plan;
  const PlanOrder plan_order(plan);
  const StepGraph graph(timeline, 0, plan_order);
  const auto spans = graph.spans();
  for (uint32_t rank = 0; rank < plan.mesh.ranks(); ++rank) {
    if (timeline.representative_of(rank) != rank) continue;
    const Program& program = plan.programs[plan.role(rank)];
    const std::vector<SlowTask> tasks = test::slow_order(plan, program);
    const RoleOrder& order = plan_order.role(plan.role(rank));
    ASSERT_EQ(order.size(), tasks.size()) << text;
    std::vector<const Span*> of_task;
    for (const SlowTask& task : tasks) of_task.push_back(test::slow_span(of_rank(spans, rank), rank, task));
    std::vector<uint32_t> met(plan.comms.size());
    std::array<uint32_t, kStreams> on_stream{};
    for (uint16_t comm = 0; comm < met.size(); ++comm) {
      ASSERT_EQ(order.own_stream(comm), own_stream(tasks, comm)) << text;
    }
    for (uint32_t t = 0; t < tasks.size(); ++t) {
      const RoleTask task{tasks[t].call, tasks[t].op};
      ASSERT_EQ(order.number(task), t) << text;
      ASSERT_EQ(order.place(task), on_stream[static_cast<size_t>(tasks[t].what->stream)]++) << text;
      std::vector<uint32_t> predecessors;
      order.for_predecessors(task, [&](RoleTask before) {
        predecessors.push_back(order.number(before));
        return true;
      });
      ASSERT_EQ(predecessors, tasks[t].predecessors) << text << ", task " << t;
      const uint16_t comm = tasks[t].what->comm;
      if (comm != kNoComm) {
        ASSERT_EQ(order.turn(task), tasks[t].turn) << text;
        ASSERT_EQ(order.at_turn(comm, tasks[t].turn), task) << text;
        ++met[comm];
      }
      if (!of_task[t]) {
        ASSERT_FALSE(graph.find({rank, task.call, task.op})) << text;
        continue;
      }
      const TaskSpan node = graph.find({rank, task.call, task.op});
      ASSERT_EQ(node.span, of_task[t]) << text;
      const TaskSpan explains = graph.explains(node);
      const auto expected = test::slow_explains(tasks, of_task, t);
      ASSERT_EQ(explains.span, expected ? of_task[*expected] : nullptr) << text << ", task " << t;
      if (!is_communication(tasks[t].what->kernel)) {
        ASSERT_EQ(graph.work(node), of_task[t]->start) << text;
      }
    }
    for (uint16_t comm = 0; comm < met.size(); ++comm) ASSERT_FALSE(order.at_turn(comm, met[comm])) << text;
    for (size_t s = 0; s < kStreams; ++s) ASSERT_EQ(order.tasks_on(static_cast<Stream>(s)), on_stream[s]) << text;
  }
  if (spans.empty()) return;
  const Span& last = *std::ranges::max_element(spans, {}, &Span::end);
  ASSERT_EQ(graph.last(), (TaskSpan{last.rank, &last})) << text;
}

void expect_sums(const Timeline& timeline, const std::string& text) {
  const StepGraph graph(timeline, 0);
  const IdleSummary idle = summarise_idle(graph);
  const Summary summary = summarise(timeline), of_graph = summarise(graph);
  const TaskLookup lookup(*timeline.plan);
  size_t at = 0;
  for (uint32_t rank = 0; rank < timeline.plan->mesh.ranks(); ++rank) {
    if (timeline.representative_of(rank) != rank) continue;
    const IdleSums sums = sum_idle(graph, idle_of_rank(graph, rank));
    ASSERT_EQ(idle.ranks[at].reason, sums.reason) << text;
    ASSERT_EQ(idle.ranks[at].task, sums.task) << text;
    const RankSummary slow =
        test::slow_rank_summary(lookup, timeline.steps[0], of_rank(timeline.of_step(0), rank), rank);
    for (const RankSummary& fast : {summary.ranks[at], of_graph.ranks[at]}) {
      ASSERT_EQ(fast.rank, rank) << text;
      ASSERT_EQ(std::tie(fast.busy, fast.idle, fast.span_idle), std::tie(slow.busy, slow.idle, slow.span_idle)) << text;
      ASSERT_EQ(fast.exposed, slow.exposed) << text;
      ASSERT_EQ(fast.busy_with, slow.busy_with) << text;
      const Picoseconds all = std::accumulate(fast.busy_with.begin(), fast.busy_with.end(), Picoseconds{0});
      if (timeline.source == TimelineSource::simulated) {
        ASSERT_EQ(all, fast.busy) << text;
      } else {  // a task that waits may come after one that began later
        ASSERT_LE(all, fast.busy) << text;
      }
      ASSERT_EQ(fast.time, slow.time) << text;
    }
    ++at;
  }
}

/// The plan with a call more at the end of each program, which has no spans: so that nothing is taken to be in order.
Timeline with_unseen_calls(const Timeline& timeline) {
  Plan plan = *timeline.plan;
  for (Program& program : plan.programs) {
    Call call = program.calls[0];
    call.num_syncs = 0;
    program.calls.push_back(call);
  }
  Timeline result = timeline;
  result.plan = std::make_shared<const Plan>(std::move(plan));
  return result;
}

void expect_same_idle(const Timeline& a, const Timeline& b, const std::string& text) {
  const StepGraph graph_a(a, 0), graph_b(b, 0);
  for (uint32_t rank = 0; rank < a.plan->mesh.ranks(); ++rank) {
    const std::vector<Idle> idle_a = idle_of_rank(graph_a, rank), idle_b = idle_of_rank(graph_b, rank);
    ASSERT_EQ(idle_a.size(), idle_b.size()) << text;
    for (size_t i = 0; i < idle_a.size(); ++i) {
      const Idle &x = idle_a[i], &y = idle_b[i];
      ASSERT_EQ(std::tie(x.stream, x.reason, x.running, x.start, x.end, x.awaited),
                std::tie(y.stream, y.reason, y.running, y.start, y.end, y.awaited))
          << text;
    }
  }
}

TEST(StepGraph, WhatIsKeptInShortIsWhatIsWrittenOut) {
  for (const PointToPoint p2p : {PointToPoint::channels, PointToPoint::paired}) {
    test::RandomCases cases(p2p == PointToPoint::paired ? 91 : 90, p2p);
    for (uint32_t i = 0; i < 12; ++i) {
      const test::RandomCase c = cases.next();
      SimulationOptions options;
      if (i % 2) options.launch_window = 6;
      options.unfold = i % 3 == 2;
      const SimulationResult result = simulate(c.plan, c.cluster, options);
      if (!result.error.empty()) continue;  // a window may be too small for a plan
      const Timeline mixed = disordered(result.timeline, i);
      for (const Timeline* timeline : {&result.timeline, &mixed}) {
        expect_order(*timeline, c.text);
        expect_sums(*timeline, c.text);
      }
      expect_same_idle(result.timeline, with_unseen_calls(result.timeline), c.text);
    }
  }
}

}  // namespace
}  // namespace pgram
