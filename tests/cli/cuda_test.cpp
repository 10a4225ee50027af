// `--backend cuda` where no GPU is visible.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "tests/cli/program.h"

namespace pgram::test {
namespace {

class WithoutGpu : public testing::Test {
 protected:
  void SetUp() override {
    setenv("CUDA_VISIBLE_DEVICES", "", 1);  // a machine with GPUs shows none of them
    if (!std::filesystem::exists(std::filesystem::path(PGRAM_PROGRAM).parent_path() / "libpgram_cuda_backend.so")) {
      GTEST_SKIP() << "the CUDA backend is not built here";
    }
  }
  void TearDown() override { unsetenv("CUDA_VISIBLE_DEVICES"); }
};

/// "no NVIDIA driver ..." or, where there is one, "no NVIDIA GPU is visible ...": one line, exit code 3.
TEST_F(WithoutGpu, RunIsExitCodeThree) {
  const Folder folder;
  const std::string plan = folder / "p.json";
  ASSERT_EQ(run(folder, "plan --model tiny-llama --cluster this --global-batch 8 --seq 64 --out " + plan).code, 0);
  const Outcome outcome = run(folder, "run " + plan + " --backend cuda");
  EXPECT_EQ(outcome.code, 3);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err.find("pgram: no NVIDIA "), 0u) << outcome.err;
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
}

TEST_F(WithoutGpu, CalibrateIsExitCodeThree) {
  const Folder folder;
  const Outcome outcome = run(folder, "calibrate --backend cuda --out " + (folder / "gpu.yaml"));
  EXPECT_EQ(outcome.code, 3);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err.find("pgram: no NVIDIA "), 0u) << outcome.err;
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  EXPECT_FALSE(std::filesystem::exists(folder / "gpu.yaml"));
}

TEST(CudaFlags, CalibrateKnowsTwoBackends) {
  const Folder folder;
  const Outcome outcome = run(folder, "calibrate --backend tpu --out " + (folder / "tpu.yaml"));
  EXPECT_EQ(outcome.code, 2);
  EXPECT_NE(outcome.err.find("--backend: expected cpu or cuda, got 'tpu'"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace pgram::test
