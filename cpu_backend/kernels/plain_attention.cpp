#include <algorithm>
#include <cmath>
#include <limits>

#include "core/exec/arguments.h"
#include "core/exec/rope_frequencies.h"
#include "cpu_backend/kernels/plain.h"

namespace pgram::plain {
namespace {

/// Rotates the pairs (j, j + rotary_dims/2) of every query and key head by direction * position * frequency.
void rotate(const Launch& launch, double direction) {
  const HeadShape shape(*launch.attributes);
  float* qkv = floats(launch, 0);
  const int64_t n = count(launch, 0) / shape.width(), half = launch.attributes->rotary_dims / 2;
  for (int64_t j = 0; j < half; ++j) {
    const double frequency = rope_frequency(*launch.attributes, j);
    for (int64_t t = 0; t < n; ++t) {
      const double angle = static_cast<double>(t % shape.sequence) * frequency;
      const float c = static_cast<float>(std::cos(angle)), s = static_cast<float>(direction * std::sin(angle));
      for (int64_t head = 0; head < shape.heads + shape.kv_heads; ++head) {
        float* x = qkv + t * shape.width() + head * shape.d;
        const float a = x[j], b = x[j + half];
        x[j] = a * c - b * s;
        x[j + half] = b * c + a * s;
      }
    }
  }
}

float dot(const float* a, const float* b, int64_t n) {
  float sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace

void rope(const Launch& launch, const RankInfo&) {
  rotate(launch, 1);
}
void rope_bwd(const Launch& launch, const RankInfo&) {
  rotate(launch, -1);
}

/// Online softmax (Milakov and Gimelshein 2018): the output so far is rescaled whenever a larger score appears.
void attention(const Launch& launch, const RankInfo&) {
  const HeadShape shape(*launch.attributes);
  float *out = floats(launch, 0), *lse = floats(launch, 1);
  const float* qkv = floats(launch, 2);
  const int64_t n = count(launch, 2) / shape.width(), d = shape.d;
  const float scale = 1.0f / std::sqrt(static_cast<float>(d));
  for (int64_t t = 0; t < n; ++t)
    for (int64_t head = 0; head < shape.heads; ++head) {
      const int64_t kv_head = head / shape.group(), first = t - t % shape.sequence;
      const float* q = qkv + t * shape.width() + head * d;
      float* o = out + (t * shape.heads + head) * d;
      float max = -std::numeric_limits<float>::infinity(), sum = 0;
      std::fill(o, o + d, 0.0f);
      for (int64_t s = first; s <= t; ++s) {
        const float *k = qkv + s * shape.width() + shape.key(kv_head),
                    *v = qkv + s * shape.width() + shape.value(kv_head);
        const float score = scale * dot(q, k, d), new_max = std::max(max, score);
        const float keep = std::exp(max - new_max), p = std::exp(score - new_max);
        for (int64_t i = 0; i < d; ++i) o[i] = o[i] * keep + p * v[i];
        sum = sum * keep + p;
        max = new_max;
      }
      for (int64_t i = 0; i < d; ++i) o[i] /= sum;
      lse[t * shape.heads + head] = max + std::log(sum);
    }
}

/// Probabilities again from lse; ds = p * (do.v - do.o) (Dao et al. 2022, FlashAttention, appendix B.2).
void attention_bwd(const Launch& launch, const RankInfo&) {
  const HeadShape shape(*launch.attributes);
  float* dqkv = floats(launch, 0);
  const float *dout = floats(launch, 1), *qkv = floats(launch, 2), *out = floats(launch, 3), *lse = floats(launch, 4);
  const int64_t n = count(launch, 2) / shape.width(), d = shape.d;
  const float scale = 1.0f / std::sqrt(static_cast<float>(d));
  std::fill(dqkv, dqkv + n * shape.width(), 0.0f);
  for (int64_t t = 0; t < n; ++t)
    for (int64_t head = 0; head < shape.heads; ++head) {
      const int64_t kv_head = head / shape.group(), first = t - t % shape.sequence;
      const float* q = qkv + t * shape.width() + head * d;
      float* dq = dqkv + t * shape.width() + head * d;
      const float* d_o = dout + (t * shape.heads + head) * d;
      const float row = dot(d_o, out + (t * shape.heads + head) * d, d);
      for (int64_t s = first; s <= t; ++s) {
        const int64_t key = s * shape.width() + shape.key(kv_head), value = s * shape.width() + shape.value(kv_head);
        const float p = std::exp(scale * dot(q, qkv + key, d) - lse[t * shape.heads + head]);
        const float ds = scale * p * (dot(d_o, qkv + value, d) - row);
        for (int64_t i = 0; i < d; ++i) {
          dq[i] += ds * qkv[key + i];
          dqkv[key + i] += ds * q[i];
          dqkv[value + i] += p * d_o[i];
        }
      }
    }
}

}  // namespace pgram::plain
