// Device memory for tests of the stand-in.
#pragma once
#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <vector>

#include "tests/emulation/find_control.h"

namespace pgram::emulation {

/// Of the current device at its making.
template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(size_t count) : count_(count) {
    EXPECT_EQ(cudaMalloc(reinterpret_cast<void**>(&data_), count * sizeof(T)), cudaSuccess);
  }
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) {
    EXPECT_EQ(cudaMemcpy(data_, values.data(), count_ * sizeof(T), cudaMemcpyHostToDevice), cudaSuccess);
  }
  ~DeviceArray() { free(); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  T* data() const { return data_; }
  std::vector<T> read() const {
    std::vector<T> values(count_);
    EXPECT_EQ(cudaMemcpy(values.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost), cudaSuccess);
    return values;
  }
  void free() {
    if (data_) static_cast<void>(cudaFree(data_));
    data_ = nullptr;
  }

 private:
  T* data_ = nullptr;
  size_t count_;
};

/// What these tests ask for misuse is only on the stand-in.
class StandIn : public testing::Test {
 protected:
  void SetUp() override {
    if (!find_control()) GTEST_SKIP() << "a test of the stand-in GPU itself";
  }
  const Control& control() const { return *find_control(); }
  /// The one report that there is, or all of them.
  std::string report() const {
    std::string all;
    for (const std::string& line : control().take_reports()) all += (all.empty() ? "" : "\n") + line;
    return all;
  }
};

}  // namespace pgram::emulation
