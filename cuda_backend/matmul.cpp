#include "cuda_backend/matmul.h"

#include "core/exec/arguments.h"
#include "cuda_backend/check.h"

namespace pgram {
namespace {

/// A row-major matrix, or the transpose of one.
struct Matrix {
  const float* data;
  int64_t stride;
  bool transposed = false;
};

/// c[rows, columns] = a[rows, inner] b[inner, columns] (+ c), row-major.
void multiply(const DispatchContext& context, float* c, const Matrix& a, const Matrix& b, int64_t rows, int64_t columns,
              int64_t inner, bool accumulate) {
  const float one = 1, beta = accumulate ? 1.0f : 0.0f;
  // Neither mode rounds the inputs (TF32); pedantic also keeps cuBLAS from choosing algorithms that reorder sums.
  PGRAM_CHECK(cublasSetMathMode(context.blas, context.deterministic ? CUBLAS_PEDANTIC_MATH : CUBLAS_DEFAULT_MATH));
  const auto operation = [](const Matrix& m) { return m.transposed ? CUBLAS_OP_T : CUBLAS_OP_N; };
  PGRAM_CHECK(cublasSgemm(context.blas, operation(b), operation(a), static_cast<int>(columns), static_cast<int>(rows),
                          static_cast<int>(inner), &one, b.data, static_cast<int>(b.stride), a.data,
                          static_cast<int>(a.stride), &beta, c, static_cast<int>(columns)));
}

}  // namespace

void matmul(const Launch& launch, const DispatchContext& context, cudaStream_t) {
  const int64_t n = rows(launch, 0), o = width(launch, 0), i = width(launch, 1);
  multiply(context, floats(launch, 0), {floats(launch, 1), i}, {floats(launch, 2), i, true}, n, o, i, false);
}

void matmul_dx(const Launch& launch, const DispatchContext& context, cudaStream_t stream) {
  const int64_t n = rows(launch, 1), o = width(launch, 1), i = width(launch, 0);
  const float* d = optional_floats(launch, 3);
  if (d && d != floats(launch, 0))
    PGRAM_CHECK(cudaMemcpyAsync(floats(launch, 0), d, launch.operands[0].bytes, cudaMemcpyDeviceToDevice, stream));
  multiply(context, floats(launch, 0), {floats(launch, 1), o}, {floats(launch, 2), i}, n, i, o, d != nullptr);
}

void matmul_dw(const Launch& launch, const DispatchContext& context, cudaStream_t) {
  const int64_t n = rows(launch, 1), o = width(launch, 1), i = width(launch, 2);
  multiply(context, floats(launch, 0), {floats(launch, 1), o, true}, {floats(launch, 2), i}, o, i, n, true);
}

}  // namespace pgram
