// One run in several processes, which here are threads with a backend each: process 0 must have what one process has.
#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <optional>
#include <thread>

#include "core/base/errors.h"
#include "core/exec/checkpoint.h"
#include "core/exec/interpreter.h"
#include "core/layout/layout.h"
#include "core/planner/planner.h"
#include "tests/planner/small_models.h"
#include "tests/support/folder.h"
#include "tests/support/text.h"

namespace pgram::testing {
namespace {

/// Where the processes' bytes meet.
class Table {
 public:
  explicit Table(uint32_t size) : size_(size), bytes_(size) {}

  std::vector<std::string> meet(uint32_t index, const std::string& bytes) {
    std::unique_lock lock(mutex_);
    bytes_[index] = bytes;
    const uint64_t round = round_;
    if (++arrived_ == size_) {
      arrived_ = 0;
      ++round_;
      met_ = bytes_;
      changed_.notify_all();
    }
    changed_.wait(lock, [&] { return round_ != round || !failure_.empty(); });
    if (round_ == round) throw RunError(failure_);
    return met_;
  }

  void fail(const std::string& reason) {
    std::lock_guard lock(mutex_);
    if (failure_.empty()) failure_ = reason;
    changed_.notify_all();
  }

 private:
  const uint32_t size_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> bytes_, met_;
  uint32_t arrived_ = 0;
  uint64_t round_ = 0;
  std::string failure_;
};

class Seat : public ProcessGroup {
 public:
  Seat(Table& table, uint32_t index, uint32_t size) : table_(table), index_(index), size_(size) {}
  uint32_t index() const override { return index_; }
  uint32_t size() const override { return size_; }
  std::vector<std::string> gather(const std::string& bytes) override {
    std::vector<std::string> all = table_.meet(index_, bytes);
    return index_ == 0 ? all : std::vector<std::string>{};
  }
  std::string broadcast(const std::string& bytes) override { return table_.meet(index_, bytes)[0]; }

 private:
  Table& table_;
  const uint32_t index_, size_;
};

/// Does no arithmetic, but leaves traces of rank and step where a run looks for results.
class TraceBackend : public Backend {
 public:
  TraceBackend(std::vector<uint32_t> ranks, Table* table, uint32_t index, uint32_t size) : ranks_(std::move(ranks)) {
    if (table) seat_.emplace(*table, index, size);
    table_ = table;
  }
  std::function<void(const Launch&)> on_launch = [](const Launch&) {};
  std::string reason;

  std::string name() const override { return "trace"; }
  std::vector<uint32_t> local_ranks() const override { return ranks_; }
  std::unique_ptr<RankDevice> open(uint32_t rank) override { return std::make_unique<Device>(*this, rank); }
  Picoseconds now() const override { return 1000; }
  ProcessGroup& processes() override { return seat_ ? static_cast<ProcessGroup&>(*seat_) : Backend::processes(); }
  std::map<std::string, std::string> facts() const override {
    std::map<std::string, std::string> facts{{"gpu", "trace"}, {"first rank", std::to_string(ranks_.front())}};
    if (ranks_.front() == 5) facts["only here"] = "yes";
    return facts;
  }
  void abort(const std::string& why) override {
    std::lock_guard lock(mutex_);
    if (reason.empty()) reason = why;
    if (table_) table_->fail(why);
  }

 private:
  class Device : public RankDevice {
   public:
    Device(TraceBackend& backend, uint32_t rank) : backend_(backend), rank_(rank) {}
    std::byte* allocate(uint64_t bytes) override {
      memory_.push_back(std::make_unique<std::byte[]>(bytes));
      return memory_.back().get();
    }
    void copy_to_device(std::byte* device, const void* host, uint64_t bytes) override {
      std::memcpy(device, host, bytes);
    }
    void copy_to_host(void* host, const std::byte* device, uint64_t bytes) override {
      std::memcpy(host, device, bytes);
    }
    void launch(const Launch& launch) override {
      backend_.on_launch(launch);
      const auto& x = launch.operands;
      const auto trace = static_cast<float>(launch.step + 1);
      if (launch.op->kernel == Kernel::ce_loss) x[0].f32()[0] += 0.1f * trace + static_cast<float>(rank_);
      if (launch.op->kernel == Kernel::clip) x[1].f32()[0] = trace;
      if (launch.op->kernel == Kernel::adamw) {
        for (int operand : {0, 1, 2}) {
          for (uint64_t i = 0; i < x[operand].count(); ++i) x[operand].f32()[i] += trace * static_cast<float>(i % 97);
        }
      }
      Span span;
      span.rank = rank_, span.call = launch.task.call, span.op = launch.task.op;
      span.stream = static_cast<uint8_t>(launch.op->stream);
      span.start = 1'000'000 * (rank_ + 1), span.end = 100'000'000;
      spans_.push_back(span);
    }
    void record(uint16_t, Stream) override {}
    void wait(uint16_t, Stream) override {}
    void synchronize() override {}
    std::vector<Span> take_spans() override { return std::exchange(spans_, {}); }

