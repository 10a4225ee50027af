// Memory over time.
#include "sim/memory.h"

#include <gtest/gtest.h>

#include "core/planner/schedule.h"
#include "tests/sim/hand_made.h"
#include "tests/sim/random_plans.h"

namespace pgram {
namespace {

using test::laws;
using test::unused_cluster;

std::vector<std::pair<Picoseconds, int64_t>> memory_of(const Timeline& timeline, uint32_t rank) {
  std::vector<std::pair<Picoseconds, int64_t>> result;
  for (const CounterSample& sample : timeline.counters) {
    if (sample.rank == rank) result.emplace_back(sample.time, sample.value);
  }
  return result;
}

// One stage, two micro-batches, F = 3, B = 5, GPipe: F0 0-3, F1 3-6, B0 6-11, B1 11-16. What a forward saves (64 bytes:
// one aligned record) is held from the forward's start to the backward's end.
TEST(Memory, OneStageByHand) {
  const Plan plan = make_schedule_plan(gpipe(1, 2));
  const SimulationResult result = simulate(plan, unused_cluster(), laws(3, 5, 0));
  using Samples = std::vector<std::pair<Picoseconds, int64_t>>;
  EXPECT_EQ(memory_of(result.timeline, 0), (Samples{{0, 64}, {3, 128}, {11, 64}, {16, 0}}));
}

// A slot that is freed and taken again at the same moment counts once, and parameters count from the start. Calls on
// one stream, F = 2: A takes slot 0 (0-2), B frees it (2-4), A takes it again (4-6).
TEST(Memory, StaticPoolsAndReusedSlots) {
  test::PlanMaker make(1);
  for (const auto& [name, kind, bytes] :
       {std::tuple("weights", RecordKind::parameter, 1000), {"saved", RecordKind::saved, 10}}) {
    Record record;
    record.name = name;
    record.kind = kind;
    record.bytes = bytes;
    make.plan.records.push_back(record);
  }
  const uint16_t body = make.compute("A", 0);
  make.plan.bodies[body].formals = {1};
  Program& program = make.plan.programs[0];
  program.pools = {{0, 3}, {1, 1}};
  program.args = {Arg(1, 0, true, false), Arg(1, 0, false, true), Arg(1, 0, true, false)};
  for (uint32_t i = 0; i < 3; ++i) {
    make.call(0, body);
    program.calls.back().first_arg = i;
  }
  const SimulationResult result = simulate(make.plan, unused_cluster(), laws(2, 0, 0));
  using Samples = std::vector<std::pair<Picoseconds, int64_t>>;
  EXPECT_EQ(memory_of(result.timeline, 0), (Samples{{0, 3010}, {4, 3010}}));
}

// Two stages of GPipe with three micro-batches: at its peak rank 0 holds the activations of all three.
TEST(Memory, CompositionOfThePeak) {
  const Plan plan = make_schedule_plan(gpipe(2, 3));
  const SimulationResult result = simulate(plan, unused_cluster(), laws(3, 5, 0));
  const auto spans = result.timeline.spans;
  const auto of_first = std::ranges::equal_range(spans, 0u, {}, &Span::rank);
  const sim::MemoryPeak peak = sim::memory_at_peak(plan, 0, {of_first.begin(), of_first.end()});
  const auto samples = memory_of(result.timeline, 0);
  const auto highest = std::ranges::max_element(samples, {}, &std::pair<Picoseconds, int64_t>::second);
  EXPECT_EQ(peak.time, highest->first);
  EXPECT_EQ(static_cast<int64_t>(peak.held.total), highest->second);
  uint32_t saved = 0;
  uint64_t bytes = 0;
  for (const auto& part : peak.parts) {
    if (plan.records[part.record].kind == RecordKind::saved) saved += part.slots;
    bytes += part.bytes;
  }
  EXPECT_EQ(saved, 3u);
  EXPECT_EQ(bytes, peak.held.total);
  EXPECT_GE(peak.held.bytes[static_cast<size_t>(RecordKind::saved)], 3u * 64);
}

TEST(Memory, CompositionAddsUpOnRandomPlans) {
  test::RandomCases cases(22);
  for (int i = 0; i < 10; ++i) {
    const test::RandomCase c = cases.next();
    const SimulationResult result = simulate(c.plan, c.cluster, {});
    for (uint32_t rank = 0; rank < c.plan.mesh.ranks(); ++rank) {
      if (result.timeline.representative_of(rank) != rank) continue;
      const auto own = std::ranges::equal_range(result.timeline.spans, rank, {}, &Span::rank);
      const sim::MemoryPeak peak = sim::memory_at_peak(c.plan, rank, {own.begin(), own.end()});
      int64_t highest = 0;
      for (const auto& [time, bytes] : memory_of(result.timeline, rank)) highest = std::max(highest, bytes);
      ASSERT_EQ(static_cast<int64_t>(peak.held.total), highest) << c.text;
    }
  }
}

// 1F1B holds min(P - r, M) activations on rank r at its peak. Edges besides: the pools bound them.
TEST(Memory, PeakIsAtMostTheArena) {
  test::RandomCases cases(21);
  for (int i = 0; i < 30; ++i) {
    const test::RandomCase c = cases.next();
    const SimulationResult result = simulate(c.plan, c.cluster, {});
    std::vector<int64_t> peak(c.plan.mesh.ranks());
    Picoseconds before = -1;
    uint32_t rank = 0;
    for (const CounterSample& sample : result.timeline.counters) {
      ASSERT_GE(sample.value, 0);
      ASSERT_TRUE(sample.rank > rank || (sample.rank == rank && sample.time > before)) << "out of order";
      rank = sample.rank;
      before = sample.time;
      peak[sample.rank] = std::max(peak[sample.rank], sample.value);
    }
    for (uint32_t r = 0; r < peak.size(); ++r) {
      if (result.timeline.representative_of(r) != r) continue;
      const int64_t arena = static_cast<int64_t>(c.plan.memory_bytes(c.plan.role(r)));
      ASSERT_GT(peak[r], arena / 2) << c.text;
      ASSERT_LE(peak[r], arena) << c.text;
    }
  }
}

TEST(Memory, NoCountersWithoutSpans) {
  SimulationOptions options = laws(1, 2, 0);
  options.keep_spans = false;
  const SimulationResult result = simulate(make_schedule_plan(gpipe(2, 2)), unused_cluster(), options);
  EXPECT_EQ(result.makespan, 9);  // (2+2-1)(1+2)
  EXPECT_TRUE(result.timeline.spans.empty());
  EXPECT_TRUE(result.timeline.counters.empty());
}

}  // namespace
}  // namespace pgram
