#include "core/exec/optimizer_fields.h"

#include <cmath>

namespace pgram {

AdamStep adam_step(const Launch& launch) {
  const Hyperparameters& h = *launch.hyperparameters;
  const double t = static_cast<double>(launch.step) + 1;
  AdamStep step;
  step.beta1 = h.beta1;
  step.beta2 = h.beta2;
  step.epsilon = h.epsilon;
  step.step = static_cast<float>(h.learning_rate / (1 - std::pow(double{h.beta1}, t)));
  step.root = static_cast<float>(std::sqrt(1 - std::pow(double{h.beta2}, t)));
  step.decayed = 1.0f - h.learning_rate * h.weight_decay;
  return step;
}

}  // namespace pgram
