// How many parameters and FLOPs a shape has.
#include "core/model/model.h"

namespace pgram {

/// Elements of the matrices of one layer: what takes part in matrix products.
static uint64_t layer_matrix_elements(const Model& model) {
  const uint64_t hidden = model.hidden, query = uint64_t{model.heads} * model.head_dim;
  const uint64_t key = uint64_t{model.kv_heads} * model.head_dim;
  const uint64_t mlp_matrices = model.activation == Activation::swiglu ? 3 : 2;  // gate, up, down / up, down
  return hidden * (query + 2 * key) + query * hidden + mlp_matrices * hidden * model.ffn;
}

static uint64_t norm_parameters(const Model& model) {
  return model.norm == Norm::layer ? uint64_t{2} * model.hidden : model.hidden;  // weight and bias / weight
}

uint64_t layer_parameter_count(const Model& model) {
  uint64_t count = layer_matrix_elements(model) + 2 * norm_parameters(model);
  if (model.qkv_bias) count += (uint64_t{model.heads} + 2 * uint64_t{model.kv_heads}) * model.head_dim;
  if (model.projection_bias) count += model.hidden;
  if (model.mlp_bias) count += uint64_t{model.ffn} * (model.activation == Activation::swiglu ? 2 : 1) + model.hidden;
  if (model.qk_norm) count += 2 * uint64_t{model.head_dim};
  return count;
}

uint64_t parameter_count(const Model& model) {
  const uint64_t embedding = uint64_t{model.vocabulary} * model.hidden;
  const uint64_t positions = model.positions == Positions::learned ? uint64_t{model.max_positions} * model.hidden : 0;
  const uint64_t head = model.tied_embeddings ? 0 : embedding;
  return embedding + positions + model.layers * layer_parameter_count(model) + norm_parameters(model) + head;
}

double training_flops_per_token(const Model& model, uint64_t sequence) {
  const double matrices = static_cast<double>(model.layers) * static_cast<double>(layer_matrix_elements(model)) +
                          static_cast<double>(model.vocabulary) * model.hidden;
  const double attention = static_cast<double>(model.layers) * model.heads * model.head_dim;
  return 6 * matrices + 6 * attention * static_cast<double>(sequence);
}

}  // namespace pgram
