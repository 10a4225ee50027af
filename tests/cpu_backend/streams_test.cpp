// Streams and events have CUDA's semantics.
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>

#include "core/base/errors.h"
#include "tests/cpu_backend/device_plan.h"

namespace pgram::testing {
namespace {

/// Holds the first task of a stream until opened, and writes down in which order tasks began.
class Gate {
 public:
  explicit Gate(Stream stream) : stream_(stream) {}

  void pass(const Launch& launch) {
    {
      std::lock_guard lock(mutex_);
      order_.push_back(launch.op->stream);
    }
    if (launch.op->stream == stream_) open_.wait(false);
  }
  void open() {
    open_ = true;
    open_.notify_all();
  }
  std::vector<Stream> order() {
    std::lock_guard lock(mutex_);
    return order_;
  }

 private:
  const Stream stream_;
  std::atomic<bool> open_{false};
  std::mutex mutex_;
  std::vector<Stream> order_;
};

CpuOptions gated(Gate& gate) {
  CpuOptions options;
  options.before_task = [&gate](const Launch& launch) { gate.pass(launch); };
  return options;
}

TEST(PlainStreams, WaitHoldsTheStreamUntilTheRecord) {
  const Plan plan = device_plan(1, 1);
  Gate gate(Stream::compute);
  Devices devices(plan, gated(gate));
  devices.launch(0, kOpaqueCompute);
  devices[0].record(3, Stream::compute);
  devices[0].wait(3, Stream::data);
  devices.launch(0, kOpaqueData);
  gate.open();
  devices.synchronize();
  EXPECT_EQ(gate.order(), (std::vector{Stream::compute, Stream::data}));
}

/// A wait means the record issued last before it: a slot recorded again later, on a stream that is done at once, does
/// not release an earlier wait.
TEST(PlainStreams, EventSlotUsedAgain) {
  const Plan plan = device_plan(1, 1);
  Gate gate(Stream::compute);
  Devices devices(plan, gated(gate));
  devices.launch(0, kOpaqueCompute);
  devices[0].record(0, Stream::compute);
  devices[0].wait(0, Stream::data);
  devices.launch(0, kOpaqueData);
  devices[0].record(0, Stream::tensor);  // done at once
  gate.open();
  devices.synchronize();
  EXPECT_EQ(gate.order(), (std::vector{Stream::compute, Stream::data}));
}

/// Like cudaStreamWaitEvent on an event that was never recorded.
TEST(PlainStreams, WaitForNothingIsNoWait) {
  const Plan plan = device_plan(1, 1);
  Devices devices(plan);
  devices[0].wait(77, Stream::data);
  devices.launch(0, kOpaqueData);
  devices.synchronize();
  EXPECT_EQ(devices[0].take_spans().size(), 1u);
  EXPECT_TRUE(devices[0].take_spans().empty());
}

/// More tasks than the launch window: issuing blocks until the stream has caught up, and none is lost.
TEST(PlainStreams, LaunchWindow) {
  const Plan plan = device_plan(1, 1);
  Devices devices(plan);
  constexpr size_t kTasks = 5000;
  for (size_t i = 0; i < kTasks; ++i) devices.launch(0, kOpaqueCompute);
  devices.synchronize();
  const std::vector<Span> spans = devices[0].take_spans();
  ASSERT_EQ(spans.size(), kTasks);
  for (size_t i = 1; i < kTasks; ++i) EXPECT_LE(spans[i - 1].end, spans[i].start);
}

TEST(PlainStreams, FailureNamesRankAndTask) {
  const Plan plan = device_plan(2, 1);
  CpuOptions options;
  options.before_task = [](const Launch& launch) {
    if (launch.task.rank == 1) throw std::runtime_error("planted");
  };
  Devices devices(plan, options);
  float *a = devices.floats(0, 4), *b = devices.floats(1, 4);
  devices.launch(0, kAllReduce, {{a, 4}});
  devices.launch(1, kAllReduce, {{b, 4}});
  for (uint32_t rank : {0u, 1u}) {
    try {
      devices[rank].synchronize();
      FAIL() << "rank " << rank;
    } catch (const RunError& error) {
      EXPECT_STREQ(error.what(), "rank 1 all(layer 0, mb 0).3:all_reduce: planted");
    }
  }
}

TEST(PlainStreams, HugeAllocationIsRefused) {
  const Plan plan = device_plan(1, 1);
  Devices devices(plan);
  EXPECT_THROW(devices[0].allocate(uint64_t{1} << 60), RunError);
  EXPECT_THROW(devices[0].allocate(~uint64_t{0}), RunError);
}

TEST(PlainStreams, ThreadsAreBounded) {
  const Plan plan = device_plan(1, 1);
  CpuOptions options;
  options.threads_per_rank = 0;
  EXPECT_THROW(CpuBackend(plan, options), InputError);
  options.threads_per_rank = 1'000'000;
  EXPECT_THROW(CpuBackend(plan, options), InputError);
}

}  // namespace
}  // namespace pgram::testing
