#include <limits>

#include "core/exec/arguments.h"
#include "cpu_backend/kernels/fast.h"
#include "cpu_backend/kernels/parallel.h"
#include "cpu_backend/kernels/vector_math.h"

namespace pgram::fast {
namespace {

PGRAM_CLONES float maximum(const float* x, int64_t n) {
  float top = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : top)
  for (int64_t i = 0; i < n; ++i) top = x[i] > top ? x[i] : top;
  return top;
}

PGRAM_CLONES float sum_exp(const float* x, float max, int64_t n) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += vector_exp(x[i] - max);
  return sum;
}

PGRAM_CLONES void scaled_exp(float* y, const float* x, float max, float factor, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = factor * vector_exp(x[i] - max);
}

}  // namespace

void ce_max(const Launch& launch, const RankInfo& rank) {
  const int64_t v = width(launch, 1);
  const VocabularyShard shard(v, launch.attributes->vocabulary, rank.tp_rank);
  parallel_for(rows(launch, 1), row_grain(v), rank.threads, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) floats(launch, 0)[t] = maximum(floats(launch, 1) + t * v, shard.real);
  });
}

void ce_sum(const Launch& launch, const RankInfo& rank) {
  float* stats = floats(launch, 0);
  const float *logits = floats(launch, 1), *max = floats(launch, 2);
  const int64_t v = width(launch, 1);
  const VocabularyShard shard(v, launch.attributes->vocabulary, rank.tp_rank);
  parallel_for(rows(launch, 1), row_grain(v), rank.threads, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const int64_t target = shard.local(integers(launch, 3)[t]);
      stats[2 * t] = sum_exp(logits + t * v, max[t], shard.real);
      stats[2 * t + 1] = target < 0 ? 0.0f : logits[t * v + target] - max[t];
    }
  });
}

void ce_bwd(const Launch& launch, const RankInfo& rank) {
  const float *logits = floats(launch, 1), *max = floats(launch, 2), *stats = floats(launch, 3);
  const int64_t v = width(launch, 1);
  const float scale = launch.attributes->scale;
  const VocabularyShard shard(v, launch.attributes->vocabulary, rank.tp_rank);
  parallel_for(rows(launch, 1), row_grain(v), rank.threads, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const float* row = logits + t * v;
      float* dlogits = floats(launch, 0) + t * v;
      const int64_t target = shard.local(integers(launch, 4)[t]);
      // dlogits may be logits: take the target's first. p - 1 before the scaling, or a sure model loses its last
      // digits.
      const float at_target = target < 0 ? 0.0f : scale * (vector_exp(row[target] - max[t]) / stats[2 * t] - 1.0f);
      scaled_exp(dlogits, row, max[t], scale / stats[2 * t], shard.real);
      std::fill(dlogits + shard.real, dlogits + v, 0.0f);
      if (target >= 0) dlogits[target] = at_target;
    }
  });
}

}  // namespace pgram::fast
