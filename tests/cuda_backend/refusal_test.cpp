// What is refused before anything is allocated.
#include <gtest/gtest.h>

#include "core/base/errors.h"
#include "core/plan/memory_bill.h"
#include "cuda_backend/gpu_statement.h"
#include "tests/cuda_backend/cuda_training.h"

namespace pgram::testing {
namespace {

/// Refusals are the same on any GPU; how many there are and how much memory is the stand-in's to say.
class CudaRefusal : public ::testing::Test {
 protected:
  void SetUp() override {
    if (on_real_gpu()) GTEST_SKIP() << "chooses the stand-in's devices";
    live_ = stand_in().live();
  }
  void TearDown() override {
    if (on_real_gpu()) return;
    EXPECT_TRUE(stand_in().live() == live_);
    EXPECT_EQ(stand_in().calls("cudaMalloc"), 0u);
    stand_in().set_devices(8);
    stand_in().set_memory(uint64_t{1} << 30);
    stand_in().set_capability(9, 0);
  }

  static std::string refusal(const Plan& plan, const CudaOptions& options = tiny_cuda()) {
    try {
      CudaBackend backend(plan, options);
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  }

  emulation::Live live_;
};

TEST_F(CudaRefusal, TooFewDevices) {
  stand_in().set_devices(3);
  EXPECT_EQ(
      refusal(tiny_plan(tiny_llama(), "tp4")),
      "--backend cuda: the layout needs 4 GPUs on this machine, one for each rank, but there are 3; use a smaller "
      "layout, or --share-gpu to run all ranks on one GPU");
}

TEST_F(CudaRefusal, DevicesThatDoNotFitTheRanks) {
  CudaOptions options = tiny_cuda();
  options.devices = {0, 1, 2};
  EXPECT_NE(refusal(tiny_plan(tiny_llama(), "tp2"), options).find("names 3 GPUs, expected one for each"),
            std::string::npos);
  options.devices = {1, 1};
  EXPECT_NE(refusal(tiny_plan(tiny_llama(), "tp2"), options).find("GPU 1 is not there or named twice"),
            std::string::npos);
  options.devices = {0, 8};
  EXPECT_NE(refusal(tiny_plan(tiny_llama(), "tp2"), options).find("GPU 8 is not there or named twice"),
            std::string::npos);
}

/// The arenas alone are twice what the device has.
TEST_F(CudaRefusal, PlanThatDoesNotFitWithTheBreakdown) {
  const Plan plan = tiny_plan(tiny_llama(), "tp1");
  const MemoryBill bill = memory_bill(plan)[0];
  stand_in().set_memory(bill.total / 2);
  const std::string text = refusal(plan);
  EXPECT_NE(text.find("needed by rank 0 (pipeline rank 0)"), std::string::npos) << text;
  EXPECT_NE(text.find("does not fit"), std::string::npos) << text;
  EXPECT_NE(text.find(breakdown_text(bill)), std::string::npos) << text;
  EXPECT_NE(text.find("workspace"), std::string::npos) << text;
}

/// Four ranks on one GPU need four times what one needs.
TEST_F(CudaRefusal, RanksThatDoNotFitOneSharedGpu) {
  const Plan plan = tiny_plan(tiny_llama(), "dp4");
  const std::vector<MemoryBill> bills = memory_bill(plan);
  stand_in().set_memory(bills[0].total * 3);
  CudaOptions options = tiny_cuda();
  options.share_gpu = true;
  EXPECT_NE(refusal(plan, options).find("needed by ranks 0 to 3 together"), std::string::npos);
}

TEST_F(CudaRefusal, DevicesThatAreTooOld) {
  stand_in().set_capability(7, 5);
  EXPECT_EQ(refusal(tiny_plan(tiny_llama(), "tp2")),
            "devices: GPU 0 (Stand-in GPU) has compute capability 7.5, expected 8.0 or later");
  stand_in().set_capability(8, 0);
  EXPECT_EQ(refusal(tiny_plan(tiny_llama(), "tp2")), "");
}

TEST_F(CudaRefusal, OperationsThatItLacks) {
  Plan plan = tiny_plan(tiny_llama(), "tp1");
  Body& body = plan.bodies[0];
  body.ops.back().kernel = Kernel::opaque;
  EXPECT_EQ(refusal(plan), "plan: the CUDA backend cannot run it: " + body.name + "." +
                               std::to_string(body.ops.size() - 1) + ":opaque has no data, only a duration");
  Model wide = tiny_llama();
  wide.heads = wide.kv_heads = 1, wide.head_dim = 264;
  const std::string text = refusal(tiny_plan(wide, "tp1"));
  EXPECT_EQ(text.find("plan: the CUDA backend cannot run it: "), 0u) << text;
  EXPECT_NE(text.find(" has heads of 264, the CUDA backend's are at most 256"), std::string::npos) << text;
}

TEST_F(CudaRefusal, SixteenBitPlans) {
  Workload workload = tiny_workload();
  workload.precision = Precision::bf16;
  EXPECT_NE(refusal(tiny_plan(tiny_llama(), "tp1", workload)).find("--precision fp32"), std::string::npos);
}

/// What processes tell each other, and what all of them then say.
TEST(GpuStatements, GoTogetherOrNot) {
  const auto said = [](std::vector<GpuStatement> statements, bool share_gpu = false) {
    for (GpuStatement& statement : statements) statement = GpuStatement::from_text(statement.to_text());
    return refusal_of(statements, share_gpu);
  };
  const GpuStatement first{"", {"H100"}, {"a 01:00.0"}}, second{"", {"H100"}, {"b 01:00.0"}};
  EXPECT_EQ(said({first, second}), "");
  EXPECT_EQ(
      said({first, {"", {"A100", "H100"}, {"b 01:00.0", "b 02:00.0"}}}),
      "devices: the GPUs are of different kinds, A100 and H100; a plan takes equal ones: choose them by --devices");
  EXPECT_EQ(said({first, first}),
            "devices: two ranks have the same GPU (a 01:00.0); give each process its own by --devices or LOCAL_RANK");
  EXPECT_EQ(said({first, first}, true), "");
  EXPECT_EQ(said({first, {"memory: does not fit", {}, {}}}), "memory: does not fit");
}

}  // namespace
}  // namespace pgram::testing
