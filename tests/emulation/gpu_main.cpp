// main() of the tests that need a GPU: the process is skipped with a reason where there is none, and on the stand-in
// each test fails for the misuse that it caused and did not take by Control::take_reports().
#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <cstdio>

#include "tests/emulation/find_control.h"

namespace {

constexpr int kSkipped = 77;  // CTest's SKIP_RETURN_CODE

class MisuseFails : public testing::EmptyTestEventListener {
  void OnTestStart(const testing::TestInfo&) override { control_->reset(); }
  void OnTestEnd(const testing::TestInfo&) override {
    for (const std::string& line : control_->take_reports()) ADD_FAILURE() << "stand-in GPU: " << line;
  }
  const pgram::emulation::Control* control_ = pgram::emulation::find_control();
};

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (testing::GTEST_FLAG(list_tests)) return RUN_ALL_TESTS();
  int devices = 0;
  if (const cudaError_t error = cudaGetDeviceCount(&devices); error != cudaSuccess) {
    std::printf("skipped: no usable GPU: %s (%s)\n", cudaGetErrorName(error), cudaGetErrorString(error));
    return kSkipped;
  }
  if (pgram::emulation::find_control()) testing::UnitTest::GetInstance()->listeners().Append(new MisuseFails);
  return RUN_ALL_TESTS();
}