   private:
    TraceBackend& backend_;
    const uint32_t rank_;
    std::vector<std::unique_ptr<std::byte[]>> memory_;
    std::vector<Span> spans_;
  };

  const std::vector<uint32_t> ranks_;
  std::optional<Seat> seat_;
  Table* table_ = nullptr;
  std::mutex mutex_;
};

void tokens(uint64_t, uint32_t, uint32_t sequence, int32_t* tokens, int32_t* targets) {
  std::fill_n(tokens, sequence, 1);
  std::fill_n(targets, sequence, 2);
}

RunOptions options_of(uint32_t steps) {
  RunOptions options;
  options.steps = steps;
  options.tokens = tokens;
  options.keep_gradients = true;
  return options;
}

Plan small_plan(const std::string& layout) {
  Workload work;
  work.global_batch = 4, work.micro_batch = 1, work.sequence = 8;
  return make_plan(test::llama(), parse_layout(layout), work);
}

/// A process per rank; what each ended with.
struct Outcome {
  RunResult result;
  std::string error;
};
std::vector<Outcome> run_in_processes(const Plan& plan,
                                      const std::function<void(uint32_t, TraceBackend&, RunOptions&)>& prepare,
                                      uint32_t steps = 3) {
  const uint32_t size = plan.mesh.ranks();
  Table table(size);
  std::vector<Outcome> outcomes(size);
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < size; ++i) {
    threads.emplace_back([&, i] {
      TraceBackend backend({i}, &table, i, size);
      RunOptions options = options_of(steps);
      prepare(i, backend, options);
      try {
        outcomes[i].result = run(plan, backend, options);
      } catch (const std::exception& error) {
        outcomes[i].error = error.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return outcomes;
}

/// Two tensor-parallel ranks in each of two stages and two replicas: shards, roles and copies.
TEST(ExecProcesses, Process0HasWhatOneProcessHas) {
  const Plan plan = small_plan("tp2.pp2.dp2");
  const test::Folder folder;
  const std::string one_file = folder / "one", many_file = folder / "many";

  std::vector<uint32_t> ranks(plan.mesh.ranks());
  for (uint32_t i = 0; i < ranks.size(); ++i) ranks[i] = i;
  TraceBackend backend(ranks, nullptr, 0, 1);
  RunOptions options = options_of(3);
  options.save = one_file;
  const RunResult one = run(plan, backend, options);

  std::vector<uint32_t> reported(8);
  const auto outcomes = run_in_processes(plan, [&](uint32_t i, TraceBackend&, RunOptions& mine) {
    mine.save = i == 0 ? many_file : "/nonexistent/must not be written";
    mine.on_step = [&reported, i](uint32_t, double, double, Picoseconds) { ++reported[i]; };
  });
  for (const Outcome& outcome : outcomes) EXPECT_EQ(outcome.error, "");
  const RunResult& many = outcomes[0].result;
  EXPECT_EQ(many.losses, one.losses);
  EXPECT_EQ(many.losses.size(), 3u);
  EXPECT_EQ(many.gradient_norms, (std::vector<double>{1, 2, 3}));
  EXPECT_EQ(many.gradients, one.gradients);
  EXPECT_GT(many.gradients.size(), 10u);
  ASSERT_EQ(many.timeline.spans.size(), one.timeline.spans.size());
  for (size_t i = 0; i < one.timeline.spans.size(); ++i) {
    Span span = many.timeline.spans[i];
    span.set_wait(0);
    ASSERT_EQ(span, one.timeline.spans[i]);
  }
  EXPECT_EQ(many.timeline.counters.size(), one.timeline.counters.size());
  EXPECT_FALSE(test::file_text(one_file).empty());
  EXPECT_TRUE(test::file_text(many_file) == test::file_text(one_file));
  EXPECT_EQ(reported, (std::vector<uint32_t>{3, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(many.timeline.facts.at("first rank"), "0");
  EXPECT_EQ(many.timeline.facts.at("first rank of process 5"), "5");
  EXPECT_EQ(many.timeline.facts.at("only here of process 5"), "yes");
  EXPECT_FALSE(many.timeline.facts.contains("only here"));
  EXPECT_FALSE(many.timeline.facts.contains("gpu of process 5")) << "all say the same";
  for (size_t i = 1; i < outcomes.size(); ++i) {
    EXPECT_TRUE(outcomes[i].result.losses.empty());
    EXPECT_TRUE(outcomes[i].result.timeline.spans.empty());
  }
}

/// Rank r's spans begin at 1 + r us. In an all-reduce of ranks 0 and 1, rank 0 waits 1 us for rank 1, which no process
/// has seen for itself.
TEST(ExecProcesses, WaitsAreEstimatedFromAllProcesses) {
  const Plan plan = small_plan("tp2");
  const auto outcomes = run_in_processes(
      plan, [](uint32_t, TraceBackend&, RunOptions&) {}, 1);
  size_t seen = 0;
  for (const Span& span : outcomes[0].result.timeline.spans) {
    const Call& call = plan.programs[0].calls[span.call];
    if (plan.bodies[call.body].ops[span.op].kernel != Kernel::all_reduce) continue;
    EXPECT_EQ(span.wait(), span.rank == 0 ? 1'000'000 : 0);
    ++seen;
  }
  EXPECT_GT(seen, 0u);
}

/// Process 1 is asked to stop during step 2 of 100: all end after it.
TEST(ExecProcesses, StopOfOneEndsAll) {
  const Plan plan = small_plan("tp2.dp2");
  std::stop_source stop;
  const auto outcomes = run_in_processes(
      plan,
      [&](uint32_t i, TraceBackend& backend, RunOptions& options) {
        if (i != 1) return;
        options.stop = stop.get_token();
        backend.on_launch = [&](const Launch& launch) {
          if (launch.step == 1) stop.request_stop();
        };
      },
      100);
  for (const Outcome& outcome : outcomes) EXPECT_EQ(outcome.error, "");
  EXPECT_EQ(outcomes[0].result.losses.size(), 2u);
}

TEST(ExecProcesses, FailureOfOneEndsAll) {
  const Plan plan = small_plan("tp2.dp2");
  const auto outcomes = run_in_processes(
      plan,
      [&](uint32_t i, TraceBackend& backend, RunOptions&) {
        if (i != 2) return;
        backend.on_launch = [](const Launch& launch) {
          if (launch.step == 1) throw RunError("rank 2: no memory");
        };
      },
      100);
  for (const Outcome& outcome : outcomes) EXPECT_EQ(outcome.error, "rank 2: no memory");
}

TEST(ExecProcesses, TheCallersFunctionMayThrow) {
  const Plan plan = small_plan("tp2");
  const auto outcomes = run_in_processes(plan, [&](uint32_t, TraceBackend&, RunOptions& options) {
    options.on_step = [](uint32_t, double, double, Picoseconds) { throw RunError("the disk is full"); };
  });
  for (const Outcome& outcome : outcomes) EXPECT_EQ(outcome.error, "the disk is full");
}

TEST(ExecProcesses, SaveThatFailsEndsAll) {
  const Plan plan = small_plan("tp2");
  const auto outcomes = run_in_processes(
      plan, [&](uint32_t, TraceBackend&, RunOptions& options) { options.save = "/nonexistent/folder/file"; });
  for (const Outcome& outcome : outcomes) {
    EXPECT_NE(outcome.error.find("/nonexistent/folder/file"), std::string::npos) << outcome.error;
  }
}

/// Process 1 loads a file of another step.
TEST(ExecProcesses, DifferentFirstStepsAreRefused) {
  const Plan plan = small_plan("tp2");
  const test::Folder folder;
  const std::string two = folder / "two", four = folder / "four";
  for (const auto& [path, steps] : {std::pair{two, 2u}, std::pair{four, 4u}}) {
    TraceBackend backend({0, 1}, nullptr, 0, 1);
    RunOptions options = options_of(steps);
    options.save = path;
    run(plan, backend, options);
  }
  const auto outcomes = run_in_processes(
      plan, [&, two = two, four = four](uint32_t i, TraceBackend&, RunOptions& o) { o.load = i == 0 ? two : four; });
  for (const Outcome& outcome : outcomes) {
    EXPECT_NE(outcome.error.find("process 1 goes on with step 4, process 0 with step 2"), std::string::npos)
        << outcome.error;
  }
}

}  // namespace
}  // namespace pgram::testing
