#include <cmath>
#include <cstring>
#include <numbers>

#include "core/exec/arguments.h"
#include "core/model/model.h"
#include "cpu_backend/kernels/plain.h"

namespace pgram::plain {
namespace {

float sigmoid(float x) {
  return 1.0f / (1.0f + std::exp(-x));
}

// Hendrycks and Gimpel 2016: the tanh form is 0.5 x (1 + tanh(k (x + 0.044715 x^3))), k = sqrt(2/pi).
constexpr float kTanhScale = 0.7978845608f, kTanhCubic = 0.044715f;

float gelu_tanh(float x) {
  return 0.5f * x * (1.0f + std::tanh(kTanhScale * (x + kTanhCubic * x * x * x)));
}
float gelu_tanh_derivative(float x) {
  const float t = std::tanh(kTanhScale * (x + kTanhCubic * x * x * x));
  return 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * kTanhScale * (1.0f + 3.0f * kTanhCubic * x * x);
}
float normal_cdf(float x) {
  return 0.5f * std::erfc(-x * std::numbers::sqrt2_v<float> / 2);
}
float gelu_erf(float x) {
  return x * normal_cdf(x);
}
float gelu_erf_derivative(float x) {
  constexpr float kDensity = 0.3989422804f;  // 1 / sqrt(2 pi)
  return normal_cdf(x) + x * kDensity * std::exp(-0.5f * x * x);
}

bool uses_tanh(const Launch& launch) {
  return static_cast<Activation>(launch.attributes->activation) == Activation::gelu_tanh;
}

}  // namespace

void swiglu(const Launch& launch, const RankInfo&) {
  float* s = floats(launch, 0);
  const float* gu = floats(launch, 1);
  const int64_t f = width(launch, 0), n = rows(launch, 0);
  for (int64_t t = 0; t < n; ++t)
    for (int64_t i = 0; i < f; ++i) {
      const float gate = gu[t * 2 * f + i], up = gu[t * 2 * f + f + i];
      s[t * f + i] = gate * sigmoid(gate) * up;
    }
}

void swiglu_bwd(const Launch& launch, const RankInfo&) {
  float* dgu = floats(launch, 0);
  const float *ds = floats(launch, 1), *gu = floats(launch, 2);
  const int64_t f = width(launch, 1), n = rows(launch, 1);
  for (int64_t t = 0; t < n; ++t)
    for (int64_t i = 0; i < f; ++i) {
      const float gate = gu[t * 2 * f + i], up = gu[t * 2 * f + f + i], d = ds[t * f + i], s = sigmoid(gate);
      dgu[t * 2 * f + i] = d * up * s * (1.0f + gate * (1.0f - s));
      dgu[t * 2 * f + f + i] = d * gate * s;
    }
}

void gelu(const Launch& launch, const RankInfo&) {
  float* y = floats(launch, 0);
  const float* x = floats(launch, 1);
  const int64_t n = count(launch, 0);
  for (int64_t i = 0; i < n; ++i) y[i] = uses_tanh(launch) ? gelu_tanh(x[i]) : gelu_erf(x[i]);
}

void gelu_bwd(const Launch& launch, const RankInfo&) {
  float* dx = floats(launch, 0);
  const float *dy = floats(launch, 1), *x = floats(launch, 2);
  const int64_t n = count(launch, 0);
  for (int64_t i = 0; i < n; ++i)
    dx[i] = dy[i] * (uses_tanh(launch) ? gelu_tanh_derivative(x[i]) : gelu_erf_derivative(x[i]));
}

void add(const Launch& launch, const RankInfo&) {
  float* y = floats(launch, 0);
  const float *a = floats(launch, 1), *b = floats(launch, 2);
  const int64_t n = count(launch, 0);
  for (int64_t i = 0; i < n; ++i) y[i] = a[i] + b[i];
}

void zero(const Launch& launch, const RankInfo&) {
  std::memset(launch.operands[0].data, 0, launch.operands[0].bytes);
}

}  // namespace pgram::plain
