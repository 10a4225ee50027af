#include "core/exec/arguments.h"
#include "core/model/model.h"
#include "cpu_backend/kernels/fast.h"
#include "cpu_backend/kernels/parallel.h"
#include "cpu_backend/kernels/vector_math.h"

namespace pgram::fast {
namespace {

constexpr int64_t kGrain = 16384;

PGRAM_CLONES void swiglu_row(float* s, const float* gate, const float* up, int64_t f) {
#pragma omp simd
  for (int64_t i = 0; i < f; ++i) s[i] = gate[i] * vector_sigmoid(gate[i]) * up[i];
}

PGRAM_CLONES void swiglu_row_bwd(float* dgate, float* dup, const float* ds, const float* gate, const float* up,
                                 int64_t f) {
#pragma omp simd
  for (int64_t i = 0; i < f; ++i) {
    const float g = gate[i], u = up[i], d = ds[i], s = vector_sigmoid(g);
    dgate[i] = d * u * s * (1.0f + g * (1.0f - s));
    dup[i] = d * g * s;
  }
}

// 0.5 x (1 + tanh(k (x + 0.044715 x^3))), k = sqrt(2/pi), and 0.5 (1 + tanh(u)) = sigmoid(2 u).
constexpr float kTwoTanhScale = 1.5957691216f, kTanhCubic = 0.044715f;

PGRAM_CLONES void gelu_tanh_range(float* y, const float* x, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float v = x[i];
    y[i] = v * vector_sigmoid(kTwoTanhScale * (v + kTanhCubic * v * v * v));
  }
}

PGRAM_CLONES void gelu_tanh_range_bwd(float* dx, const float* dy, const float* x, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float v = x[i], s = vector_sigmoid(kTwoTanhScale * (v + kTanhCubic * v * v * v));
    dx[i] = dy[i] * (s + v * s * (1.0f - s) * kTwoTanhScale * (1.0f + 3.0f * kTanhCubic * v * v));
  }
}

PGRAM_CLONES void gelu_erf_range(float* y, const float* x, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = x[i] * vector_normal_cdf(x[i]);
}

PGRAM_CLONES void gelu_erf_range_bwd(float* dx, const float* dy, const float* x, int64_t n) {
  constexpr float kDensity = 0.3989422804f;  // 1 / sqrt(2 pi)
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float v = x[i];
    dx[i] = dy[i] * (vector_normal_cdf(v) + v * kDensity * vector_exp(-0.5f * v * v));
  }
}

PGRAM_CLONES void sum_range(float* y, const float* a, const float* b, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = a[i] + b[i];
}

bool uses_tanh(const Launch& launch) {
  return static_cast<Activation>(launch.attributes->activation) == Activation::gelu_tanh;
}

}  // namespace

void swiglu(const Launch& launch, const RankInfo& rank) {
  const int64_t f = width(launch, 0);
  parallel_for(rows(launch, 0), row_grain(f), rank.threads, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const float* gate = floats(launch, 1) + t * 2 * f;
      swiglu_row(floats(launch, 0) + t * f, gate, gate + f, f);
    }
  });
}

void swiglu_bwd(const Launch& launch, const RankInfo& rank) {
  const int64_t f = width(launch, 1);
  parallel_for(rows(launch, 1), row_grain(f), rank.threads, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      float* dgate = floats(launch, 0) + t * 2 * f;
      const float* gate = floats(launch, 2) + t * 2 * f;
      swiglu_row_bwd(dgate, dgate + f, floats(launch, 1) + t * f, gate, gate + f, f);
    }
  });
}

void gelu(const Launch& launch, const RankInfo& rank) {
  const auto range = uses_tanh(launch) ? gelu_tanh_range : gelu_erf_range;
  parallel_for(count(launch, 0), kGrain, rank.threads, [&](int64_t begin, int64_t end) {
    range(floats(launch, 0) + begin, floats(launch, 1) + begin, end - begin);
  });
}

void gelu_bwd(const Launch& launch, const RankInfo& rank) {
  const auto range = uses_tanh(launch) ? gelu_tanh_range_bwd : gelu_erf_range_bwd;
  parallel_for(count(launch, 0), kGrain, rank.threads, [&](int64_t begin, int64_t end) {
    range(floats(launch, 0) + begin, floats(launch, 1) + begin, floats(launch, 2) + begin, end - begin);
  });
}

void add(const Launch& launch, const RankInfo& rank) {
  parallel_for(count(launch, 0), kGrain, rank.threads, [&](int64_t begin, int64_t end) {
    sum_range(floats(launch, 0) + begin, floats(launch, 1) + begin, floats(launch, 2) + begin, end - begin);
  });
}

}  // namespace pgram::fast
