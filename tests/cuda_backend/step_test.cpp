// What a step does beside computing: it waits for nothing, allocates nothing, and its spans are the Plan's tasks.
#include <gtest/gtest.h>

#include <cstdio>
#include <map>
#include <set>

#include "core/timeline/summary.h"
#include "tests/cuda_backend/cuda_training.h"
#include "tests/cuda_backend/forwarding.h"

namespace pgram::testing {
namespace {

/// Calls of the stand-in that hold the host until a device has done something, and calls that give or take memory,
/// streams, events, handles.
constexpr const char* kWaiting[] = {"cudaStreamSynchronize",
                                    "cudaEventSynchronize",
                                    "cudaDeviceSynchronize",
                                    "cudaStreamQuery",
                                    "cudaEventQuery",
                                    "cudaMemcpy",
                                    "cudaFree",
                                    "cudaEventElapsedTime"};
constexpr const char* kAllocating[] = {"cudaMalloc",
                                       "cudaMallocHost",
                                       "cudaHostAlloc",
                                       "cudaFree",
                                       "cudaFreeHost",
                                       "cudaStreamCreateWithPriority",
                                       "cudaStreamCreateWithFlags",
                                       "cudaStreamCreate",
                                       "cudaEventCreate",
                                       "cudaEventCreateWithFlags",
                                       "cublasCreate",
                                       "cublasSetWorkspace",
                                       "ncclCommInitRankConfig",
                                       "ncclCommSplit"};

template <size_t count>
std::map<std::string, uint64_t> calls_of(const char* const (&names)[count]) {
  std::map<std::string, uint64_t> calls;
  for (const char* name : names) calls[name] = stand_in().calls(name);
  return calls;
}

/// Looks at what the host calls between the first launch of a step and its synchronize(). One rank: its thread is the
/// only one that calls.
class WatchedDevice : public ForwardingDevice {
 public:
  using ForwardingDevice::ForwardingDevice;

  void launch(const Launch& launch) override {
    if (!in_step_) before_ = calls_of(kWaiting);
    in_step_ = true;
    ForwardingDevice::launch(launch);
  }
  void synchronize() override {
    if (in_step_) {
      EXPECT_EQ(calls_of(kWaiting), before_);
    }
    in_step_ = false;
    ForwardingDevice::synchronize();
  }

