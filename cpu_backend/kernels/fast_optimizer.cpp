#include <cmath>
#include <vector>

#include "core/exec/optimizer_fields.h"
#include "cpu_backend/kernels/fast.h"
#include "cpu_backend/kernels/parallel.h"

namespace pgram::fast {
namespace {

constexpr int64_t kChunk = 32768;

PGRAM_CLONES double squares(const float* x, int64_t n) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += double{x[i]} * x[i];
  return sum;
}

PGRAM_CLONES void adamw_range(float* w, float* m, float* v, const float* gradient, float scale, float keep,
                              const AdamStep& s, int64_t n) {
  const float beta1 = s.beta1, beta2 = s.beta2, step = s.step, root = 1.0f / s.root, epsilon = s.epsilon;
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float g = scale * gradient[i];
    const float first = beta1 * m[i] + (1.0f - beta1) * g, second = beta2 * v[i] + (1.0f - beta2) * g * g;
    m[i] = first;
    v[i] = second;
    w[i] = w[i] * keep - step * first / (std::sqrt(second) * root + epsilon);
  }
}

PGRAM_CLONES void sgd_range(float* w, const float* g, float factor, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) w[i] -= factor * g[i];
}

}  // namespace

// Chunks, not threads, are summed up: the result does not depend on the number of threads.
void sum_squares(const Launch& launch, const RankInfo& rank) {
  static thread_local std::vector<double> partial;
  const Tensor& gradients = launch.operands[1];
  double sum = floats(launch, 0)[0];
  for (size_t f = 0; f < gradients.record->fields.size(); ++f) {
    const Field& field = gradients.record->fields[f];
    const double weight = norm_weight(field, rank.tp_size);
    if (weight == 0) continue;
    const float* g = field_data(gradients, f);
    const int64_t n = static_cast<int64_t>(field.count()), chunks = (n + kChunk - 1) / kChunk;
    if (static_cast<int64_t>(partial.size()) < chunks) partial.resize(chunks);
    double* sums = partial.data();
    parallel_for(chunks, 1, rank.threads, [&](int64_t begin, int64_t end) {
      for (int64_t c = begin; c < end; ++c) sums[c] = squares(g + c * kChunk, std::min(kChunk, n - c * kChunk));
    });
    double of_field = 0;
    for (int64_t c = 0; c < chunks; ++c) of_field += sums[c];
    sum += weight * of_field;
  }
  floats(launch, 0)[0] = static_cast<float>(sum);
}

void adamw(const Launch& launch, const RankInfo& rank) {
  const Tensor &weights = launch.operands[0], &state = launch.operands[1], &gradients = launch.operands[2];
  const float scale = floats(launch, 3)[0];
  const AdamStep step = adam_step(launch);
  const size_t fields = weights.record->fields.size();
  for (size_t f = 0; f < fields; ++f) {
    float *w = field_data(weights, f), *m = field_data(state, f), *v = field_data(state, fields + f);
    const float* g = field_data(gradients, f);
    const Field& field = weights.record->fields[f];
    parallel_for(static_cast<int64_t>(field.count()), kChunk, rank.threads, [&](int64_t begin, int64_t end) {
      adamw_range(w + begin, m + begin, v + begin, g + begin, scale, step.keep(field), step, end - begin);
    });
  }
}

void sgd(const Launch& launch, const RankInfo& rank) {
  const Tensor &weights = launch.operands[0], &gradients = launch.operands[1];
  const float factor = launch.hyperparameters->learning_rate * floats(launch, 2)[0];
  for (size_t f = 0; f < weights.record->fields.size(); ++f) {
    float* w = field_data(weights, f);
    const float* g = field_data(gradients, f);
    parallel_for(static_cast<int64_t>(weights.record->fields[f].count()), kChunk, rank.threads,
                 [&](int64_t begin, int64_t end) { sgd_range(w + begin, g + begin, factor, end - begin); });
  }
}

}  // namespace pgram::fast
