// A test on the stand-in: its control, and small helpers over CUDA that fail the test for an error.
#pragma once
#include <cuda_runtime.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nvtx3/nvToolsExt.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "tests/emulation/find_control.h"

namespace pgram::emulation {

#define EXPECT_CUDA(call) EXPECT_EQ(call, cudaSuccess)

/// The NVTX range of a task.
class InTask {
 public:
  explicit InTask(const std::string& task) { nvtxRangePushA(("task:" + task).c_str()); }
  ~InTask() { nvtxRangePop(); }
  InTask(const InTask&) = delete;
  InTask& operator=(const InTask&) = delete;
};

class StandIn : public testing::Test {
 protected:
  void SetUp() override {
    GTEST_FLAG_SET(death_test_style, "threadsafe");  // there are worker threads
    if (!control) GTEST_SKIP() << "a test of the stand-in GPU, which is not there";
    before_ = control->live();
    EXPECT_CUDA(cudaSetDevice(0));
    stream = make_stream();
  }
  void TearDown() override {
    if (!control) return;
    for (cudaStream_t s : streams_) EXPECT_CUDA(cudaStreamDestroy(s));
    for (void* memory : memory_) EXPECT_CUDA(cudaFree(memory));
    EXPECT_TRUE(control->live() == before_) << "something was not given back";
  }

  cudaStream_t make_stream() {
    cudaStream_t made = nullptr;
    EXPECT_CUDA(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking));
    streams_.push_back(made);
    return made;
  }
  /// Device memory that the test's end frees.
  float* floats(size_t count, float value = 0) {
    void* memory = nullptr;
    EXPECT_CUDA(cudaMalloc(&memory, count * sizeof(float)));
    memory_.push_back(memory);
    const std::vector<float> host(count, value);
    EXPECT_CUDA(cudaMemcpy(memory, host.data(), count * sizeof(float), cudaMemcpyHostToDevice));
    return static_cast<float*>(memory);
  }
  static std::vector<float> host(const float* memory, size_t count) {
    std::vector<float> copy(count);
    EXPECT_CUDA(cudaMemcpy(copy.data(), memory, count * sizeof(float), cudaMemcpyDeviceToHost));
    return copy;
  }
  /// What was found since the last call, in one text.
  std::string found() const {
    std::string text;
    for (const std::string& line : control->take_reports()) text += line + "\n";
    return text;
  }
  static bool engine_is_ptx() { return std::string(std::getenv("PGRAM_EMULATION_ENGINE")) == "ptx"; }

  const Control* const control = find_control();
  cudaStream_t stream = nullptr;

 private:
  Live before_;
  std::vector<cudaStream_t> streams_;
  std::vector<void*> memory_;
};

}  // namespace pgram::emulation
