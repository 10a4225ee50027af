// Parity: every layout trains on GPUs like one rank on the CPU. Gradients of the first step decide; losses and norms
// follow for three steps.
#include <gtest/gtest.h>

#include <map>

#include "tests/cuda_backend/cuda_training.h"

namespace pgram::testing {
namespace {

constexpr uint32_t kSteps = 3;

struct Kind {
  const char* name;
  Model model;
};
void PrintTo(const Kind& kind, std::ostream* out) {
  *out << kind.name;
}

class CudaParity : public ::testing::TestWithParam<Kind> {
 protected:
  void expect_parity(const std::vector<std::string>& layouts, const std::string& schedule = "1f1b",
                     uint32_t global_batch = 4) {
    Workload workload = tiny_workload();
    workload.global_batch = global_batch;
    const RunResult one = train(tiny_plan(GetParam().model, "tp1", workload), tiny_options(kSteps));
    for (const std::string& layout : layouts) {
      const Plan plan = tiny_plan(GetParam().model, layout, workload, schedule);
      for (const std::string& line : differences(one, train_on_gpu(plan, tiny_options(kSteps)))) {
        ADD_FAILURE() << layout << " " << schedule << ": " << line;
      }
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Kinds, CudaParity, ::testing::Values(Kind{"Llama", tiny_llama()}, Kind{"Gpt2", tiny_gpt2()}),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(CudaParity, OneRank) {
  expect_parity({"tp1"});
}

TEST_P(CudaParity, Data) {
  expect_parity({"dp2", "dp4", "dp8"}, "1f1b", 8);
}

TEST_P(CudaParity, Tensor) {
  expect_parity({"tp2", "tp2.sp", "tp4", "tp4.sp", "tp2.dp2", "tp2.dp2.sp"});
}

TEST_P(CudaParity, Pipeline) {
  expect_parity({"pp2", "pp4", "pp4.paired", "tp2.pp2", "tp2.pp2.sp", "tp2.pp2.paired", "dp2.pp2"});
}

TEST_P(CudaParity, EightRanks) {
  expect_parity({"dp2.tp2.pp2", "tp4.pp2.sp", "dp2.pp4"});
}

TEST_P(CudaParity, Gpipe) {
  expect_parity({"pp2", "tp2.pp2.sp"}, "gpipe");
}

TEST_P(CudaParity, Sgd) {
  const Workload workload = tiny_workload(Optimizer::sgd);
  const RunResult one = train(tiny_plan(GetParam().model, "tp1", workload), tiny_options(kSteps));
  const RunResult two = train_on_gpu(tiny_plan(GetParam().model, "tp2", workload), tiny_options(kSteps));
  EXPECT_EQ(differences(one, two), std::vector<std::string>{});
}

TEST_P(CudaParity, TwiceIsBitEqual) {
  const Plan plan = tiny_plan(GetParam().model, "tp2.pp2.sp");
  CudaOptions cuda = tiny_cuda();
  cuda.deterministic = true;
  const RunResult first = train_on_gpu(plan, tiny_options(kSteps), cuda);
  const RunResult second = train_on_gpu(plan, tiny_options(kSteps), cuda);
  EXPECT_EQ(first.losses, second.losses);
  EXPECT_EQ(first.gradient_norms, second.gradient_norms);
  EXPECT_EQ(first.gradients, second.gradients);
  ASSERT_EQ(first.losses.size(), kSteps);
}

}  // namespace
}  // namespace pgram::testing
