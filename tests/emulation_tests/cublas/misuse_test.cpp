// Planted defects in the use of cuBLAS, and failures that are planned.
#include <cublas_v2.h>

#include <functional>
#include <map>

#include "tests/emulation_tests/device_array.h"

namespace pgram::emulation {
namespace {

/// A handle on a stream, and a product of 2 x 2 matrices with every pointer to be spoilt.
class CublasMisuse : public StandIn {
 protected:
  void SetUp() override {
    StandIn::SetUp();
    if (IsSkipped()) return;
    EXPECT_EQ(cublasCreate(&blas_), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), cudaSuccess);
    EXPECT_EQ(cublasSetStream(blas_, stream_), CUBLAS_STATUS_SUCCESS);
  }
  void TearDown() override {
    if (!stream_) return;
    EXPECT_EQ(cublasDestroy(blas_), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cudaStreamDestroy(stream_), cudaSuccess);
  }
  cublasStatus_t multiply(const float* a, const float* b, float* c, int lda = 2) {
    return cublasSgemm(blas_, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, &kOne, a, lda, b, 2, &kZero, c, 2);
  }
  /// The product was accepted, and its stream ends in an illegal access.
  void expect_illegal_address(cublasStatus_t status) {
    EXPECT_EQ(status, CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cudaStreamSynchronize(stream_), cudaErrorIllegalAddress);
  }
  /// What was said; ends the device's error.
  std::string told() {
    const std::string text = report();
    control().reset();
    return text;
  }

