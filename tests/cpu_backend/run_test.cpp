// Whole runs: failures end them, stops are clean, timelines say what happened.
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <set>
#include <stop_token>

#include "core/base/errors.h"
#include "tests/cpu_backend/training.h"

namespace pgram::testing {
namespace {

CpuOptions plain() {
  CpuOptions options;
  options.kernels = KernelSet::plain;
  return options;
}

/// A rank that throws in the middle of the second step ends the run: every other rank waits for it somewhere.
TEST(PlainRun, FailureEndsTheRun) {
  const Plan plan = tiny_plan(tiny_llama(), "dp2.tp2.pp2");
  for (uint32_t culprit : {0u, 3u, 7u}) {
    CpuOptions options = plain();
    std::string task;
    options.before_task = [&](const Launch& launch) {
      if (launch.step != 1 || launch.task.rank != culprit || launch.op->kernel != Kernel::swiglu_bwd) return;
      task = to_text(plan, launch.task);
      throw std::runtime_error("out of luck");
    };
    const auto start = std::chrono::steady_clock::now();
    try {
      train(plan, tiny_options(5), options);
      FAIL() << "the run went on";
    } catch (const RunError& error) {
      EXPECT_EQ(error.what(), task + ": out of luck");
      EXPECT_EQ(task.rfind("rank " + std::to_string(culprit) + " ", 0), 0u) << task;
    }
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  }
}

TEST(PlainRun, MissingReceiveEndsTheRun) {
  Plan plan = tiny_plan(tiny_llama(), "pp2");
  for (Body& body : plan.bodies) {
    for (Op& op : body.ops) {
      if (op.kernel == Kernel::recv) op.kernel = Kernel::opaque;
    }
  }
  CpuOptions options = plain();
  options.deadlock_seconds = 1;
  EXPECT_THROW(train(plan, tiny_options(1), options), RunError);
}

/// One rank of two cannot have its arenas: 2^50 bytes for the head.
TEST(PlainRun, ArenasThatDoNotFitEndTheRun) {
  Plan plan = tiny_plan(tiny_llama(), "pp2");
  for (Record& record : plan.records) {
    if (record.name == "head.parameters") record.bytes = uint64_t{1} << 50;
  }
  try {
    train(plan, tiny_options(1), plain());
    FAIL() << "the machine holds more than expected";
  } catch (const RunError& error) {
    EXPECT_EQ(std::string(error.what()).rfind("rank 1: no memory for ", 0), 0u) << error.what();
  }
}

TEST(PlainRun, CallersExceptionEndsTheRun) {
  const Plan plan = tiny_plan(tiny_llama(), "tp2");
  RunOptions options = tiny_options(5);
  options.on_step = [](uint32_t step, double, double, Picoseconds) {
    if (step == 1) throw InputError("callback", "enough");
  };
  EXPECT_THROW(train(plan, options, plain()), InputError);
}

TEST(PlainRun, StopFinishesTheRunningStep) {
  const Plan plan = tiny_plan(tiny_llama(), "tp2.pp2");
  std::stop_source stop;
  RunOptions options = tiny_options(10);
  options.stop = stop.get_token();
  options.on_step = [&](uint32_t step, double loss, double norm, Picoseconds time) {
    EXPECT_GT(loss, 0);
    EXPECT_GT(norm, 0);
    EXPECT_GT(time, 0);
    if (step == 2) stop.request_stop();
  };
  const RunResult result = train(plan, options, plain());
  EXPECT_EQ(result.losses.size(), 3u);  // steps 0, 1, 2
  EXPECT_EQ(result.timeline.steps.size(), 3u);
}

TEST(PlainRun, SixteenBitPlansAreRefused) {
  Workload workload = tiny_workload();
  workload.precision = Precision::bf16;
  const Plan plan = tiny_plan(tiny_llama(), "tp1", workload);
  EXPECT_THROW(train(plan, tiny_options(1), plain()), InputError);
}

TEST(PlainRun, TokensAreNeeded) {
  RunOptions options = tiny_options(1);
  options.tokens = nullptr;
  EXPECT_THROW(train(tiny_plan(tiny_llama(), "tp1"), options, plain()), InputError);
}

/// A schedule without data runs: every op takes no time, but streams, events and channels are real.
TEST(PlainRun, SchedulePlans) {
  const Plan plan = make_schedule_plan(one_f_one_b(4, 6));
  RunOptions options;
  options.steps = 2;
  const RunResult result = train(plan, options, plain());
  EXPECT_EQ(result.timeline.spans.size(), 2 * plan.tasks());
}

class PlainTimeline : public ::testing::Test {
 protected:
  static RunResult traced(const Plan& plan, uint32_t steps) {
    RunOptions options = tiny_options(steps);
    options.keep_spans = true;
    return train(plan, options, plain());
  }
};

TEST_F(PlainTimeline, EveryTaskOnceInOrder) {
  const Plan plan = tiny_plan(tiny_llama(), "dp2.tp2.pp2.sp");
  const RunResult result = traced(plan, 2);
  const Timeline& timeline = result.timeline;
  ASSERT_EQ(timeline.steps.size(), 2u);
  EXPECT_EQ(timeline.source, TimelineSource::measured);
  for (size_t step = 0; step < 2; ++step) {
    EXPECT_EQ(timeline.steps[step].loss, result.losses[step]);
    std::set<Task> seen;
    const Span* previous = nullptr;
    for (const Span& span : timeline.of_step(step)) {
      EXPECT_TRUE(seen.insert({span.rank, span.call, span.op}).second);
      EXPECT_GE(span.start, timeline.steps[step].start);
      EXPECT_LE(span.end, timeline.steps[step].end);
      const Program& program = plan.programs[plan.role(span.rank)];
      const Op& op = plan.bodies[program.calls[span.call].body].ops[span.op];
      EXPECT_EQ(span.stream, static_cast<uint8_t>(op.stream));
      EXPECT_LE(span.wait(), span.end - span.start);
      if (previous && previous->rank == span.rank && previous->stream == span.stream) {
        EXPECT_LE(previous->end, span.start);
        EXPECT_LT(std::pair(previous->call, previous->op), std::pair(span.call, span.op));
      }
      previous = &span;
    }
    // Each of 2 roles' tasks on 4 ranks.
    EXPECT_EQ(seen.size(), 4 * plan.tasks());
  }
}

/// Waits within a body and events across calls hold in the measurement.
TEST_F(PlainTimeline, WaitsAreKept) {
  const Plan plan = tiny_plan(tiny_llama(), "tp2.pp2");
  const RunResult result = traced(plan, 1);
  std::map<Task, const Span*> spans;
  for (const Span& span : result.timeline.spans) spans[{span.rank, span.call, span.op}] = &span;
  size_t waits = 0;
  for (uint32_t rank = 0; rank < 4; ++rank) {
    const Program& program = plan.programs[plan.role(rank)];
    std::map<uint16_t, const Span*> events;
    for (uint32_t c = 0; c < program.calls.size(); ++c) {
      const Call& call = program.calls[c];
      const Body& body = plan.bodies[call.body];
      for (uint16_t i = 0; i < body.ops.size(); ++i) {
        const Span& span = *spans.at({rank, c, i});
        for (int w = 0; w < body.ops[i].num_waits; ++w, ++waits) {
          EXPECT_LE(spans.at({rank, c, body.waits[body.ops[i].first_wait + w]})->end, span.start);
        }
        for (uint32_t s = call.first_sync; s < call.first_sync + call.num_syncs; ++s) {
          const Sync& sync = program.syncs[s];
          if (sync.op != i || sync.records()) continue;
          if (events.contains(sync.slot())) {
            EXPECT_LE(events[sync.slot()]->end, span.start);
          }
          ++waits;
        }
        for (uint32_t s = call.first_sync; s < call.first_sync + call.num_syncs; ++s) {
          if (program.syncs[s].op == i && program.syncs[s].records()) events[program.syncs[s].slot()] = &span;
        }
      }
    }
  }
  EXPECT_GT(waits, 100u);
}

/// Memory begins and ends a step at what is always there, and never exceeds the arenas.
TEST_F(PlainTimeline, MemoryCounters) {
  const Plan plan = tiny_plan(tiny_llama(), "pp2", tiny_workload(), "gpipe");
  const RunResult result = traced(plan, 1);
  ASSERT_EQ(result.timeline.counter_names, std::vector<std::string>{"memory"});
  for (uint32_t rank = 0; rank < 2; ++rank) {
    uint64_t always = 0;
    for (const Pool& pool : plan.programs[rank].pools) {
      const Record& record = plan.records[pool.record];
      const bool dynamic =
          record.kind == RecordKind::saved || record.kind == RecordKind::edge || record.kind == RecordKind::input;
      if (!dynamic) always += pool.slots * record.bytes;
    }
    std::vector<CounterSample> samples;
    for (const CounterSample& sample : result.timeline.counters) {
      if (sample.rank == rank) samples.push_back(sample);
    }
    ASSERT_GT(samples.size(), 10u);
    EXPECT_EQ(samples.front().value, static_cast<int64_t>(always));
    EXPECT_EQ(samples.back().value, static_cast<int64_t>(always));
    int64_t peak = 0;
    for (size_t i = 0; i < samples.size(); ++i) {
      peak = std::max(peak, samples[i].value);
      if (i > 0) {
        EXPECT_LE(samples[i - 1].time, samples[i].time);
      }
    }
    EXPECT_LE(peak, static_cast<int64_t>(plan.memory_bytes(rank)));
    EXPECT_GT(peak, static_cast<int64_t>(always));
  }
}

}  // namespace
}  // namespace pgram::testing
