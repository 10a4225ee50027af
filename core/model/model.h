// Model: what is computed. A dense decoder-only transformer's shape; knows nothing of GPUs.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace pgram {

enum class Norm : uint8_t { rms, layer };
enum class Activation : uint8_t { swiglu, gelu_tanh, gelu_erf };
enum class Positions : uint8_t { rope, learned };

/// Llama 3.1's frequency scaling ("rope_type": "llama3"); factor 1 = none.
struct RopeScaling {
  float factor = 1, low_frequency_factor = 1, high_frequency_factor = 4;
  uint32_t original_positions = 0;
  bool operator==(const RopeScaling&) const = default;
};

struct Model {
  std::string name;    ///< "llama-3.1-8b"
  std::string kind;    ///< Hugging Face model_type: llama, mistral, qwen2, qwen3, gpt2, gpt_neox
  std::string source;  ///< where the numbers come from
  uint32_t layers = 0, hidden = 0, heads = 0, kv_heads = 0, head_dim = 0, ffn = 0, vocabulary = 0;
  uint32_t max_positions = 0;
  uint32_t sliding_window = 0;  ///< 0 = full causal attention
  Norm norm = Norm::rms;
  float norm_epsilon = 1e-5f;
  Activation activation = Activation::swiglu;
  Positions positions = Positions::rope;
  float rope_base = 10000;
  uint32_t rotary_dims = 0;  ///< leading dims of a head that are rotated (= head_dim but for gpt_neox); 0 if learned
  RopeScaling rope_scaling;
  bool qkv_bias = false, projection_bias = false;  ///< of attention: query, key, value / output projection
  bool mlp_bias = false;                           ///< of all matrices of the MLP
  bool qk_norm = false;                            ///< qwen3: RMS norm of each query and key head before the rotation
  bool tied_embeddings = false;                    ///< the head uses the embedding's matrix
  bool parallel_residual = false;                  ///< gpt_neox: y = x + attention(norm1(x)) + mlp(norm2(x))
  bool operator==(const Model&) const = default;
};

/// Trainable parameters of the whole model, tied matrices counted once.
uint64_t parameter_count(const Model&);
/// Parameters of one transformer layer.
uint64_t layer_parameter_count(const Model&);
/// FLOPs of one training step per token as MFU counts them: 6 per parameter that takes part in a matrix product
/// (embedding look-up excluded, head included) + causal attention 6*layers*heads*head_dim*sequence
/// (PaLM, arXiv:2204.02311 appendix B, halved for the causal mask; a sliding window is not taken off).
double training_flops_per_token(const Model&, uint64_t sequence);

/// Reads a Hugging Face config.json. Throws InputError with file and field for malformed files, unknown
/// architectures (by name) and sizes that are zero, negative or absurd. Missing optional fields get the values that
/// Hugging Face's loader gives them. Dropout is not modelled.
Model read_huggingface_config(const std::string& path);
Model parse_huggingface_config(const std::string& json_text, const std::string& file_name);

/// The library (models/shapes/*.json, config.json files with a "_pgram" object {"name", "source"}, beside the program,
/// see library_directory()) by name, or a path to a config.json or to a folder that holds one. InputError names the
/// nearest known model.
Model find_model(const std::string& name_or_path);
std::vector<Model> library_models();

}  // namespace pgram
