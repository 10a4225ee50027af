// Checkpoints: training goes on as if it had not been interrupted, under the same layout or another.
#include <gtest/gtest.h>

#include <cmath>

#include "core/base/errors.h"
#include "core/exec/checkpoint.h"
#include "tests/cpu_backend/training.h"

namespace pgram::testing {
namespace {

class Resume : public ::testing::Test {
 protected:
  std::string path(const std::string& name) const {
    return ::testing::TempDir() + "resume_" + ::testing::UnitTest::GetInstance()->current_test_info()->name() + "_" +
           name + ".safetensors";
  }

  static RunResult steps(const Plan& plan, uint32_t count, const std::string& load, const std::string& save) {
    RunOptions options = tiny_options(count);
    options.load = load;
    options.save = save;
    return train(plan, options);
  }

  static void expect_equal_files(const std::string& a, const std::string& b) {
    const SafetensorsFile x(a), y(b);
    EXPECT_EQ(x.metadata(), y.metadata());
    ASSERT_EQ(x.tensors().size(), y.tensors().size());
    for (const auto& [name, tensor] : x.tensors()) EXPECT_EQ(x.read_floats(name), y.read_floats(name)) << name;
  }
};

TEST_F(Resume, TenAndTenAreTwenty) {
  for (const Model& model : {tiny_llama(), tiny_gpt2()}) {
    for (Optimizer optimizer : {Optimizer::adamw, Optimizer::sgd}) {
      const Plan plan = tiny_plan(model, "tp2.pp2", tiny_workload(optimizer));
      const RunResult whole = steps(plan, 20, "", path("whole"));
      const RunResult first = steps(plan, 10, "", path("half"));
      const RunResult second = steps(plan, 10, path("half"), path("resumed"));
      EXPECT_EQ(whole.first_step, 0u);
      EXPECT_EQ(second.first_step, 10u);
      std::vector<double> losses = first.losses;
      losses.insert(losses.end(), second.losses.begin(), second.losses.end());
      EXPECT_EQ(losses, whole.losses);
      expect_equal_files(path("whole"), path("resumed"));
    }
  }
}

TEST_F(Resume, UnderAnotherLayout) {
  for (const Model& model : {tiny_llama(), tiny_gpt2()}) {
    const RunResult whole = steps(tiny_plan(model, "tp1"), 12, "", "");
    steps(tiny_plan(model, "tp4.pp2.sp"), 6, "", path("half"));
    for (const char* layout : {"tp1", "dp2.pp4", "tp2.dp2.sp"}) {
      const RunResult second = steps(tiny_plan(model, layout), 6, path("half"), "");
      ASSERT_EQ(second.losses.size(), 6u);
      for (size_t i = 0; i < 6; ++i) EXPECT_NEAR(second.losses[i], whole.losses[6 + i], 2e-6 * whole.losses[6 + i]);
    }
  }
}

/// A file of weights alone, as others publish them, begins at step 0 with fresh moments.
TEST_F(Resume, PlainWeights) {
  const Plan plan = tiny_plan(tiny_llama(), "pp2");
  steps(plan, 3, "", path("checkpoint"));
  std::map<std::string, FloatTensor> weights;
  const SafetensorsFile file(path("checkpoint"));
  for (const auto& [name, tensor] : file.tensors()) {
    if (name.rfind("optimizer.", 0) != 0) weights[name] = {tensor.shape, file.read_floats(name)};
  }
  EXPECT_EQ(weights.size() * 3, file.tensors().size());  // weight, m, v
  EXPECT_TRUE(weights.contains("model.layers.3.mlp.down_proj.weight"));
  write_safetensors(path("weights"), weights, {});
  const RunResult result = steps(plan, 2, path("weights"), "");
  EXPECT_EQ(result.first_step, 0u);
  EXPECT_TRUE(std::isfinite(result.losses.back()));
}

TEST_F(Resume, HalfAnOptimizerIsRefused) {
  const Plan plan = tiny_plan(tiny_llama(), "tp2");
  steps(plan, 1, "", path("checkpoint"));
  std::map<std::string, FloatTensor> tensors;
  const SafetensorsFile file(path("checkpoint"));
  for (const auto& [name, tensor] : file.tensors()) tensors[name] = {tensor.shape, file.read_floats(name)};
  tensors.erase("optimizer.model.norm.weight.v");
  write_safetensors(path("broken"), tensors, file.metadata());
  try {
    steps(plan, 1, path("broken"), "");
    FAIL() << "accepted";
  } catch (const InputError& error) {
    EXPECT_EQ(error.field(), "optimizer.model.norm.weight.v");
    EXPECT_EQ(error.file(), path("broken"));
  }
}

TEST_F(Resume, AnotherModelIsRefused) {
  steps(tiny_plan(tiny_llama(), "tp1"), 1, "", path("llama"));
  EXPECT_THROW(steps(tiny_plan(tiny_gpt2(), "tp2"), 1, path("llama"), ""), InputError);
}

}  // namespace
}  // namespace pgram::testing
