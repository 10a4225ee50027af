#include <cmath>
#include <cstring>

#include "core/exec/arguments.h"
#include "cpu_backend/kernels/fast.h"
#include "cpu_backend/kernels/parallel.h"

namespace pgram::fast {
namespace {

PGRAM_INLINE float reciprocal_rms(const float* x, int64_t h, float epsilon) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < h; ++i) sum += x[i] * x[i];
  return 1.0f / std::sqrt(sum / static_cast<float>(h) + epsilon);
}

PGRAM_INLINE void scale_row(float* y, const float* x, const float* g, float rstd, int64_t h) {
#pragma omp simd
  for (int64_t i = 0; i < h; ++i) y[i] = x[i] * rstd * g[i];
}

PGRAM_INLINE void rms_norm_row_dx(float* dx, const float* dy, const float* x, const float* g, float rstd,
                                  const float* d, int64_t h) {
  float dot = 0;
#pragma omp simd reduction(+ : dot)
  for (int64_t i = 0; i < h; ++i) dot += g[i] * dy[i] * x[i];
  const float factor = dot * rstd * rstd / static_cast<float>(h);
  if (d) {
#pragma omp simd
    for (int64_t i = 0; i < h; ++i) dx[i] = d[i] + rstd * (g[i] * dy[i] - x[i] * factor);
  } else {
#pragma omp simd
    for (int64_t i = 0; i < h; ++i) dx[i] = rstd * (g[i] * dy[i] - x[i] * factor);
  }
}

PGRAM_CLONES void rms_norm_rows(float* y, float* rstd, const float* x, const float* g, float epsilon, int64_t h,
                                int64_t n) {
  for (int64_t t = 0; t < n; ++t) {
    rstd[t] = reciprocal_rms(x + t * h, h, epsilon);
    scale_row(y + t * h, x + t * h, g, rstd[t], h);
  }
}

PGRAM_CLONES void rms_norm_rows_dx(float* dx, const float* dy, const float* x, const float* g, const float* rstd,
                                   const float* d, int64_t h, int64_t n) {
  for (int64_t t = 0; t < n; ++t)
    rms_norm_row_dx(dx + t * h, dy + t * h, x + t * h, g, rstd[t], d ? d + t * h : nullptr, h);
}

PGRAM_CLONES void layer_norm_rows(float* y, float* stats, const float* x, const float* g, const float* b, float epsilon,
                                  int64_t h, int64_t n) {
  for (int64_t t = 0; t < n; ++t) {
    const float* row = x + t * h;
    float* out = y + t * h;
    float mean = 0, variance = 0;
#pragma omp simd reduction(+ : mean)
    for (int64_t i = 0; i < h; ++i) mean += row[i];
    mean /= static_cast<float>(h);
#pragma omp simd reduction(+ : variance)
    for (int64_t i = 0; i < h; ++i) variance += (row[i] - mean) * (row[i] - mean);
    const float rstd = 1.0f / std::sqrt(variance / static_cast<float>(h) + epsilon);
#pragma omp simd
    for (int64_t i = 0; i < h; ++i) out[i] = (row[i] - mean) * rstd * g[i] + b[i];
    stats[2 * t] = mean;
    stats[2 * t + 1] = rstd;
  }
}

PGRAM_CLONES void layer_norm_rows_dx(float* dx, const float* dy, const float* x, const float* g, const float* stats,
                                     const float* d, int64_t h, int64_t n) {
  for (int64_t t = 0; t < n; ++t) {
    const float mean = stats[2 * t], rstd = stats[2 * t + 1];
    const float *dy_row = dy + t * h, *x_row = x + t * h, *d_row = d + t * h;
    float* out = dx + t * h;
    float sum = 0, dot = 0;
#pragma omp simd reduction(+ : sum, dot)
    for (int64_t i = 0; i < h; ++i) {
      const float dxhat = g[i] * dy_row[i];
      sum += dxhat;
      dot += dxhat * (x_row[i] - mean);
    }
    const float offset = sum / static_cast<float>(h), factor = dot * rstd * rstd / static_cast<float>(h);
    if (d) {
#pragma omp simd
      for (int64_t i = 0; i < h; ++i)
        out[i] = d_row[i] + rstd * (g[i] * dy_row[i] - offset - (x_row[i] - mean) * factor);
    } else {
#pragma omp simd
      for (int64_t i = 0; i < h; ++i) out[i] = rstd * (g[i] * dy_row[i] - offset - (x_row[i] - mean) * factor);
    }
  }
}

