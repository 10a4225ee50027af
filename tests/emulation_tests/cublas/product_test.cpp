// Matrix products of the stand-in cuBLAS against plain loops.
#include <cublas_v2.h>
#include <cuda_bf16.h>

#include <cmath>

#include "tests/emulation_tests/device_array.h"

namespace pgram::emulation {
namespace {

constexpr int kM = 3, kN = 4, kK = 5;
constexpr int kPad = 2;  // rows between columns that belong to nobody

struct Handle {
  cublasHandle_t blas = nullptr;
  cudaStream_t stream = nullptr;
  Handle() {
    EXPECT_EQ(cublasCreate(&blas), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
    EXPECT_EQ(cublasSetStream(blas, stream), CUBLAS_STATUS_SUCCESS);
  }
  ~Handle() {
    EXPECT_EQ(cublasDestroy(blas), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
  }
  void synchronize() const { EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess); }
};

/// Small integers, so that every sum is exact in fp32, and the operands in bf16.
float value(int i) {
  return float((5 * i + 3) % 13 - 6);
}

/// `count` column-major matrices, one behind the other; the padding is NaN.
struct Matrices {
  int rows, columns, ld, count;
  std::vector<float> values;
  Matrices(int r, int c, int n, int seed)
      : rows(r), columns(c), ld(r + kPad), count(n), values(size_t(ld * c * n), NAN) {
    for (int i = 0; i < n; ++i) {
      for (int column = 0; column < c; ++column) {
        for (int row = 0; row < r; ++row) at(i, row, column) = value(seed++);
      }
    }
  }
  int stride() const { return ld * columns; }
  float& at(int i, int row, int column) { return values[size_t(i * stride() + column * ld + row)]; }
  float get(int i, int row, int column, cublasOperation_t op) {
    return op == CUBLAS_OP_N ? at(i, row, column) : at(i, column, row);
  }
};

Matrices operand(int rows, int columns, int count, cublasOperation_t op, int seed) {
  return op == CUBLAS_OP_N ? Matrices(rows, columns, count, seed) : Matrices(columns, rows, count, seed);
}

void multiply(Matrices& a, cublasOperation_t op_a, Matrices& b, cublasOperation_t op_b, Matrices& c, float alpha,
              float beta) {
  for (int i = 0; i < c.count; ++i) {
    for (int row = 0; row < kM; ++row) {
      for (int column = 0; column < kN; ++column) {
        float sum = 0;
        for (int k = 0; k < kK; ++k) sum += a.get(i, row, k, op_a) * b.get(i, k, column, op_b);
        float& out = c.at(i, row, column);
        out = alpha * sum + (beta == 0 ? 0 : beta * out);
      }
    }
  }
}

/// Elements are equal, and padding is as it was.
void expect_equal(const std::vector<float>& got, const std::vector<float>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_TRUE(std::isnan(expected[i]) ? std::isnan(got[i]) : got[i] == expected[i]) << i << ": " << got[i];
  }
}

std::vector<__nv_bfloat16> to_bf16(const std::vector<float>& values) {
  std::vector<__nv_bfloat16> out;
  for (const float v : values) out.push_back(__float2bfloat16(v));
  return out;
}

std::vector<float> to_floats(const std::vector<__nv_bfloat16>& values) {
  std::vector<float> out;
  for (const __nv_bfloat16 v : values) out.push_back(__bfloat162float(v));
  return out;
}

class Cublas : public StandIn {};

TEST_F(Cublas, SgemmForEveryTranspositionAndScalar) {
  const Handle h;
  for (const cublasOperation_t op_a : {CUBLAS_OP_N, CUBLAS_OP_T}) {
    for (const cublasOperation_t op_b : {CUBLAS_OP_N, CUBLAS_OP_T}) {
      for (const float beta : {0.0f, 1.0f, -2.0f}) {
        const float alpha = 3;
        Matrices a = operand(kM, kK, 1, op_a, 1), b = operand(kK, kN, 1, op_b, 2), c(kM, kN, 1, 3);
        const DeviceArray<float> da(a.values), db(b.values), dc(c.values);
        EXPECT_EQ(cublasSgemm(h.blas, op_a, op_b, kM, kN, kK, &alpha, da.data(), a.ld, db.data(), b.ld, &beta,
                              dc.data(), c.ld),
                  CUBLAS_STATUS_SUCCESS);
        h.synchronize();
        multiply(a, op_a, b, op_b, c, alpha, beta);
        expect_equal(dc.read(), c.values);
      }
    }
  }
}

TEST_F(Cublas, StridedBatches) {
  const Handle h;
  const float alpha = 1, beta = 0;
  Matrices a = operand(kM, kK, 3, CUBLAS_OP_T, 1), b = operand(kK, kN, 3, CUBLAS_OP_N, 2), c(kM, kN, 3, 3);
  const DeviceArray<float> da(a.values), db(b.values), dc(c.values);
  EXPECT_EQ(cublasSgemmStridedBatched(h.blas, CUBLAS_OP_T, CUBLAS_OP_N, kM, kN, kK, &alpha, da.data(), a.ld, a.stride(),
                                      db.data(), b.ld, b.stride(), &beta, dc.data(), c.ld, c.stride(), 3),
            CUBLAS_STATUS_SUCCESS);
  h.synchronize();
  multiply(a, CUBLAS_OP_T, b, CUBLAS_OP_N, c, alpha, beta);
  expect_equal(dc.read(), c.values);
}

// With beta 0 what C held must not matter, not even NaN.
TEST_F(Cublas, BetaZeroDoesNotReadC) {
  const Handle h;
  const float alpha = 1, beta = 0;
  const DeviceArray<float> a(std::vector<float>{2}), b(std::vector<float>{3}), c(std::vector<float>{NAN});
  EXPECT_EQ(
      cublasSgemm(h.blas, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &alpha, a.data(), 1, b.data(), 1, &beta, c.data(), 1),
      CUBLAS_STATUS_SUCCESS);
  h.synchronize();
  EXPECT_EQ(c.read()[0], 6);
}

TEST_F(Cublas, Bf16WithFp32Within) {
  const Handle h;
  const float alpha = 1, beta = 1;
  Matrices a = operand(kM, kK, 2, CUBLAS_OP_N, 1), b = operand(kK, kN, 2, CUBLAS_OP_T, 2), c(kM, kN, 2, 3);
  const DeviceArray<__nv_bfloat16> da(to_bf16(a.values)), db(to_bf16(b.values)), dc16(to_bf16(c.values));
  const DeviceArray<float> dc32(c.values);
  const auto run = [&](void* out, cudaDataType type) {
    EXPECT_EQ(cublasGemmStridedBatchedEx(h.blas, CUBLAS_OP_N, CUBLAS_OP_T, kM, kN, kK, &alpha, da.data(), CUDA_R_16BF,
                                         a.ld, a.stride(), db.data(), CUDA_R_16BF, b.ld, b.stride(), &beta, out, type,
                                         c.ld, c.stride(), 2, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
              CUBLAS_STATUS_SUCCESS);
  };
  run(dc32.data(), CUDA_R_32F);
  run(dc16.data(), CUDA_R_16BF);
  h.synchronize();
  multiply(a, CUBLAS_OP_N, b, CUBLAS_OP_T, c, alpha, beta);
  expect_equal(dc32.read(), c.values);
  // Sums of five products up to 36 are below 256, where bf16 is exact.
  expect_equal(to_floats(dc16.read()), c.values);
}

// 256 + 1 is 257 in fp32, and 256 once rounded to bf16, to even; 256 + 3 is 260.
TEST_F(Cublas, Bf16IsRoundedOnceAtTheEnd) {
  const Handle h;
  const float alpha = 1, beta = 0;
  const DeviceArray<__nv_bfloat16> a(to_bf16({256, 1, 1, 1})), b(to_bf16({1, 1, 1, 1})), c(1);
  const auto sum = [&](int k) {
    EXPECT_EQ(cublasGemmEx(h.blas, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, k, &alpha, a.data(), CUDA_R_16BF, 1, b.data(),
                           CUDA_R_16BF, k, &beta, c.data(), CUDA_R_16BF, 1, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
              CUBLAS_STATUS_SUCCESS);
    h.synchronize();
    return to_floats(c.read())[0];
  };
  EXPECT_EQ(sum(2), 256);
  EXPECT_EQ(sum(4), 260);
}

TEST_F(Cublas, ScalarsInDeviceMemory) {
  const Handle h;
  const DeviceArray<float> scalars(std::vector<float>{2, 10}), a(std::vector<float>{3}), c(std::vector<float>{1});
  const DeviceArray<float> b(std::vector<float>{5});
  EXPECT_EQ(cublasSetPointerMode(h.blas, CUBLAS_POINTER_MODE_DEVICE), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(cublasSgemm(h.blas, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, scalars.data(), a.data(), 1, b.data(), 1,
                        scalars.data() + 1, c.data(), 1),
            CUBLAS_STATUS_SUCCESS);
  h.synchronize();
  EXPECT_EQ(c.read()[0], 40);  // 2 * 15 + 10 * 1
}

TEST_F(Cublas, ProductsOfNothing) {
  const Handle h;
  const float alpha = 1, beta = 2;
  const DeviceArray<float> c(std::vector<float>{7});
  EXPECT_EQ(cublasSgemm(h.blas, CUBLAS_OP_N, CUBLAS_OP_N, 0, 1, 1, &alpha, nullptr, 1, nullptr, 1, &beta, nullptr, 1),
            CUBLAS_STATUS_SUCCESS);
  // k = 0: C is only scaled.
  EXPECT_EQ(cublasSgemm(h.blas, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 0, &alpha, nullptr, 1, nullptr, 1, &beta, c.data(), 1),
            CUBLAS_STATUS_SUCCESS);
  h.synchronize();
  EXPECT_EQ(c.read()[0], 14);
}

TEST_F(Cublas, KeepsWhatIsSet) {
  const Handle h;
  cudaStream_t stream = nullptr;
  EXPECT_EQ(cublasGetStream(h.blas, &stream), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(stream, h.stream);
  cublasMath_t math = CUBLAS_TF32_TENSOR_OP_MATH;
  EXPECT_EQ(cublasGetMathMode(h.blas, &math), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(math, CUBLAS_DEFAULT_MATH);
  EXPECT_EQ(cublasSetMathMode(h.blas, CUBLAS_PEDANTIC_MATH), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(cublasGetMathMode(h.blas, &math), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(math, CUBLAS_PEDANTIC_MATH);
  cublasAtomicsMode_t atomics = CUBLAS_ATOMICS_ALLOWED;
  EXPECT_EQ(cublasGetAtomicsMode(h.blas, &atomics), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(atomics, CUBLAS_ATOMICS_NOT_ALLOWED);
  EXPECT_EQ(cublasSetAtomicsMode(h.blas, CUBLAS_ATOMICS_ALLOWED), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(cublasGetAtomicsMode(h.blas, &atomics), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(atomics, CUBLAS_ATOMICS_ALLOWED);
  int version = 0;
  EXPECT_EQ(cublasGetVersion(h.blas, &version), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(version, CUBLAS_VERSION);
  EXPECT_STREQ(cublasGetStatusName(CUBLAS_STATUS_NOT_SUPPORTED), "CUBLAS_STATUS_NOT_SUPPORTED");
  EXPECT_STREQ(cublasGetStatusString(CUBLAS_STATUS_ALLOC_FAILED), "the resource allocation failed");
}

}  // namespace
}  // namespace pgram::emulation
