// What the stand-in's libraries see of its CUDA runtime: operations that wait for something outside, the watcher that
// finds that nothing can move, and the virtual time of operations of several tasks. Linked to the stand-in itself.
#include <gmock/gmock.h>

#include <atomic>
#include <future>
#include <memory>
#include <thread>

#include "tests/emulation/control.h"
#include "tests/emulation/runtime/runtime.h"

extern "C" const pgram::emulation::Control* pgram_emulation_control();

namespace pgram::emulation {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;

class Watcher : public testing::Test {
 protected:
  void SetUp() override {
    control_->reset();
    for (cudaStream_t& stream : streams_) ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), 0);
    ASSERT_EQ(cudaEventCreate(&event_), 0);
  }
  void TearDown() override {
    open_ = true;
    open_.notify_all();
    for (cudaStream_t stream : streams_) {
      EXPECT_EQ(cudaStreamSynchronize(stream), 0);
      EXPECT_EQ(cudaStreamDestroy(stream), 0);
    }
    EXPECT_EQ(cudaEventDestroy(event_), 0);
    EXPECT_EQ(control_->take_reports(), std::vector<std::string>());
  }
  /// An operation that waits until the test's end, as a collective does whose peer never comes.
  void block(cudaStream_t stream, const std::string& task, const std::string& what) {
    const auto run = [this, what](Running& running) {
      const Blocked blocked(running, what);
      open_.wait(false);
    };
    ASSERT_EQ(enqueue(stream, {"ncclAllReduce", run, task}), 0);
  }

  const Control* control_ = pgram_emulation_control();
  cudaStream_t streams_[3] = {};
  cudaEvent_t event_ = nullptr;
  std::atomic<bool> open_ = false;
};

TEST_F(Watcher, NamesStreamsAndTasksWhenNothingCanMove) {
  block(streams_[0], "r0.c0.o0", "rank 1 of communicator 2");
  ASSERT_EQ(cudaEventRecord(event_, streams_[0]), 0);
  ASSERT_EQ(cudaStreamWaitEvent(streams_[1], event_, 0), 0);
  block(streams_[2], "r0.c4.o1", "rank 1 of communicator 1");
  auto text = std::make_shared<std::promise<std::string>>();
  watch_for_deadlock(0.05, [text](const std::string& found) { text->set_value(found); });
  auto found = text->get_future();
  ASSERT_EQ(found.wait_for(60s), std::future_status::ready);
  EXPECT_THAT(found.get(), AllOf(HasSubstr("task r0.c0.o0 (ncclAllReduce): waits for rank 1 of communicator 2\n"),
                                 HasSubstr("waits for the event recorded by device 0 stream"),
                                 HasSubstr("task r0.c4.o1 (ncclAllReduce): waits for rank 1 of communicator 1\n")));
  EXPECT_EQ(control_->blocked().size(), 3u);
}

TEST_F(Watcher, IsSilentWhileAStreamWorks) {
  block(streams_[0], "r0.c0.o0", "rank 1 of communicator 2");
  auto fired = std::make_shared<std::atomic<bool>>(false);
  watch_for_deadlock(0.05, [fired](const std::string&) { *fired = true; });
  ASSERT_EQ(enqueue(streams_[1], {"kernel slow", [](Running&) { std::this_thread::sleep_for(300ms); }, "r0.c1.o0"}), 0);
  ASSERT_EQ(cudaStreamSynchronize(streams_[1]), 0);
  EXPECT_FALSE(*fired) << "six times as long as the watcher waits, but the kernel was running";
}

TEST_F(Watcher, SeveralTasksOfOneOperationHaveTheirOwnTimes) {
  control_->set_cost_model([](const std::string& task, int) { return task == "send" ? Cost{10, 0} : Cost{20, 7}; });
  // The group arrives at 0. Its send begins at 5 and takes 10; its receive begins at 3, holds for 20 and ends 7 later.
  const auto exchange = [](Running& running) {
    running.part("send", 5);
    running.part("receive", 3);
  };
  ASSERT_EQ(enqueue(streams_[0], {"ncclGroup", exchange, "send"}), 0);
  ASSERT_EQ(enqueue(streams_[0], {"ncclGroup", [](Running& r) { r.part("send", r.arrival()); }, "send"}), 0);
  ASSERT_EQ(cudaStreamSynchronize(streams_[0]), 0);
  const std::vector<TaskTime> times = control_->take_task_times();
  ASSERT_EQ(times.size(), 3u);
  const auto expect = [](const TaskTime& t, const char* task, VirtualTime arrival, VirtualTime start, VirtualTime end) {
    EXPECT_EQ(t.task, task);
    EXPECT_EQ(t.arrival, arrival);
    EXPECT_EQ(t.start, start);
    EXPECT_EQ(t.end, end);
  };
  expect(times[0], "receive", 0, 3, 30);
  expect(times[1], "send", 0, 5, 15);
  expect(times[2], "send", 23, 23, 33);  // free when the last of the group let go: max(15, 23)
  control_->reset();
}

TEST_F(Watcher, BeginAtDelaysTheCost) {
  control_->set_cost_model([](const std::string&, int) { return Cost{10, 0}; });
  ASSERT_EQ(enqueue(streams_[0], {"ncclAllReduce", [](Running& r) { r.begin_at(r.arrival() + 4); }, "a"}), 0);
  ASSERT_EQ(enqueue(streams_[0], {"kernel", [](Running&) {}, "b"}), 0);
  ASSERT_EQ(cudaStreamSynchronize(streams_[0]), 0);
  const std::vector<TaskTime> times = control_->take_task_times();
  ASSERT_EQ(times.size(), 2u);
  EXPECT_EQ(times[0].start, 4);
  EXPECT_EQ(times[0].end, 14);
  EXPECT_EQ(times[1].arrival, 14);
  EXPECT_EQ(times[1].end, 24);
  control_->reset();
}

}  // namespace
}  // namespace pgram::emulation