// Weight gradients are sums over tokens: threads share the columns, a block of columns at a time stays in registers and
// cache while the rows pass by.
constexpr int64_t kColumns = 128;

PGRAM_CLONES void rms_norm_columns_dw(float* dg, const float* dy, const float* x, const float* rstd, int64_t h,
                                      int64_t n, int64_t columns) {
  alignas(64) float sum[kColumns] = {};
  for (int64_t t = 0; t < n; ++t) {
    const float r = rstd[t];
#pragma omp simd
    for (int64_t i = 0; i < columns; ++i) sum[i] += dy[t * h + i] * x[t * h + i] * r;
  }
  for (int64_t i = 0; i < columns; ++i) dg[i] += sum[i];
}

PGRAM_CLONES void layer_norm_columns_dw(float* dg, float* db, const float* dy, const float* x, const float* stats,
                                        int64_t h, int64_t n, int64_t columns) {
  alignas(64) float g[kColumns] = {}, b[kColumns] = {};
  for (int64_t t = 0; t < n; ++t) {
    const float mean = stats[2 * t], rstd = stats[2 * t + 1];
#pragma omp simd
    for (int64_t i = 0; i < columns; ++i) {
      g[i] += dy[t * h + i] * (x[t * h + i] - mean) * rstd;
      b[i] += dy[t * h + i];
    }
  }
  for (int64_t i = 0; i < columns; ++i) dg[i] += g[i];
  for (int64_t i = 0; i < columns; ++i) db[i] += b[i];
}

PGRAM_CLONES void head_norm_rows(float* y, const float* x, const float* gq, const float* gk, const HeadShape& shape,
                                 float epsilon, int64_t n) {
  const int64_t d = shape.d, w = shape.width(), values = shape.value(0);
  for (int64_t t = 0; t < n; ++t) {
    for (int64_t at = 0; at < values; at += d)
      scale_row(y + t * w + at, x + t * w + at, at < shape.key(0) ? gq : gk, reciprocal_rms(x + t * w + at, d, epsilon),
                d);
    std::memcpy(y + t * w + values, x + t * w + values, (w - values) * sizeof(float));
  }
}

PGRAM_CLONES void head_norm_rows_dx(float* dx, const float* dy, const float* x, const float* gq, const float* gk,
                                    const HeadShape& shape, float epsilon, int64_t n) {
  const int64_t d = shape.d, w = shape.width(), values = shape.value(0);
  for (int64_t t = 0; t < n; ++t) {
    for (int64_t at = 0; at < values; at += d)
      rms_norm_row_dx(dx + t * w + at, dy + t * w + at, x + t * w + at, at < shape.key(0) ? gq : gk,
                      reciprocal_rms(x + t * w + at, d, epsilon), nullptr, d);
    std::memcpy(dx + t * w + values, dy + t * w + values, (w - values) * sizeof(float));
  }
}

/// Small (d numbers each): one thread.
PGRAM_CLONES void head_norm_rows_dw(float* dgq, float* dgk, const float* dy, const float* x, const HeadShape& shape,
                                    float epsilon, int64_t n) {
  const int64_t d = shape.d, w = shape.width();
  for (int64_t t = 0; t < n; ++t)
    for (int64_t at = 0; at < shape.value(0); at += d) {
      float* __restrict dg = at < shape.key(0) ? dgq : dgk;
      const float *dy_head = dy + t * w + at, *x_head = x + t * w + at;
      const float rstd = reciprocal_rms(x_head, d, epsilon);
#pragma omp simd
      for (int64_t i = 0; i < d; ++i) dg[i] += dy_head[i] * x_head[i] * rstd;
    }
}

}  // namespace

