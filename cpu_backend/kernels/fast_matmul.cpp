#include <dnnl.h>
#include <omp.h>

#include <cstring>
#include <string>

#include "core/base/errors.h"
#include "core/exec/arguments.h"
#include "cpu_backend/kernels/fast.h"
#include "cpu_backend/kernels/parallel.h"

namespace pgram::fast {
namespace {

/// c[m,n] = op(a)[m,k] op(b)[k,n] + beta c, row-major; the leading dims follow from whether op transposes.
void product(char transpose_a, char transpose_b, int64_t m, int64_t n, int64_t k, const float* a, const float* b,
             float beta, float* c, int threads) {
  omp_set_num_threads(threads);  // of regions that this thread opens: oneDNN takes its team from here
  const dnnl_status_t status = dnnl_sgemm(transpose_a, transpose_b, m, n, k, 1.0f, a, transpose_a == 'T' ? m : k, b,
                                          transpose_b == 'T' ? k : n, beta, c, n);
  if (status != dnnl_success)
    throw RunError("oneDNN refused a matrix product of " + std::to_string(m) + "x" + std::to_string(n) + "x" +
                   std::to_string(k) + " (status " + std::to_string(status) + ")");
}

PGRAM_CLONES void bias_rows(float* y, const float* x, const float* b, int64_t o, int64_t n) {
  for (int64_t t = 0; t < n; ++t) {
    float* y_row = y + t * o;
    const float* x_row = x + t * o;
#pragma omp simd
    for (int64_t i = 0; i < o; ++i) y_row[i] = x_row[i] + b[i];
  }
}

constexpr int64_t kColumns = 128;

PGRAM_CLONES void bias_columns_dw(float* db, const float* dy, int64_t o, int64_t n, int64_t columns) {
  alignas(64) float sum[kColumns] = {};
  for (int64_t t = 0; t < n; ++t) {
#pragma omp simd
    for (int64_t i = 0; i < columns; ++i) sum[i] += dy[t * o + i];
  }
  for (int64_t i = 0; i < columns; ++i) db[i] += sum[i];
}

}  // namespace

void matmul(const Launch& launch, const RankInfo& rank) {
  const int64_t o = width(launch, 0), i = width(launch, 1), n = rows(launch, 0);
  product('N', 'T', n, o, i, floats(launch, 1), floats(launch, 2), 0.0f, floats(launch, 0), rank.threads);
}

void matmul_dx(const Launch& launch, const RankInfo& rank) {
  const int64_t o = width(launch, 1), i = width(launch, 0), n = rows(launch, 1);
  float* dx = floats(launch, 0);
  const float* d = optional_floats(launch, 3);
  if (d && d != dx) std::memcpy(dx, d, n * i * sizeof(float));
  product('N', 'N', n, i, o, floats(launch, 1), floats(launch, 2), d ? 1.0f : 0.0f, dx, rank.threads);
}

void matmul_dw(const Launch& launch, const RankInfo& rank) {
  const int64_t o = width(launch, 1), i = width(launch, 2), n = rows(launch, 1);
  product('T', 'N', o, i, n, floats(launch, 1), floats(launch, 2), 1.0f, floats(launch, 0), rank.threads);
}

void bias(const Launch& launch, const RankInfo& rank) {
  const int64_t o = width(launch, 0);
  parallel_for(rows(launch, 0), row_grain(o), rank.threads, [&](int64_t begin, int64_t end) {
    bias_rows(floats(launch, 0) + begin * o, floats(launch, 1) + begin * o, floats(launch, 2), o, end - begin);
  });
}

void bias_dw(const Launch& launch, const RankInfo& rank) {
  const int64_t o = width(launch, 1), n = rows(launch, 1);
  parallel_for(o, kColumns, rank.threads, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += kColumns)
      bias_columns_dw(floats(launch, 0) + i, floats(launch, 1) + i, o, n, std::min(kColumns, end - i));
  });
}

}  // namespace pgram::fast
