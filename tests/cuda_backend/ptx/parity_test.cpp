// Parity of the kernels that nvcc really made: their PTX, interpreted.
#include <gtest/gtest.h>

#include "tests/cuda_backend/cuda_training.h"

namespace pgram::testing {
namespace {

constexpr uint32_t kSteps = 2;

void expect_parity(const Model& model, const std::string& layout) {
  Workload workload = tiny_workload();
  workload.global_batch = 4;
  const RunResult one = train(tiny_plan(model, "tp1", workload), tiny_options(kSteps));
  const RunResult many = train_on_gpu(tiny_plan(model, layout, workload), tiny_options(kSteps));
  EXPECT_EQ(differences(one, many), std::vector<std::string>{});
}

TEST(CudaParityOfPtx, LlamaTensorPipelineSequence) {
  expect_parity(tiny_llama(), "tp2.pp2.sp");
}

TEST(CudaParityOfPtx, LlamaData) {
  expect_parity(tiny_llama(), "dp2");
}

TEST(CudaParityOfPtx, Gpt2TensorData) {
  expect_parity(tiny_gpt2(), "tp2.dp2");
}

}  // namespace
}  // namespace pgram::testing
