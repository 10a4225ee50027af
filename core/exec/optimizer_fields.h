// Walks the fields of an optimizer step: parameter, gradient and state records list the same tensors in the same
// order, each record with its own offsets.
#pragma once
#include "core/exec/arguments.h"

namespace pgram {

inline float* field_data(const Tensor& tensor, size_t field) {
  return reinterpret_cast<float*>(tensor.data + tensor.record->fields[field].offset);
}

/// How much of a field's squares this rank adds to the gradient norm: ranks that hold equal copies share the count,
/// so that the sum over tp and pp counts every parameter once.
inline double norm_weight(const Field& field, uint32_t tp_size) {
  if (field.duplicate) return 0;
  return field.shard_axes & kTp ? 1.0 : 1.0 / tp_size;
}

/// AdamW's step as numbers (Loshchilov and Hutter 2019; PyTorch's order of operations):
/// w *= keep; m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2; w -= step m / (sqrt(v) / root + epsilon).
struct AdamStep {
  float beta1, beta2, epsilon, step, root;
  float keep(const Field& field) const { return field.num_dims == 2 ? decayed : 1.0f; }
  float decayed;  ///< matrices only: norms and biases are not decayed
};
AdamStep adam_step(const Launch&);

}  // namespace pgram
