// Runs that fail in the middle: the message names rank and task, nobody hangs, nothing is left.
#include <gtest/gtest.h>

#include <chrono>

#include "tests/cuda_backend/faults.h"

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

/// Role 1 never receives what role 0 sends, it writes zeros instead: the send is named once its time is up.
TEST(CudaFailure, ATaskThatDoesNotEndIsNamed) {
  if (on_real_gpu()) GTEST_SKIP() << "NCCL may buffer a small send";
  const emulation::Live before = stand_in().live();
  Plan plan = tiny_plan(tiny_llama(), "pp2");
  int silenced = 0;
  for (Body& body : plan.bodies) {
    for (Op& op : body.ops) {
      if (op.kernel != Kernel::recv) continue;
      op.kernel = Kernel::zero;
      ++silenced;
    }
  }
  ASSERT_GT(silenced, 0);
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
