// Runs that fail in the middle: the message names rank and task, nobody hangs, nothing is left.
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <tuple>

#include "tests/cuda_backend/faults.h"
#include "tests/cuda_backend/forwarding.h"

namespace pgram::testing {
namespace {

std::string failure_of(const Plan& plan, const CudaOptions& options) {
  try {
    train_on_gpu(plan, tiny_options(2), options);
  } catch (const RunError& error) {
    return error.what();
  }
  return "";
}

/// Tasks of this kind write zeros instead, so that their partners wait for ever.
Plan silenced(Plan plan, Kernel kernel) {
  int changed = 0;
  for (Body& body : plan.bodies) {
    for (Op& op : body.ops) {
      if (op.kernel != kernel) continue;
      op.kernel = Kernel::zero;
      ++changed;
    }
  }
  EXPECT_GT(changed, 0);
  return plan;
}

/// Role 1 never receives what role 0 sends: the send is named once its time is up.
TEST(CudaFailure, ATaskThatDoesNotEndIsNamed) {
  if (on_real_gpu()) GTEST_SKIP() << "NCCL may buffer a small send";
  const emulation::Live before = stand_in().live();
  const Plan plan = silenced(tiny_plan(tiny_llama(), "pp2"), Kernel::recv);
  CudaOptions options = tiny_cuda();
  options.task_timeout = 1;
  const auto start = std::chrono::steady_clock::now();
  const std::string message = failure_of(plan, options);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  EXPECT_EQ(message.find("rank "), 0u) << message;
  EXPECT_NE(message.find(":send did not end within 1 s"), std::string::npos) << message;
  EXPECT_LT(seconds, 10);
  stand_in().take_reports();  // it sees the deadlock too
  EXPECT_TRUE(stand_in().live() == before);
}

/// Streams that hold few operations and whose partners never come: the host is held in the call that finds one full, be
/// it of a kernel, of an event or of NCCL, and the watcher says so.
class FullQueue : public ::testing::TestWithParam<std::tuple<Kernel, int>> {};
INSTANTIATE_TEST_SUITE_P(CudaFailure, FullQueue,
                         ::testing::Combine(::testing::Values(Kernel::send, Kernel::recv), ::testing::Range(5, 9)),
                         [](const auto& info) {
                           return "No" + std::string(name_of(std::get<0>(info.param))) + "Queue" +
                                  std::to_string(std::get<1>(info.param));
                         });

TEST_P(FullQueue, IsNoticed) {
  if (on_real_gpu()) GTEST_SKIP() << "makes the stand-in's queues short";
  const auto [kernel, operations] = GetParam();
  const emulation::Live before = stand_in().live();
  const Plan plan = silenced(tiny_plan(tiny_llama(), "pp2"), kernel);
  CudaOptions options = tiny_cuda();
  options.task_timeout = 0.3;
  options.abort_timeout = 2;
  stand_in().set_queue(static_cast<uint64_t>(operations));
  const auto start = std::chrono::steady_clock::now();
  const std::string message = failure_of(plan, options);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  stand_in().set_queue(0);
  EXPECT_EQ(message.find("rank "), 0u) << message;
  EXPECT_NE(message.find(" could not be issued within 0.3 s: the device's queue is full"), std::string::npos)
      << message;
  EXPECT_LT(seconds, 5);
  stand_in().take_reports();
  EXPECT_TRUE(stand_in().live() == before);
}

/// Rank 0 is between the two halves of an exchange when rank 1 fails: it is not waited for until the time for aborting
/// is over, for it closes its group and is aborted.
class HeldInGroup : public ForwardingDevice {
 public:
  struct Meeting {
    std::mutex mutex;
    std::condition_variable changed;
    bool in_group = false;
  };
  HeldInGroup(std::unique_ptr<RankDevice> device, uint32_t rank, Meeting& meeting)
      : ForwardingDevice(std::move(device)), rank_(rank), meeting_(meeting) {}

  void launch(const Launch& launch) override {
    if (rank_ == 1) {
      std::unique_lock lock(meeting_.mutex);
      meeting_.changed.wait_for(lock, std::chrono::seconds(5), [this] { return meeting_.in_group; });
      throw RunError("planned");
    }
    ForwardingDevice::launch(launch);
    if (!is_communication(launch.op->kernel) || launch.group_end) return;
    {
      std::lock_guard lock(meeting_.mutex);
      meeting_.in_group = true;
    }
    meeting_.changed.notify_all();
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }

