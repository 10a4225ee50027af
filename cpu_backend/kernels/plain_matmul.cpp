#include "core/exec/arguments.h"
#include "cpu_backend/kernels/plain.h"

namespace pgram::plain {

void matmul(const Launch& launch, const RankInfo&) {
  float* y = floats(launch, 0);
  const float *x = floats(launch, 1), *w = floats(launch, 2);
  const int64_t o = width(launch, 0), i = width(launch, 1), n = rows(launch, 0);
  for (int64_t t = 0; t < n; ++t)
    for (int64_t r = 0; r < o; ++r) {
      float sum = 0;
      for (int64_t c = 0; c < i; ++c) sum += x[t * i + c] * w[r * i + c];
      y[t * o + r] = sum;
    }
}

void matmul_dx(const Launch& launch, const RankInfo&) {
  float* dx = floats(launch, 0);
  const float *dy = floats(launch, 1), *w = floats(launch, 2), *d = optional_floats(launch, 3);
  const int64_t o = width(launch, 1), i = width(launch, 0), n = rows(launch, 1);
  for (int64_t t = 0; t < n; ++t) {
    for (int64_t c = 0; c < i; ++c) dx[t * i + c] = d ? d[t * i + c] : 0.0f;
    for (int64_t r = 0; r < o; ++r)
      for (int64_t c = 0; c < i; ++c) dx[t * i + c] += dy[t * o + r] * w[r * i + c];
  }
}

void matmul_dw(const Launch& launch, const RankInfo&) {
  float* dw = floats(launch, 0);
  const float *dy = floats(launch, 1), *x = floats(launch, 2);
  const int64_t o = width(launch, 1), i = width(launch, 2), n = rows(launch, 1);
  for (int64_t t = 0; t < n; ++t)
    for (int64_t r = 0; r < o; ++r)
      for (int64_t c = 0; c < i; ++c) dw[r * i + c] += dy[t * o + r] * x[t * i + c];
}

void bias(const Launch& launch, const RankInfo&) {
  float* y = floats(launch, 0);
  const float *x = floats(launch, 1), *b = floats(launch, 2);
  const int64_t o = width(launch, 0), n = rows(launch, 0);
  for (int64_t t = 0; t < n; ++t)
    for (int64_t r = 0; r < o; ++r) y[t * o + r] = x[t * o + r] + b[r];
}

void bias_dw(const Launch& launch, const RankInfo&) {
  float* db = floats(launch, 0);
  const float* dy = floats(launch, 1);
  const int64_t o = width(launch, 1), n = rows(launch, 1);
  for (int64_t t = 0; t < n; ++t)
    for (int64_t r = 0; r < o; ++r) db[r] += dy[t * o + r];
}

}  // namespace pgram::plain
