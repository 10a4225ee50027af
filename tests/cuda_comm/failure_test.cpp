// Communication that cannot go on: ranks that never come, operations that do not match, aborts.
#include <gtest/gtest.h>

#include <future>

#include "core/base/errors.h"
#include "cuda_backend/nccl_communication.h"
#include "cuda_backend/processes.h"
#include "cuda_backend/shared_gpu.h"
#include "tests/cuda_comm/ranks.h"
#include "tests/emulation/find_control.h"
#include "tests/support/text.h"

namespace pgram::testing {
namespace {

using test::contains;

double seconds_of(const std::function<void()>& body) {
  const auto begin = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// The stand-in sees the deadlocks of these tests too.
void forget_reports() {
  if (const emulation::Control* control = emulation::find_control()) control->take_reports();
}

class CommFailure : public ::testing::Test {
 protected:
  void SetUp() override {
    int devices = 0;
    ASSERT_EQ(cudaGetDeviceCount(&devices), cudaSuccess);
    if (devices < 2) GTEST_SKIP() << "one GPU; NCCL takes one rank on each";
  }
  Processes alone_{ProcessPlace{}};
};
using SharedGpuFailure = ::testing::Test;

/// Rank 1 never issues its part: rank 0's stream stays busy until the abort, then it ends, and nothing can be issued.
TEST_F(CommFailure, AbortEndsWhatIsBlocked) {
  const Plan plan = mesh_plan(2, 1, 1);
  const auto connections = nccl_connections(plan, alone_, {20, 20});
  std::promise<void> blocked;
  auto seen = blocked.get_future();
  const auto errors = on_ranks(plan, *connections, false, [&](Rank& rank) {
    if (rank.number() == 1) {
      seen.wait();
      rank.communication().abort();
      return;
    }
    const Tensor x = rank.upload({1, 2, 3});
    rank.issue(Kernel::all_reduce, kTensor, {x});
    EXPECT_FALSE(rank.synchronize(0.3));
    const double taken = seconds_of([&] { rank.communication().abort(); });
    EXPECT_LT(taken, 5);
    rank.communication().abort();  // a second one changes nothing
    EXPECT_TRUE(rank.idle_within(5));
    EXPECT_THROW(rank.communication().poll(), RunError);
    EXPECT_THROW(rank.issue(Kernel::all_reduce, kTensor, {x}), RunError);
    blocked.set_value();
  });
  EXPECT_EQ(errors, std::vector<std::string>(2));
  EXPECT_FALSE(nccl_hangs());
  forget_reports();
}

/// An abort in the middle of a group: its first half was issued, its second is refused.
TEST_F(CommFailure, AbortWithinAGroup) {
  const Plan plan = mesh_plan(1, 1, 2, true);
  const auto connections = nccl_connections(plan, alone_, {20, 20});
  const auto errors = on_ranks(plan, *connections, false, [&](Rank& rank) {
    const bool lower = rank.number() == 0;
    rank.issue(Kernel::send, lower ? forward_channel(0) : backward_channel(0), {rank.upload({1})}, Rank::kOpens);
    rank.communication().abort();
    EXPECT_THROW(
        rank.issue(Kernel::recv, lower ? backward_channel(0) : forward_channel(0), {rank.empty(1)}, Rank::kCloses),
        RunError);
    EXPECT_TRUE(rank.idle_within(5));
  });
  EXPECT_EQ(errors, std::vector<std::string>(2));
  EXPECT_FALSE(nccl_hangs());
  forget_reports();
}

TEST_F(CommFailure, ARankThatNeverOpens) {
  const Plan plan = mesh_plan(2, 1, 1);
  const auto connections = nccl_connections(plan, alone_, {1, 20});
  const double taken = seconds_of([&] {
    try {
      use_device(0);
      connections->open(0);
      FAIL() << "rank 1 never came";
    } catch (const RunError& error) {
      EXPECT_TRUE(contains(error.what(), "were not connected within 1.00 s")) << error.what();
    }
  });
  EXPECT_LT(taken, 10);
  forget_reports();
}

TEST_F(CommFailure, AbortEndsOpening) {
  const Plan plan = mesh_plan(2, 1, 1);
  const auto connections = nccl_connections(plan, alone_, {60, 20});
  auto opening = std::async(std::launch::async, [&] {
    use_device(0);
    connections->open(0);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  const double taken = seconds_of([&] {
    connections->abort();
    EXPECT_THROW(opening.get(), RunError);
  });
  EXPECT_LT(taken, 10);
  forget_reports();
}

TEST_F(CommFailure, OfNoMember) {
  const Plan plan = mesh_plan(1, 1, 3);
  int devices = 0;
  ASSERT_EQ(cudaGetDeviceCount(&devices), cudaSuccess);
  if (devices < 3) GTEST_SKIP() << devices << " GPUs for 3 ranks of NCCL";
  const auto connections = nccl_connections(plan, alone_, {20, 20});
  const auto errors = on_ranks(plan, *connections, false, [&](Rank& rank) {
    if (rank.number() == 2) rank.issue(Kernel::send, forward_channel(0), {rank.upload({1})});
    if (rank.number() == 1) rank.issue(Kernel::send, 77, {rank.upload({1})});
  });
  EXPECT_EQ(errors[0], "");
  EXPECT_EQ(errors[1], "has no communicator");
  EXPECT_EQ(errors[2], "does not belong to its communicator");
}

TEST_F(SharedGpuFailure, TheAbsentAreNamed) {
  const Plan plan = mesh_plan(3, 1, 1);
  const auto connections = shared_gpu_connections(plan, 0.5);
  const auto errors = on_ranks(plan, *connections, true, [&](Rank& rank) {
    if (rank.number() == 1) rank.issue(Kernel::all_reduce, kTensor, {rank.upload({1})});
  });
  EXPECT_EQ(errors[1], "rank 0, rank 2 did not come to tp within 500 ms");
}

TEST_F(SharedGpuFailure, WhatDoesNotMatchIsRefusedByBoth) {
  const Plan plan = mesh_plan(2, 1, 1);
  const auto connections = shared_gpu_connections(plan, 20);
  const auto errors = on_ranks(plan, *connections, true, [&](Rank& rank) {
    rank.issue(Kernel::all_reduce, kTensor, {rank.empty(rank.number() == 0 ? 3 : 4)});
  });
  for (const std::string& error : errors) {
    EXPECT_TRUE(contains(error, "all_reduce of 16 bytes of rank 1 with all_reduce of 12 bytes of rank 0 on tp"))
        << error;
  }
}

TEST_F(SharedGpuFailure, AbortEndsWaiting) {
  const Plan plan = mesh_plan(2, 1, 1);
  const auto connections = shared_gpu_connections(plan, 60);
  const double taken = seconds_of([&] {
    const auto errors = on_ranks(plan, *connections, true, [&](Rank& rank) {
      if (rank.number() == 0) rank.issue(Kernel::all_reduce, kTensor, {rank.empty(1)});
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
      rank.communication().abort();
    });
    EXPECT_EQ(errors[0], "the run was aborted");
    EXPECT_EQ(errors[1], "");
  });
  EXPECT_LT(taken, 10);
}

TEST_F(SharedGpuFailure, TooManyRanks) {
  EXPECT_THROW(shared_gpu_connections(mesh_plan(65, 1, 1), 1), InputError);
  EXPECT_NO_THROW(shared_gpu_connections(mesh_plan(32, 2, 1), 1));
}

}  // namespace
}  // namespace pgram::testing