 private:
  const uint32_t rank_;
  Meeting& meeting_;
};

class HoldingBackend : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  std::unique_ptr<RankDevice> open(uint32_t rank) override {
    return std::make_unique<HeldInGroup>(backend_.open(rank), rank, meeting_);
  }
  bool a_group_was_open() const { return meeting_.in_group; }

 private:
  HeldInGroup::Meeting meeting_;
};

TEST(CudaFailure, AnAbortMeetsARankWithinAGroup) {
  if (on_real_gpu()) GTEST_SKIP() << "needs two GPUs";
  const emulation::Live before = stand_in().live();
  const Plan plan = tiny_plan(tiny_llama(), "pp2.paired");
  const auto start = std::chrono::steady_clock::now();
  {
    HoldingBackend backend(plan, tiny_cuda());
    try {
      run(plan, backend, tiny_options(1));
      ADD_FAILURE() << "rank 1 did not fail";
    } catch (const RunError& error) {
      EXPECT_STREQ(error.what(), "planned");
    }
    EXPECT_TRUE(backend.a_group_was_open());
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  EXPECT_LT(seconds, 1.5);  // a quarter of the 10 s for aborting is what it takes when nobody closes the group
  stand_in().take_reports();
  EXPECT_TRUE(stand_in().live() == before);
}

/// A run whose aborts come to nothing, in a process of its own: it says what failed and leaves, without CUDA's tearing
/// down (here: what was registered for the exit before it), which would wait for the streams for ever.
class AbortsInVain : public ::testing::Test {
 protected:
  void SetUp() override {
    if (on_real_gpu()) GTEST_SKIP() << "plans the stand-in's failures";
    GTEST_FLAG_SET(death_test_style, "threadsafe");
  }
  [[noreturn]] static void fail_and_leave() {
    std::atexit([] { std::fprintf(stderr, "torn down\n"); });
    const Plan plan = silenced(tiny_plan(tiny_llama(), "pp2"), Kernel::recv);
    CudaOptions options = tiny_cuda();
    options.task_timeout = options.abort_timeout = 0.5;
    const auto start = std::chrono::steady_clock::now();
    const std::string message = failure_of(plan, options);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::fprintf(stderr, "%s, %s\n", message.c_str(), seconds < 5 ? "in time" : "late");
    std::exit(1);
  }
  static constexpr const char* kMessage = "^rank [01] [^\n]*:send did not end within 0.5 s, in time\n$";
  static constexpr uint64_t kMost = 100;  ///< more communicators than there are
};

TEST_F(AbortsInVain, FailingOnesLeaveTheStreamsAlone) {
  EXPECT_EXIT(
      {
        for (uint64_t i = 1; i <= kMost; ++i) stand_in().fail_call("ncclCommAbort", i, ncclInternalError);
        fail_and_leave();
      },
      ::testing::ExitedWithCode(1), kMessage);
}

TEST_F(AbortsInVain, OnesThatDoNotReturnPassTheDeadline) {
  EXPECT_EXIT(
      {
        for (uint64_t i = 1; i <= kMost; ++i) stand_in().stall_call("ncclCommAbort", i, 600);
        fail_and_leave();
      },
      ::testing::ExitedWithCode(1), kMessage);
}

/// The run itself is good.
TEST_F(AbortsInVain, DestroyingThatDoesNotReturnPassesTheDeadline) {
  EXPECT_EXIT(
      {
        std::atexit([] { std::fprintf(stderr, "torn down\n"); });
        for (uint64_t i = 1; i <= kMost; ++i) stand_in().stall_call("ncclCommDestroy", i, 600);
        CudaOptions options = tiny_cuda();
        options.abort_timeout = 0.5;
        std::fprintf(stderr, "%s\n", failure_of(tiny_plan(tiny_llama(), "pp2"), options).c_str());
        std::exit(0);
      },
      ::testing::ExitedWithCode(0), "^\n$");
}

/// One call of each kind, in the middle of the run; `./dev bench faults` has the first and the last as well.
TEST(CudaFailure, OneCallOfEachKindFails) {
  if (on_real_gpu()) GTEST_SKIP() << "plans the stand-in's failures";
  FaultCampaign campaign("tp2");
  int injected = 0;
  for (const Fault& fault : campaign.faults()) {
    if (fault.place == "last") continue;
    if (fault.place == "first" && fault.call.rfind("nccl", 0) != 0) continue;
    EXPECT_EQ(campaign.inject(fault), "");
    ++injected;
  }
  EXPECT_GE(injected, 20);
}

}  // namespace
}  // namespace pgram::testing