  const float kOne = 1, kZero = 0;
  cublasHandle_t blas_ = nullptr;
  cudaStream_t stream_ = nullptr;
};

TEST_F(CublasMisuse, EachOperandOneElementTooShort) {
  const DeviceArray<float> a(4), b(4), c(4), short_by_one(3);
  expect_illegal_address(multiply(short_by_one.data(), b.data(), c.data()));
  EXPECT_NE(told().find("cublasSgemm (A)"), std::string::npos);
  expect_illegal_address(multiply(a.data(), short_by_one.data(), c.data()));
  EXPECT_NE(told().find("cublasSgemm (B)"), std::string::npos);
  expect_illegal_address(multiply(a.data(), b.data(), short_by_one.data()));
  EXPECT_NE(told().find("cublasSgemm (C)"), std::string::npos);
}

// lda 3: the second column ends at element 3 + 2 = 5, so five elements are enough and four are not.
TEST_F(CublasMisuse, TheExtentIsExact) {
  const DeviceArray<float> four(4), five(5), b(4), c(4);
  EXPECT_EQ(multiply(five.data(), b.data(), c.data(), 3), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
  expect_illegal_address(multiply(four.data(), b.data(), c.data(), 3));
  EXPECT_NE(told().find("out of bounds: cublasSgemm (A)"), std::string::npos);
}

TEST_F(CublasMisuse, TheLastOfABatchIsOutOfBounds) {
  const DeviceArray<float> a(8), b(8), c(7);
  expect_illegal_address(cublasSgemmStridedBatched(blas_, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, &kOne, a.data(), 2, 4,
                                                   b.data(), 2, 4, &kZero, c.data(), 2, 4, 2));
  EXPECT_NE(told().find("cublasSgemmStridedBatched (C)"), std::string::npos);
}

TEST_F(CublasMisuse, AnOperandIsFreedBeforeTheProductRuns) {
  const DeviceArray<float> b(4), c(4);
  DeviceArray<float> a(4);
  float* stale = a.data();
  a.free();
  expect_illegal_address(multiply(stale, b.data(), c.data()));
  EXPECT_NE(told().find("use after free: cublasSgemm (A)"), std::string::npos);
}

TEST_F(CublasMisuse, HostPointersAndOtherDevices) {
  const DeviceArray<float> a(4), c(4);
  const float host[4] = {};
  EXPECT_EQ(multiply(a.data(), host, c.data()), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(report(), "host pointer: cublasSgemm on device 0 was given an operand B in host memory");
  EXPECT_EQ(cudaSetDevice(1), cudaSuccess);
  const DeviceArray<float> there(4);
  EXPECT_EQ(multiply(a.data(), a.data(), c.data()), CUBLAS_STATUS_EXECUTION_FAILED);
  EXPECT_EQ(report(), "wrong device: cublasSgemm on a handle of device 0 while device 1 is current");
  EXPECT_EQ(cudaSetDevice(0), cudaSuccess);
  EXPECT_EQ(multiply(a.data(), there.data(), c.data()), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(report(), "wrong device: cublasSgemm on device 0 was given an operand B in device 1");
}

TEST_F(CublasMisuse, StreamsOfAnotherDeviceAndTheDefaultStream) {
  const DeviceArray<float> a(4), c(4);
  EXPECT_EQ(cudaSetDevice(1), cudaSuccess);
  cudaStream_t other = nullptr;
  EXPECT_EQ(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking), cudaSuccess);
  EXPECT_EQ(cudaSetDevice(0), cudaSuccess);
  EXPECT_EQ(cublasSetStream(blas_, other), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(multiply(a.data(), a.data(), c.data()), CUBLAS_STATUS_EXECUTION_FAILED);
  EXPECT_NE(report().find("wrong device: cublasSgemm was put on device 1"), std::string::npos);
  EXPECT_EQ(cudaStreamDestroy(other), cudaSuccess);
  EXPECT_EQ(cublasSetStream(blas_, nullptr), CUBLAS_STATUS_SUCCESS);  // what a handle has whose stream was never set
  EXPECT_EQ(multiply(a.data(), a.data(), c.data()), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  EXPECT_NE(report().find("default stream: cublasSgemm"), std::string::npos);
}

TEST_F(CublasMisuse, ResultsOverOperandsAndOverEachOther) {
  const DeviceArray<float> a(8), b(8), c(8);
  EXPECT_EQ(multiply(a.data(), b.data(), b.data()), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(report(), "overlap: cublasSgemm writes C over an operand that it reads");
  EXPECT_EQ(cublasSgemmStridedBatched(blas_, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, &kOne, a.data(), 2, 4, b.data(), 2, 4,
                                      &kZero, c.data(), 2, 0, 2),
            CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(report(), "overlap: cublasSgemmStridedBatched writes every C of its batch to the same place");
}

TEST_F(CublasMisuse, TheWorkspaceIsCublass) {
  const DeviceArray<float> a(4), b(4), c(4), workspace(std::vector<float>(64, 1)), mine(std::vector<float>(64, 1));
  EXPECT_EQ(cublasSetWorkspace(blas_, workspace.data() + 1, 4), CUBLAS_STATUS_INVALID_VALUE) << "not aligned";
  EXPECT_EQ(cublasSetWorkspace(blas_, workspace.data(), 256), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(multiply(a.data(), b.data(), c.data()), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
  EXPECT_NE(workspace.read(), std::vector<float>(64, 1)) << "what somebody kept there is spoilt";
  // cublasSetStream takes it away.
  EXPECT_EQ(cublasSetWorkspace(blas_, mine.data(), 256), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(cublasSetStream(blas_, stream_), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(multiply(a.data(), b.data(), c.data()), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
  EXPECT_EQ(mine.read(), std::vector<float>(64, 1));
  EXPECT_EQ(cublasSetWorkspace(blas_, mine.data(), 512), CUBLAS_STATUS_SUCCESS);
  expect_illegal_address(multiply(a.data(), b.data(), c.data()));
  EXPECT_NE(told().find("cublasSgemm (workspace)"), std::string::npos);
}

TEST_F(CublasMisuse, ScalarsAgainstThePointerMode) {
  const DeviceArray<float> a(4), c(4), scalars(2);
  EXPECT_EQ(cublasSgemm(blas_, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, scalars.data(), a.data(), 2, a.data(), 2,
                        scalars.data() + 1, c.data(), 2),
            CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_NE(report().find("pointer mode: cublasSgemm"), std::string::npos);
}

TEST_F(CublasMisuse, BadArguments) {
  const DeviceArray<float> a(4), c(4);
  EXPECT_EQ(multiply(a.data(), a.data(), c.data(), 1), CUBLAS_STATUS_INVALID_VALUE) << "lda < m";
  EXPECT_EQ(multiply(nullptr, a.data(), c.data()), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(cublasGemmEx(blas_, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, &kOne, a.data(), CUDA_R_16F, 2, a.data(), CUDA_R_16F,
                         2, &kZero, c.data(), CUDA_R_16F, 2, CUBLAS_COMPUTE_16F, CUBLAS_GEMM_DEFAULT),
            CUBLAS_STATUS_NOT_SUPPORTED);
}

TEST_F(CublasMisuse, UseAfterDestroy) {
  cublasHandle_t other = nullptr;
  const Live before = control().live();
  EXPECT_EQ(cublasCreate(&other), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(control().live().blas_handles, before.blas_handles + 1);
  EXPECT_EQ(cublasDestroy(other), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(control().live(), before);
  EXPECT_EQ(cublasSetStream(other, stream_), CUBLAS_STATUS_NOT_INITIALIZED);
  EXPECT_EQ(report(), "no cuBLAS handle: cublasSetStream on a handle that was destroyed");
}

TEST_F(CublasMisuse, EveryCallCanBePlannedToFailAndThenDoesNothing) {
  const DeviceArray<float> a(4), c(std::vector<float>(4, 7));
  cublasHandle_t other = nullptr;
  cudaStream_t stream = nullptr;
  cublasMath_t math;
  cublasAtomicsMode_t atomics;
  cublasPointerMode_t pointers;
  int number = 0;
  float *x = a.data(), *y = c.data();
  const std::map<std::string, std::function<cublasStatus_t()>> calls = {
      {"cublasCreate", [&] { return cublasCreate(&other); }},
      {"cublasDestroy", [&] { return cublasDestroy(blas_); }},
      {"cublasSetStream", [&] { return cublasSetStream(blas_, nullptr); }},
      {"cublasGetStream", [&] { return cublasGetStream(blas_, &stream); }},
      {"cublasSetWorkspace", [&] { return cublasSetWorkspace(blas_, nullptr, 0); }},
      {"cublasSetMathMode", [&] { return cublasSetMathMode(blas_, CUBLAS_DEFAULT_MATH); }},
      {"cublasGetMathMode", [&] { return cublasGetMathMode(blas_, &math); }},
      {"cublasSetAtomicsMode", [&] { return cublasSetAtomicsMode(blas_, CUBLAS_ATOMICS_ALLOWED); }},
      {"cublasGetAtomicsMode", [&] { return cublasGetAtomicsMode(blas_, &atomics); }},
      {"cublasSetPointerMode", [&] { return cublasSetPointerMode(blas_, CUBLAS_POINTER_MODE_DEVICE); }},
      {"cublasGetPointerMode", [&] { return cublasGetPointerMode(blas_, &pointers); }},
      {"cublasGetVersion", [&] { return cublasGetVersion(blas_, &number); }},
      {"cublasGetProperty", [&] { return cublasGetProperty(MAJOR_VERSION, &number); }},
      {"cublasSgemm", [&] { return multiply(x, x, y); }},
      {"cublasSgemmStridedBatched",
       [&] {
         return cublasSgemmStridedBatched(blas_, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &kOne, x, 1, 1, x, 1, 1, &kZero, y,
                                          1, 1, 2);
       }},
      {"cublasGemmEx",
       [&] {
         return cublasGemmEx(blas_, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, &kOne, x, CUDA_R_32F, 2, x, CUDA_R_32F, 2,
                             &kZero, y, CUDA_R_32F, 2, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
       }},
      {"cublasGemmStridedBatchedEx",
       [&] {
         return cublasGemmStridedBatchedEx(blas_, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &kOne, x, CUDA_R_32F, 1, 1, x,
                                           CUDA_R_32F, 1, 1, &kZero, y, CUDA_R_32F, 1, 1, 2, CUBLAS_COMPUTE_32F,
                                           CUBLAS_GEMM_DEFAULT);
       }},
  };
  for (const auto& [name, call] : calls) {
    control().fail_call(name.c_str(), 1, CUBLAS_STATUS_INTERNAL_ERROR);
    const Live before = control().live();
    EXPECT_EQ(call(), CUBLAS_STATUS_INTERNAL_ERROR) << name;
    EXPECT_EQ(control().live(), before) << name;
  }
  EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
  EXPECT_EQ(c.read(), std::vector<float>(4, 7));
  EXPECT_EQ(multiply(x, x, y), CUBLAS_STATUS_SUCCESS) << "its stream and pointer mode are as they were";
  EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
}

}  // namespace
}  // namespace pgram::emulation
