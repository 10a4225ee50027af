// The virtual clock under communication: operations begin when the last member has come.
#include <nvtx3/nvToolsExt.h>

#include <map>

#include "tests/emulation_tests/nccl/ranks.h"

namespace pgram::emulation {
namespace {

/// An NVTX range named by a task, as the backend makes them.
struct Range {
  explicit Range(const std::string& task) { nvtxRangePushA(("task:" + task).c_str()); }
  ~Range() { nvtxRangePop(); }
};

class NcclClock : public StandIn {
 protected:
  void SetUp() override {
    StandIn::SetUp();
    if (IsSkipped()) return;
    control().set_cost_model([this](const std::string& task, int device) { return costs_.at({task, device}); });
  }
  void TearDown() override {
    if (find_control()) control().set_cost_model({});
  }
  /// Something that takes its time on the rank's stream.
  static void compute(Rank& r, const std::string& task, float* x) {
    const Range range(task);
    EXPECT_EQ(cudaMemsetAsync(x, 0, sizeof(float), r.stream), cudaSuccess);
  }
  TaskTime time_of(const std::string& task, int device) {
    for (const TaskTime& time : control().take_task_times()) times_[{time.task, time.device}] = time;
    const auto found = times_.find({task, device});
    EXPECT_NE(found, times_.end()) << task;
    return found == times_.end() ? TaskTime{} : found->second;
  }
  static void expect(const TaskTime& time, VirtualTime arrival, VirtualTime start, VirtualTime end) {
    EXPECT_EQ(time.arrival, arrival) << time.task << " on device " << time.device;
    EXPECT_EQ(time.start, start) << time.task << " on device " << time.device;
    EXPECT_EQ(time.end, end) << time.task << " on device " << time.device;
  }

  std::map<std::pair<std::string, int>, Cost> costs_;
  std::map<std::pair<std::string, int>, TaskTime> times_;
};

// Rank 0 computes for 100 ps, rank 1 for 140, rank 2 not at all; the collective takes 14 from 140 on.
TEST_F(NcclClock, ACollectiveBeginsWithItsLastMember) {
  const VirtualTime busy[] = {100, 140, 0};
  for (int i = 0; i < 3; ++i) {
    costs_[{"work", i}] = {busy[i], 0};
    costs_[{"sum", i}] = {14, 0};
    costs_[{"after", i}] = {1, 0};
  }
  Ranks ranks(3);
  ranks.run([&](Rank& r) {
    const DeviceArray<float> x(1);
    compute(r, "work", x.data());
    {
      const Range range("sum");
      EXPECT_EQ(ncclAllReduce(x.data(), x.data(), 1, ncclFloat, ncclSum, r.comm, r.stream), ncclSuccess);
    }
    compute(r, "after", x.data());
    r.synchronize();
  });
  for (int i = 0; i < 3; ++i) {
    expect(time_of("sum", i), busy[i], 140, 154);
    expect(time_of("after", i), 154, 154, 155);
  }
}

// A send holds its stream for 30 from when both are there (50); the receive's data is there 7 later.
TEST_F(NcclClock, ASendAndItsReceiveBeginTogether) {
  costs_[{"work", 0}] = {50, 0};
  costs_[{"send", 0}] = {30, 0};
  costs_[{"receive", 1}] = {30, 7};
  Ranks ranks(2);
  ranks.run([&](Rank& r) {
    const DeviceArray<float> x(1);
    if (r.rank == 0) {
      compute(r, "work", x.data());
      const Range range("send");
      EXPECT_EQ(ncclSend(x.data(), 1, ncclFloat, 1, r.comm, r.stream), ncclSuccess);
    } else {
      const Range range("receive");
      EXPECT_EQ(ncclRecv(x.data(), 1, ncclFloat, 0, r.comm, r.stream), ncclSuccess);
    }
    r.synchronize();
  });
  expect(time_of("send", 0), 50, 50, 80);
  expect(time_of("receive", 1), 0, 50, 87);
}

// Rank 1, in the middle, exchanges with 0 (there at 10) and with 2 (there at 25) in one group; it is there at 5 itself.
// Each pair begins on its own: 10 to 30 and 25 to 55; the stream is held until 55.
TEST_F(NcclClock, InAGroupEachPairBeginsWhenItHasMet) {
  const VirtualTime busy[] = {10, 5, 25};
  for (int i = 0; i < 3; ++i) {
    costs_[{"work", i}] = {busy[i], 0};
    costs_[{"after", i}] = {1, 0};
  }
  costs_[{"to 0", 1}] = costs_[{"from 1", 0}] = {20, 0};
  costs_[{"from 2", 1}] = costs_[{"to 1", 2}] = {30, 0};
  Ranks ranks(3);
  ranks.run([&](Rank& r) {
    const DeviceArray<float> x(1), y(1);
    compute(r, "work", x.data());
    if (r.rank == 1) {
      EXPECT_EQ(ncclGroupStart(), ncclSuccess);
      {
        const Range range("to 0");
        EXPECT_EQ(ncclSend(x.data(), 1, ncclFloat, 0, r.comm, r.stream), ncclSuccess);
      }
      {
        const Range range("from 2");
        EXPECT_EQ(ncclRecv(y.data(), 1, ncclFloat, 2, r.comm, r.stream), ncclSuccess);
      }
      EXPECT_EQ(ncclGroupEnd(), ncclSuccess);
    } else if (r.rank == 0) {
      const Range range("from 1");
      EXPECT_EQ(ncclRecv(y.data(), 1, ncclFloat, 1, r.comm, r.stream), ncclSuccess);
    } else {
      const Range range("to 1");
      EXPECT_EQ(ncclSend(x.data(), 1, ncclFloat, 1, r.comm, r.stream), ncclSuccess);
    }
    compute(r, "after", x.data());
    r.synchronize();
  });
  expect(time_of("to 0", 1), 5, 10, 30);
  expect(time_of("from 1", 0), 10, 10, 30);
  expect(time_of("from 2", 1), 5, 25, 55);
  expect(time_of("to 1", 2), 25, 25, 55);
  expect(time_of("after", 0), 30, 30, 31);
  expect(time_of("after", 1), 55, 55, 56);
  expect(time_of("after", 2), 55, 55, 56);
}

}  // namespace
}  // namespace pgram::emulation