void rms_norm(const Launch& launch, const RankInfo& rank) {
  const int64_t h = width(launch, 2);
  parallel_for(rows(launch, 2), row_grain(h), rank.threads, [&](int64_t begin, int64_t end) {
    rms_norm_rows(floats(launch, 0) + begin * h, floats(launch, 1) + begin, floats(launch, 2) + begin * h,
                  floats(launch, 3), launch.attributes->epsilon, h, end - begin);
  });
}

void rms_norm_dx(const Launch& launch, const RankInfo& rank) {
  const int64_t h = width(launch, 2);
  const float* d = optional_floats(launch, 5);
  parallel_for(rows(launch, 2), row_grain(h), rank.threads, [&](int64_t begin, int64_t end) {
    rms_norm_rows_dx(floats(launch, 0) + begin * h, floats(launch, 1) + begin * h, floats(launch, 2) + begin * h,
                     floats(launch, 3), floats(launch, 4) + begin, d ? d + begin * h : nullptr, h, end - begin);
  });
}

void rms_norm_dw(const Launch& launch, const RankInfo& rank) {
  const int64_t h = width(launch, 2), n = rows(launch, 2);
  parallel_for(h, kColumns, rank.threads, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += kColumns)
      rms_norm_columns_dw(floats(launch, 0) + i, floats(launch, 1) + i, floats(launch, 2) + i, floats(launch, 3), h, n,
                          std::min(kColumns, end - i));
  });
}

void layer_norm(const Launch& launch, const RankInfo& rank) {
  const int64_t h = width(launch, 2);
  parallel_for(rows(launch, 2), row_grain(h), rank.threads, [&](int64_t begin, int64_t end) {
    layer_norm_rows(floats(launch, 0) + begin * h, floats(launch, 1) + 2 * begin, floats(launch, 2) + begin * h,
                    floats(launch, 3), floats(launch, 4), launch.attributes->epsilon, h, end - begin);
  });
}

void layer_norm_dx(const Launch& launch, const RankInfo& rank) {
  const int64_t h = width(launch, 2);
  const float* d = optional_floats(launch, 5);
  parallel_for(rows(launch, 2), row_grain(h), rank.threads, [&](int64_t begin, int64_t end) {
    layer_norm_rows_dx(floats(launch, 0) + begin * h, floats(launch, 1) + begin * h, floats(launch, 2) + begin * h,
                       floats(launch, 3), floats(launch, 4) + 2 * begin, d ? d + begin * h : nullptr, h, end - begin);
  });
}

void layer_norm_dw(const Launch& launch, const RankInfo& rank) {
  const int64_t h = width(launch, 3), n = rows(launch, 3);
  parallel_for(h, kColumns, rank.threads, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += kColumns)
      layer_norm_columns_dw(floats(launch, 0) + i, floats(launch, 1) + i, floats(launch, 2) + i, floats(launch, 3) + i,
                            floats(launch, 4), h, n, std::min(kColumns, end - i));
  });
}

void head_norm(const Launch& launch, const RankInfo& rank) {
  const HeadShape shape(*launch.attributes);
  const int64_t w = shape.width();
  parallel_for(count(launch, 1) / w, row_grain(w), rank.threads, [&](int64_t begin, int64_t end) {
    head_norm_rows(floats(launch, 0) + begin * w, floats(launch, 1) + begin * w, floats(launch, 2), floats(launch, 3),
                   shape, launch.attributes->epsilon, end - begin);
  });
}

void head_norm_dx(const Launch& launch, const RankInfo& rank) {
  const HeadShape shape(*launch.attributes);
  const int64_t w = shape.width();
  parallel_for(count(launch, 1) / w, row_grain(w), rank.threads, [&](int64_t begin, int64_t end) {
    head_norm_rows_dx(floats(launch, 0) + begin * w, floats(launch, 1) + begin * w, floats(launch, 2) + begin * w,
                      floats(launch, 3), floats(launch, 4), shape, launch.attributes->epsilon, end - begin);
  });
}

void head_norm_dw(const Launch& launch, const RankInfo&) {
  const HeadShape shape(*launch.attributes);
  head_norm_rows_dw(floats(launch, 0), floats(launch, 1), floats(launch, 2), floats(launch, 3), shape,
                    launch.attributes->epsilon, count(launch, 2) / shape.width());
}

}  // namespace pgram::fast
