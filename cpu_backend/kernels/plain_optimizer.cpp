#include <cmath>

#include "core/exec/optimizer_fields.h"
#include "cpu_backend/kernels/plain.h"

namespace pgram::plain {

void sum_squares(const Launch& launch, const RankInfo& rank) {
  float* s = floats(launch, 0);
  const Tensor& gradients = launch.operands[1];
  double sum = s[0];
  for (size_t f = 0; f < gradients.record->fields.size(); ++f) {
    const float* g = field_data(gradients, f);
    const uint64_t n = gradients.record->fields[f].count();
    double squares = 0;
    for (uint64_t i = 0; i < n; ++i) squares += double{g[i]} * g[i];
    sum += norm_weight(gradients.record->fields[f], rank.tp_size) * squares;
  }
  s[0] = static_cast<float>(sum);
}

void clip(const Launch& launch, const RankInfo&) {
  float *scale = floats(launch, 0), *norm = floats(launch, 1);
  const float limit = launch.hyperparameters->clip_norm;
  norm[0] = std::sqrt(floats(launch, 2)[0]);
  scale[0] = limit > 0 ? std::fmin(1.0f, limit / (norm[0] + 1e-6f)) : 1.0f;
}

void adamw(const Launch& launch, const RankInfo&) {
  const Tensor &weights = launch.operands[0], &state = launch.operands[1], &gradients = launch.operands[2];
  const float scale = floats(launch, 3)[0];
  const AdamStep step = adam_step(launch);
  const size_t fields = weights.record->fields.size();
  for (size_t f = 0; f < fields; ++f) {
    float *w = field_data(weights, f), *m = field_data(state, f), *v = field_data(state, fields + f);
    const float* gradient = field_data(gradients, f);
    const float keep = step.keep(weights.record->fields[f]);
    const uint64_t n = weights.record->fields[f].count();
    for (uint64_t i = 0; i < n; ++i) {
      const float g = scale * gradient[i];
      m[i] = step.beta1 * m[i] + (1.0f - step.beta1) * g;
      v[i] = step.beta2 * v[i] + (1.0f - step.beta2) * g * g;
      w[i] = w[i] * keep - step.step * m[i] / (std::sqrt(v[i]) / step.root + step.epsilon);
    }
  }
}

void sgd(const Launch& launch, const RankInfo&) {
  const Tensor &weights = launch.operands[0], &gradients = launch.operands[1];
  const float factor = launch.hyperparameters->learning_rate * floats(launch, 2)[0];
  for (size_t f = 0; f < weights.record->fields.size(); ++f) {
    float* w = field_data(weights, f);
    const float* g = field_data(gradients, f);
    const uint64_t n = weights.record->fields[f].count();
    for (uint64_t i = 0; i < n; ++i) w[i] -= factor * g[i];
  }
}

}  // namespace pgram::plain
