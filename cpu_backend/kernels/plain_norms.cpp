#include <cmath>

#include "core/exec/arguments.h"
#include "cpu_backend/kernels/plain.h"

namespace pgram::plain {
namespace {

/// 1 / root mean square of x[h].
float reciprocal_rms(const float* x, int64_t h, float epsilon) {
  float sum = 0;
  for (int64_t i = 0; i < h; ++i) sum += x[i] * x[i];
  return 1.0f / std::sqrt(sum / static_cast<float>(h) + epsilon);
}

/// dx of y = x * rstd(x) * g: rstd * (g dy - xhat * mean(g dy xhat)) with xhat = x * rstd; `d` is added if not null.
void rms_norm_row_dx(float* dx, const float* dy, const float* x, const float* g, float rstd, const float* d,
                     int64_t h) {
  float mean = 0;
  for (int64_t i = 0; i < h; ++i) mean += g[i] * dy[i] * x[i] * rstd;
  mean /= static_cast<float>(h);
  for (int64_t i = 0; i < h; ++i) dx[i] = (d ? d[i] : 0.0f) + rstd * (g[i] * dy[i] - x[i] * rstd * mean);
}

}  // namespace

void rms_norm(const Launch& launch, const RankInfo&) {
  float *y = floats(launch, 0), *rstd = floats(launch, 1);
  const float *x = floats(launch, 2), *g = floats(launch, 3);
  const int64_t h = width(launch, 2), n = rows(launch, 2);
  for (int64_t t = 0; t < n; ++t) {
    rstd[t] = reciprocal_rms(x + t * h, h, launch.attributes->epsilon);
    for (int64_t i = 0; i < h; ++i) y[t * h + i] = x[t * h + i] * rstd[t] * g[i];
  }
}

void rms_norm_dx(const Launch& launch, const RankInfo&) {
  float* dx = floats(launch, 0);
  const float *dy = floats(launch, 1), *x = floats(launch, 2), *g = floats(launch, 3), *rstd = floats(launch, 4);
  const float* d = optional_floats(launch, 5);
  const int64_t h = width(launch, 2), n = rows(launch, 2);
  for (int64_t t = 0; t < n; ++t)
    rms_norm_row_dx(dx + t * h, dy + t * h, x + t * h, g, rstd[t], d ? d + t * h : nullptr, h);
}

void rms_norm_dw(const Launch& launch, const RankInfo&) {
  float* dg = floats(launch, 0);
  const float *dy = floats(launch, 1), *x = floats(launch, 2), *rstd = floats(launch, 3);
  const int64_t h = width(launch, 2), n = rows(launch, 2);
  for (int64_t i = 0; i < h; ++i) {
    float sum = 0;
    for (int64_t t = 0; t < n; ++t) sum += dy[t * h + i] * x[t * h + i] * rstd[t];
    dg[i] += sum;
  }
}

void layer_norm(const Launch& launch, const RankInfo&) {
  float *y = floats(launch, 0), *stats = floats(launch, 1);
  const float *x = floats(launch, 2), *g = floats(launch, 3), *b = floats(launch, 4);
  const int64_t h = width(launch, 2), n = rows(launch, 2);
  for (int64_t t = 0; t < n; ++t) {
    const float* row = x + t * h;
    float mean = 0, variance = 0;
    for (int64_t i = 0; i < h; ++i) mean += row[i];
    mean /= static_cast<float>(h);
    for (int64_t i = 0; i < h; ++i) variance += (row[i] - mean) * (row[i] - mean);
    const float rstd = 1.0f / std::sqrt(variance / static_cast<float>(h) + launch.attributes->epsilon);
    for (int64_t i = 0; i < h; ++i) y[t * h + i] = (row[i] - mean) * rstd * g[i] + b[i];
    stats[2 * t] = mean;
    stats[2 * t + 1] = rstd;
  }
}

/// dx = rstd * (g dy - mean(g dy) - xhat * mean(g dy xhat)) with xhat = (x - mean) * rstd.
void layer_norm_dx(const Launch& launch, const RankInfo&) {
  float* dx = floats(launch, 0);
  const float *dy = floats(launch, 1), *x = floats(launch, 2), *g = floats(launch, 3), *stats = floats(launch, 4);
  const float* d = optional_floats(launch, 5);
  const int64_t h = width(launch, 2), n = rows(launch, 2);
  for (int64_t t = 0; t < n; ++t) {
    const float mean = stats[2 * t], rstd = stats[2 * t + 1];
    float sum = 0, dot = 0;
    for (int64_t i = 0; i < h; ++i) {
      const float dxhat = g[i] * dy[t * h + i];
      sum += dxhat;
      dot += dxhat * (x[t * h + i] - mean) * rstd;
    }
    sum /= static_cast<float>(h);
    dot /= static_cast<float>(h);
    for (int64_t i = 0; i < h; ++i) {
      const float xhat = (x[t * h + i] - mean) * rstd;
      dx[t * h + i] = (d ? d[t * h + i] : 0.0f) + rstd * (g[i] * dy[t * h + i] - sum - xhat * dot);
    }
  }
}

void layer_norm_dw(const Launch& launch, const RankInfo&) {
  float *dg = floats(launch, 0), *db = floats(launch, 1);
  const float *dy = floats(launch, 2), *x = floats(launch, 3), *stats = floats(launch, 4);
  const int64_t h = width(launch, 3), n = rows(launch, 3);
  for (int64_t i = 0; i < h; ++i) {
    float g = 0, b = 0;
    for (int64_t t = 0; t < n; ++t) {
      g += dy[t * h + i] * (x[t * h + i] - stats[2 * t]) * stats[2 * t + 1];
      b += dy[t * h + i];
    }
    dg[i] += g;
    db[i] += b;
  }
}

void head_norm(const Launch& launch, const RankInfo&) {
  const HeadShape shape(*launch.attributes);
  const int64_t n = count(launch, 1) / shape.width(), d = shape.d, heads = shape.heads + 2 * shape.kv_heads;
  for (int64_t t = 0; t < n; ++t)
    for (int64_t head = 0; head < heads; ++head) {
      float* y = floats(launch, 0) + t * shape.width() + head * d;
      const float* x = floats(launch, 1) + t * shape.width() + head * d;
      const bool is_value = head >= shape.heads + shape.kv_heads;
      const float* g = floats(launch, head < shape.heads ? 2 : 3);
      const float rstd = is_value ? 1.0f : reciprocal_rms(x, d, launch.attributes->epsilon);
      for (int64_t i = 0; i < d; ++i) y[i] = is_value ? x[i] : x[i] * rstd * g[i];
    }
}

void head_norm_dx(const Launch& launch, const RankInfo&) {
  const HeadShape shape(*launch.attributes);
  const int64_t n = count(launch, 1) / shape.width(), d = shape.d, heads = shape.heads + 2 * shape.kv_heads;
  for (int64_t t = 0; t < n; ++t)
    for (int64_t head = 0; head < heads; ++head) {
      const int64_t at = t * shape.width() + head * d;
      float* dx = floats(launch, 0) + at;
      const float *dy = floats(launch, 1) + at, *x = floats(launch, 2) + at;
      if (head >= shape.heads + shape.kv_heads) {
        for (int64_t i = 0; i < d; ++i) dx[i] = dy[i];
        continue;
      }
      const float* g = floats(launch, head < shape.heads ? 3 : 4);
      rms_norm_row_dx(dx, dy, x, g, reciprocal_rms(x, d, launch.attributes->epsilon), nullptr, d);
    }
}

void head_norm_dw(const Launch& launch, const RankInfo&) {
  const HeadShape shape(*launch.attributes);
  const int64_t n = count(launch, 2) / shape.width(), d = shape.d;
  for (int64_t t = 0; t < n; ++t)
    for (int64_t head = 0; head < shape.heads + shape.kv_heads; ++head) {
      const int64_t at = t * shape.width() + head * d;
      float* dg = floats(launch, head < shape.heads ? 0 : 1);
      const float *dy = floats(launch, 2) + at, *x = floats(launch, 3) + at;
      const float rstd = reciprocal_rms(x, d, launch.attributes->epsilon);
      for (int64_t i = 0; i < d; ++i) dg[i] += dy[i] * x[i] * rstd;
    }
}

}  // namespace pgram::plain
