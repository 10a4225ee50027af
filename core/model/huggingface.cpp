// Hugging Face config.json -> Model. Absent optional fields get the defaults of the kind's configuration class in
// Hugging Face transformers; an architecture or option that we would compute wrongly is refused by name.
#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/base/errors.h"
#include "core/base/json_reader.h"
#include "core/base/units.h"
#include "core/model/model.h"

namespace pgram {
namespace {

// Wide enough for a hundred times today's largest models, small enough that no product of sizes overflows.
constexpr uint32_t kMaxLayers = 10'000, kMaxHidden = 1'000'000, kMaxHeads = 10'000, kMaxHeadDim = 4096;
constexpr uint32_t kMaxFfn = 10'000'000, kMaxVocabulary = 100'000'000, kMaxPositions = 100'000'000;
constexpr uint64_t kMaxParameters = 1'000'000'000'000'000;
constexpr uint64_t kMaxConfigBytes = uint64_t{16} << 20;

/// What the configuration classes of the llama-like kinds assume where a file is silent; 0 = from other fields.
struct LlamaLike {
  const char* kind;
  uint32_t kv_heads;        // 0 = as many as heads
  uint32_t head_dim;        // 0 = hidden / heads
  uint32_t sliding_window;  // of every layer
  bool qkv_bias, qk_norm;   // fixed by the architecture
  bool reads_attention_bias, reads_mlp_bias;
  bool window_needs_switch;  // "use_sliding_window", false by default
};
constexpr std::array kLlamaLikes{
    LlamaLike{"llama", 0, 0, 0, false, false, true, true, false},
    LlamaLike{"mistral", 8, 0, 4096, false, false, false, false, false},
    LlamaLike{"qwen2", 32, 0, 0, true, false, false, false, true},
    LlamaLike{"qwen3", 32, 128, 0, false, true, true, false, true},
};
constexpr const char* kSupported = "llama, mistral, qwen2, qwen3, gpt2 and gpt_neox";

/// Why a known architecture is not a dense decoder of our kinds; empty when we know nothing about it.
std::string why_unsupported(const std::string& kind) {
  constexpr std::array kExperts{"mixtral", "deepseek_v2", "deepseek_v3", "dbrx", "gpt_oss", "llama4", "grok"};
  const auto starts = [&](const char* prefix) { return kind.starts_with(prefix); };
  if (kind.find("moe") != std::string::npos || std::any_of(kExperts.begin(), kExperts.end(), starts))
    return "mixture of experts";
  if (starts("gemma")) return "scaled embeddings and a GeGLU MLP";
  if (starts("mamba") || starts("rwkv") || starts("jamba") || starts("falcon_mamba")) return "recurrent layers";
  if (starts("bert") || starts("roberta") || starts("distilbert") || starts("deberta")) return "an encoder";
  if (starts("t5") || starts("mt5") || starts("bart") || starts("whisper")) return "an encoder and a decoder";
  return "";
}

[[noreturn]] void refuse_kind(const JsonObject& config, const std::string& kind) {
  const std::string why = why_unsupported(kind);
  config.fail("model_type", "architecture " + json_quoted(kind) + " is not supported" +
                                (why.empty() ? "" : ": " + why) + "; supported are " + kSupported);
}

/// Hugging Face's names of activations for our two forms of GELU.
Activation read_gelu(const JsonObject& config, const std::string& key, const std::string& fallback) {
  const std::string name = config.string_or(key, fallback);
  if (name == "gelu") return Activation::gelu_erf;
  if (name == "gelu_new" || name == "gelu_fast" || name == "gelu_pytorch_tanh") return Activation::gelu_tanh;
  config.fail(key, "activation " + json_quoted(name) +
                       " is not supported; supported are gelu, gelu_new, gelu_fast and "
                       "gelu_pytorch_tanh");
}

float read_epsilon(const JsonObject& config, const std::string& key, double fallback) {
  return static_cast<float>(config.number_or(key, 1e-12, 0.1, fallback));
}

/// hidden / heads, refused when it is not whole.
uint32_t even_share(const JsonObject& config, const Model& model, const std::string& hidden_key,
                    const std::string& heads_key) {
  if (model.hidden % model.heads != 0)
    config.fail(heads_key,
                format_count(model.heads) + " heads do not divide " + hidden_key + " " + format_count(model.hidden));
  const uint32_t share = model.hidden / model.heads;
  if (share > kMaxHeadDim)
    config.fail(heads_key, "expected at most " + format_count(kMaxHeadDim) + " dimensions per head, " + hidden_key +
                               " " + format_count(model.hidden) + " over " + format_count(model.heads) +
                               " heads gives " + format_count(share));
  return share;
}

/// "rope_theta" and "rope_scaling" of a config, or both inside "rope_parameters" as newer files have them.
void read_rope(const JsonObject& config, const std::string& base_key, Model& model) {
  constexpr double kLargestBase = 1e15;
  model.rope_base = static_cast<float>(config.number_or(base_key, 1, kLargestBase, 10000));
  std::optional<JsonObject> scaling;
  if (config.has("rope_scaling")) scaling = config.object("rope_scaling");
  if (config.has("rope_parameters")) {
    scaling = config.object("rope_parameters");
    model.rope_base = static_cast<float>(scaling->number_or("rope_theta", 1, kLargestBase, model.rope_base));
  }
  if (!scaling) return;
  const std::string type_key = scaling->has("rope_type") ? "rope_type" : "type";
  const std::string type = scaling->string_or(type_key, "default");
  if (type == "default") return;
  if (type != "llama3")
    scaling->fail(type_key,
                  "rope scaling " + json_quoted(type) + " is not supported; supported are default and llama3");
  RopeScaling& rope = model.rope_scaling;
  rope.factor = static_cast<float>(scaling->number("factor", 1, 1e6));
  rope.low_frequency_factor = static_cast<float>(scaling->number("low_freq_factor", 1e-3, 1e6));
  rope.high_frequency_factor = static_cast<float>(scaling->number("high_freq_factor", 1e-3, 1e6));
  rope.original_positions = scaling->u32("original_max_position_embeddings", 1, kMaxPositions);
  // The two are the ends of a ramp that is divided by its length.
  if (!(rope.high_frequency_factor > rope.low_frequency_factor))
    scaling->fail("high_freq_factor", "expected more than low_freq_factor");
}

/// The window that every layer has (0 = none). Files that mix both kinds of layers are refused.
uint32_t read_sliding_window(const JsonObject& config, const LlamaLike& like, uint32_t layers) {
  if (like.window_needs_switch && !config.boolean_or("use_sliding_window", false)) return 0;
  if (!like.window_needs_switch && like.sliding_window == 0) return 0;  // the kind has no windows
  // Null says "no window", absence says "the kind's default".
  if (config.contains("sliding_window") && !config.has("sliding_window")) return 0;
  const uint32_t fallback = like.sliding_window != 0 ? like.sliding_window : 4096;
  const uint32_t window = config.u32_or("sliding_window", 1, kMaxPositions, fallback);
  if (!like.window_needs_switch) return window;
  if (config.has("layer_types")) {
    const std::vector<std::string> types = config.strings("layer_types", kMaxLayers);
    const auto sliding = std::count(types.begin(), types.end(), "sliding_attention");
    if (sliding == 0) return 0;
    if (sliding == static_cast<std::ptrdiff_t>(types.size())) return window;
    config.fail("layer_types", "layers with and without a sliding window in one model are not supported");
  }
  const uint32_t full_layers = config.u32_or("max_window_layers", 0, kMaxLayers, 28);
  if (full_layers >= layers) return 0;
  if (full_layers == 0) return window;
  config.fail("max_window_layers",
              "layers with and without a sliding window in one model are not supported; expected "
              "0 or at least num_hidden_layers");
}

void read_llama_like(const JsonObject& config, const LlamaLike& like, Model& model) {
  model.layers = config.u32("num_hidden_layers", 1, kMaxLayers);
  model.hidden = config.u32("hidden_size", 1, kMaxHidden);
  model.heads = config.u32("num_attention_heads", 1, kMaxHeads);
  model.ffn = config.u32("intermediate_size", 1, kMaxFfn);
  model.vocabulary = config.u32("vocab_size", 1, kMaxVocabulary);
  model.max_positions = config.u32("max_position_embeddings", 1, kMaxPositions);
  const bool silent = !config.contains("num_key_value_heads");
  const uint32_t kv_default = silent && like.kv_heads != 0 ? like.kv_heads : model.heads;
  model.kv_heads = config.u32_or("num_key_value_heads", 1, kMaxHeads, kv_default);
  if (model.heads % model.kv_heads != 0)
    config.fail("num_key_value_heads", "expected a divisor of num_attention_heads " + format_count(model.heads) +
                                           ", got " + format_count(model.kv_heads) + (silent ? " (the default)" : ""));
  if (config.has("head_dim") || like.head_dim != 0)
    model.head_dim = config.u32_or("head_dim", 1, kMaxHeadDim, like.head_dim);
  else
    model.head_dim = even_share(config, model, "hidden_size", "num_attention_heads");
  model.rotary_dims = model.head_dim;
  if (model.head_dim % 2 != 0)
    config.fail("head_dim",
                "rotary positions turn pairs; expected an even number, got " + format_count(model.head_dim));
  if (const double part = config.number_or("partial_rotary_factor", 0, 1, 1); part != 1)
    config.fail("partial_rotary_factor", "partly rotated heads are not supported in kind " + model.kind);
  if (const std::string act = config.string_or("hidden_act", "silu"); act != "silu" && act != "swish")
    config.fail("hidden_act",
                "activation " + json_quoted(act) + " is not supported in kind " + model.kind + "; expected silu");
  model.norm = Norm::rms;
  model.norm_epsilon = read_epsilon(config, "rms_norm_eps", 1e-6);
  model.activation = Activation::swiglu;
  model.positions = Positions::rope;
  read_rope(config, "rope_theta", model);
  const bool attention_bias = like.reads_attention_bias && config.boolean_or("attention_bias", false);
  model.qkv_bias = like.qkv_bias || attention_bias;
  model.projection_bias = attention_bias;
  model.mlp_bias = like.reads_mlp_bias && config.boolean_or("mlp_bias", false);
  model.qk_norm = like.qk_norm;
  model.tied_embeddings = config.boolean_or("tie_word_embeddings", false);
  model.sliding_window = read_sliding_window(config, like, model.layers);
}

void read_gpt2(const JsonObject& config, Model& model) {
  model.layers = config.u32("n_layer", 1, kMaxLayers);
  model.hidden = config.u32("n_embd", 1, kMaxHidden);
  model.heads = model.kv_heads = config.u32("n_head", 1, kMaxHeads);
  model.head_dim = even_share(config, model, "n_embd", "n_head");
  model.ffn = config.u32_or("n_inner", 1, kMaxFfn, 4 * model.hidden);
  model.vocabulary = config.u32("vocab_size", 1, kMaxVocabulary);
  model.max_positions = config.u32("n_positions", 1, kMaxPositions);
  model.norm = Norm::layer;
  model.norm_epsilon = read_epsilon(config, "layer_norm_epsilon", 1e-5);
  model.activation = read_gelu(config, "activation_function", "gelu_new");
  model.positions = Positions::learned;
  model.rotary_dims = 0;
  model.qkv_bias = model.projection_bias = model.mlp_bias = true;
  model.tied_embeddings = config.boolean_or("tie_word_embeddings", true);
  if (!config.boolean_or("scale_attn_weights", true))
    config.fail("scale_attn_weights", "attention without the scale 1/sqrt(head_dim) is not supported; expected true");
  for (const char* key : {"scale_attn_by_inverse_layer_idx", "add_cross_attention"})
    if (config.boolean_or(key, false)) config.fail(key, "this option is not supported; expected false");
}

void read_gpt_neox(const JsonObject& config, Model& model) {
  model.layers = config.u32("num_hidden_layers", 1, kMaxLayers);
  model.hidden = config.u32("hidden_size", 1, kMaxHidden);
  model.heads = model.kv_heads = config.u32("num_attention_heads", 1, kMaxHeads);
  model.head_dim = even_share(config, model, "hidden_size", "num_attention_heads");
  model.ffn = config.u32("intermediate_size", 1, kMaxFfn);
  model.vocabulary = config.u32("vocab_size", 1, kMaxVocabulary);
  model.max_positions = config.u32("max_position_embeddings", 1, kMaxPositions);
  model.norm = Norm::layer;
  model.norm_epsilon = read_epsilon(config, "layer_norm_eps", 1e-5);
  model.activation = read_gelu(config, "hidden_act", "gelu");
  model.positions = Positions::rope;
  const double rotated = config.number_or("rotary_pct", 0, 1, 0.25);
  model.rotary_dims = static_cast<uint32_t>(model.head_dim * rotated);  // rounded down as transformers does
  if (model.rotary_dims == 0 || model.rotary_dims % 2 != 0)
    config.fail("rotary_pct", "rotary positions turn pairs; expected an even number of at least 2 of the " +
                                  format_count(model.head_dim) + " dimensions of a head, got " +
                                  format_count(model.rotary_dims));
  read_rope(config, config.has("rope_theta") ? "rope_theta" : "rotary_emb_base", model);
  model.qkv_bias = model.projection_bias = config.boolean_or("attention_bias", true);
  model.mlp_bias = true;
  model.tied_embeddings = config.boolean_or("tie_word_embeddings", false);
  model.parallel_residual = config.boolean_or("use_parallel_residual", true);
}

/// "x/llama-7b/config.json" -> "llama-7b", "x/mine.json" -> "mine".
std::string name_of_file(const std::string& file_name) {
  std::error_code error;
  std::filesystem::path path = std::filesystem::absolute(file_name, error).lexically_normal();
  if (error) path = file_name;
  const std::string folder = path.parent_path().filename().string();
  return path.stem() == "config" && !folder.empty() ? folder : path.stem().string();
}

void read_kind(const JsonObject& config, Model& model) {
  if (!config.contains("model_type"))
    config.fail("model_type", std::string("this field is missing; expected one of ") + kSupported);
  model.kind = config.string("model_type");
  if (model.kind == "gpt2") return read_gpt2(config, model);
  if (model.kind == "gpt_neox") return read_gpt_neox(config, model);
  for (const LlamaLike& like : kLlamaLikes)
    if (model.kind == like.kind) return read_llama_like(config, like, model);
  refuse_kind(config, model.kind);
}

}  // namespace

Model parse_huggingface_config(const std::string& json_text, const std::string& file_name) {
  const nlohmann::json value = parse_json(json_text, file_name);
  const JsonObject config(value, file_name);
  Model model;
  model.name = name_of_file(file_name);
  model.source = "config.json";
  if (config.has("_pgram")) {
    const JsonObject own = config.object("_pgram");
    own.allow_only({"name", "source"});
    model.name = own.string("name");
    model.source = own.string("source");
  }
  read_kind(config, model);
  if (const uint64_t count = parameter_count(model); count > kMaxParameters)
    throw InputError(file_name, 0, "",
                     "these sizes give a model of " + format_count(count) + " parameters; expected at most " +
                         format_count(kMaxParameters));
  return model;
}

Model read_huggingface_config(const std::string& path) {
  return parse_huggingface_config(read_text_file(path, kMaxConfigBytes), path);
}

}  // namespace pgram