 private:
  bool in_step_ = false;
  std::map<std::string, uint64_t> before_;
};

class WatchedBackend : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  std::unique_ptr<RankDevice> open(uint32_t rank) override {
    return std::make_unique<WatchedDevice>(backend_.open(rank));
  }
};

TEST(CudaStep, TheHostWaitsForNothingInsideAStep) {
  if (on_real_gpu()) GTEST_SKIP() << "counts the stand-in's calls";
  const Plan plan = tiny_plan(tiny_llama(), "tp1");
  WatchedBackend backend(plan, tiny_cuda());
  EXPECT_EQ(run(plan, backend, tiny_options(2)).losses.size(), 2u);
}

TEST(CudaStep, NothingIsAllocatedAfterOpening) {
  if (on_real_gpu()) GTEST_SKIP() << "counts the stand-in's calls";
  const Plan plan = tiny_plan(tiny_gpt2(), "tp2.pp2");
  RunOptions options = tiny_options(4);
  std::vector<std::map<std::string, uint64_t>> calls;
  options.on_step = [&](uint32_t, double, double, Picoseconds) { calls.push_back(calls_of(kAllocating)); };
  train_on_gpu(plan, options);
  ASSERT_EQ(calls.size(), 4u);
  EXPECT_EQ(calls[1], calls[0]);
  EXPECT_EQ(calls[3], calls[0]);
  EXPECT_GT(calls[0]["cudaMalloc"], 0u);
}

/// What communicates goes before what computes: on every rank the streams with a collective, a send or a receive.
TEST(CudaStep, CommunicationStreamsAreUrgent) {
  if (on_real_gpu()) GTEST_SKIP() << "asks the stand-in for its streams";
  const Plan plan = tiny_plan(tiny_llama(), "dp2.tp2.pp2");
  std::set<std::pair<uint32_t, Stream>> communicating, others;
  for (uint32_t rank = 0; rank < plan.mesh.ranks(); ++rank) {
    for (const Call& call : plan.programs[plan.role(rank)].calls) {
      for (const Op& op : plan.bodies[call.body].ops)
        (is_communication(op.kernel) ? communicating : others).insert({rank, op.stream});
    }
  }
  const emulation::Live before = stand_in().live();
  emulation::Live inside;
  RunOptions options = tiny_options(1);
  options.on_step = [&](uint32_t, double, double, Picoseconds) { inside = stand_in().live(); };
  train_on_gpu(plan, options);
  EXPECT_EQ(inside.urgent_streams - before.urgent_streams, communicating.size());
  EXPECT_GE(inside.streams - before.streams - communicating.size(), plan.mesh.ranks());  // one that computes each
  EXPECT_EQ(others.size(), plan.mesh.ranks());
}

TEST(CudaStep, NothingIsLeft) {
  if (on_real_gpu()) GTEST_SKIP() << "counts what the stand-in holds";
  const emulation::Live before = stand_in().live();
  train_on_gpu(tiny_plan(tiny_llama(), "tp2.pp2"), tiny_options(1));
  EXPECT_TRUE(stand_in().live() == before);
}

/// "... to within 12.3 us"
Picoseconds stated_uncertainty(const Timeline& timeline) {
  const std::string& text = timeline.facts.at("clock");
  const std::string mark = "to within ";
  double number = 0;
  char unit[8] = {};
  const size_t at = text.find(mark);
  if (at == std::string::npos || std::sscanf(text.c_str() + at + mark.size(), "%lf %7s", &number, unit) != 2) return -1;
  const std::map<std::string, double> picoseconds = {{"ps", 1}, {"ns", 1e3}, {"us", 1e6}, {"ms", 1e9}, {"s", 1e12}};
  return static_cast<Picoseconds>(number * picoseconds.at(unit));
}

/// Every task of the Plan has one span in every step, inside the step's time but for what the clocks are said to be
/// off; streams are in order.
TEST(CudaStep, SpansAreThePlansTasks) {
  const Plan plan = tiny_plan(tiny_llama(), "tp2.pp2");
  RunOptions options = tiny_options(2);
  options.keep_spans = true;
  const RunResult result = train_on_gpu(plan, options);
  const Timeline& timeline = result.timeline;
  ASSERT_EQ(timeline.steps.size(), 2u);
  uint64_t tasks = 0;  // of all ranks
  for (uint32_t rank = 0; rank < plan.mesh.ranks(); ++rank) {
    for (const Call& call : plan.programs[plan.role(rank)].calls) tasks += plan.bodies[call.body].ops.size();
  }
  // Three digits are stated, and events give their times as float.
  const Picoseconds uncertainty = stated_uncertainty(timeline) * 101 / 100 + 1'000'000;
  ASSERT_GT(uncertainty, 1'000'000);
  for (size_t step = 0; step < 2; ++step) {
    const auto spans = timeline.of_step(step);
    EXPECT_EQ(spans.size(), tasks);
    std::set<Task> seen;
    Picoseconds waited = 0;
    for (size_t i = 0; i < spans.size(); ++i) {
      seen.insert({spans[i].rank, spans[i].call, spans[i].op});
      EXPECT_GE(spans[i].start, timeline.steps[step].start - uncertainty);
      EXPECT_LE(spans[i].end, timeline.steps[step].end + uncertainty);
      if (i > 0 && spans[i - 1].rank == spans[i].rank && spans[i - 1].stream == spans[i].stream) {
        EXPECT_GE(spans[i].start, spans[i - 1].end);
      }
      EXPECT_LE(spans[i].wait(), spans[i].end - spans[i].start);
      waited += spans[i].wait();
    }
    EXPECT_EQ(seen.size(), tasks);
    EXPECT_GT(waited, 0);
  }
  const std::string file = ::testing::TempDir() + "cuda_spans.timeline";
  write_timeline(timeline, file);
  EXPECT_EQ(read_timeline(file).spans.size(), 2 * tasks);
}

}  // namespace
}  // namespace pgram::testing
