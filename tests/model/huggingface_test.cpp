#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/model/model.h"
#include "tests/model/refusal.h"

namespace pgram {
namespace {

using nlohmann::json;

json llama() {
  return {{"model_type", "llama"},    {"num_hidden_layers", 4},        {"hidden_size", 64},
          {"num_attention_heads", 8}, {"num_key_value_heads", 4},      {"intermediate_size", 96},
          {"vocab_size", 100},        {"max_position_embeddings", 32}, {"hidden_act", "silu"}};
}
json gpt2() {
  return {{"model_type", "gpt2"}, {"n_layer", 3},      {"n_embd", 48},
          {"n_head", 4},          {"vocab_size", 100}, {"n_positions", 32}};
}
json gpt_neox() {
  return {{"model_type", "gpt_neox"},     {"num_hidden_layers", 2},   {"hidden_size", 64},
          {"num_attention_heads", 4},     {"intermediate_size", 256}, {"vocab_size", 100},
          {"max_position_embeddings", 32}};
}

json with(json config, const std::string& key, json value) {
  config[key] = std::move(value);
  return config;
}
json without(json config, const std::string& key) {
  config.erase(key);
  return config;
}
Model read(const json& config) {
  return parse_huggingface_config(config.dump(), "config.json");
}
std::string refused(const json& config) {
  return refusal([&] { read(config); });
}

TEST(HuggingFace, LlamaDefaults) {
  const Model model = read(without(llama(), "num_key_value_heads"));
  EXPECT_EQ(model.kind, "llama");
  EXPECT_EQ(model.kv_heads, 8u);
  EXPECT_EQ(model.head_dim, 8u);
  EXPECT_EQ(model.rotary_dims, 8u);
  EXPECT_EQ(model.rope_base, 10000.f);
  EXPECT_EQ(model.norm_epsilon, 1e-6f);
  EXPECT_EQ(model.norm, Norm::rms);
  EXPECT_EQ(model.activation, Activation::swiglu);
  EXPECT_EQ(model.positions, Positions::rope);
  EXPECT_EQ(model.rope_scaling, RopeScaling{});
  EXPECT_FALSE(model.tied_embeddings || model.qkv_bias || model.projection_bias || model.mlp_bias || model.qk_norm);
  EXPECT_EQ(model.sliding_window, 0u);
}

TEST(HuggingFace, LlamaOptions) {
  json config = llama();
  config.update({{"head_dim", 16},
                 {"rope_theta", 500000.0},
                 {"tie_word_embeddings", true},
                 {"attention_bias", true},
                 {"mlp_bias", true},
                 {"rms_norm_eps", 1e-5},
                 {"sliding_window", 5}});
  const Model model = read(config);
  EXPECT_EQ(model.head_dim, 16u);
  EXPECT_EQ(model.rope_base, 500000.f);
  EXPECT_EQ(model.norm_epsilon, 1e-5f);
  EXPECT_TRUE(model.tied_embeddings && model.qkv_bias && model.projection_bias && model.mlp_bias);
  EXPECT_EQ(model.sliding_window, 0u);  // the llama kind has no windows
}

TEST(HuggingFace, RopeScaling) {
  const json llama3 = {{"rope_type", "llama3"},
                       {"factor", 8.0},
                       {"low_freq_factor", 1.0},
                       {"high_freq_factor", 4.0},
                       {"original_max_position_embeddings", 8192}};
  const RopeScaling expected{8, 1, 4, 8192};
  EXPECT_EQ(read(with(llama(), "rope_scaling", llama3)).rope_scaling, expected);
  EXPECT_EQ(read(with(llama(), "rope_scaling", nullptr)).rope_scaling, RopeScaling{});
  EXPECT_EQ(read(with(llama(), "rope_scaling", {{"type", "default"}})).rope_scaling, RopeScaling{});
  const Model newer = read(with(llama(), "rope_parameters", with(llama3, "rope_theta", 500000.0)));
  EXPECT_EQ(newer.rope_scaling, expected);
  EXPECT_EQ(newer.rope_base, 500000.f);
  EXPECT_EQ(refused(with(llama(), "rope_scaling", {{"type", "yarn"}, {"factor", 4.0}})),
            "config.json: rope_scaling.type: rope scaling \"yarn\" is not supported; supported are default and llama3");
  EXPECT_EQ(refused(with(llama(), "rope_scaling", without(llama3, "factor"))),
            "config.json: rope_scaling.factor: this field is missing; expected a number from 1 to 1000000");
  EXPECT_EQ(refused(with(llama(), "rope_scaling", with(llama3, "high_freq_factor", 1.0))),
            "config.json: rope_scaling.high_freq_factor: expected more than low_freq_factor");
  EXPECT_EQ(refused(with(llama(), "rope_scaling", 8)), "config.json: rope_scaling: expected a JSON object, got 8");
}

TEST(HuggingFace, MistralWindows) {
  const json mistral = with(llama(), "model_type", "mistral");
  EXPECT_EQ(read(mistral).sliding_window, 4096u);  // transformers' default where the file is silent
  EXPECT_EQ(read(with(mistral, "sliding_window", nullptr)).sliding_window, 0u);
  EXPECT_EQ(read(with(mistral, "sliding_window", 16)).sliding_window, 16u);
  EXPECT_EQ(read(without(mistral, "num_key_value_heads")).kv_heads, 8u);
  EXPECT_EQ(read(with(mistral, "num_key_value_heads", nullptr)).kv_heads, 8u);
}

TEST(HuggingFace, Qwen2) {
  const json qwen2 = with(llama(), "model_type", "qwen2");
  const Model model = read(with(qwen2, "sliding_window", 16));
  EXPECT_TRUE(model.qkv_bias);
  EXPECT_FALSE(model.projection_bias || model.qk_norm || model.mlp_bias);
  EXPECT_EQ(model.sliding_window, 0u);
  json windows = with(with(qwen2, "sliding_window", 16), "use_sliding_window", true);
  EXPECT_EQ(read(windows).sliding_window, 0u);  // max_window_layers 28 by default: the first 28 layers have none
  EXPECT_EQ(read(with(windows, "max_window_layers", 0)).sliding_window, 16u);
  EXPECT_EQ(refused(with(windows, "max_window_layers", 2)),
            "config.json: max_window_layers: layers with and without a sliding window in one model are not supported; "
            "expected 0 or at least num_hidden_layers");
  const std::string full = "full_attention", sliding = "sliding_attention";
  EXPECT_EQ(read(with(windows, "layer_types", {full, full, full, full})).sliding_window, 0u);
  EXPECT_EQ(read(with(windows, "layer_types", {sliding, sliding, sliding, sliding})).sliding_window, 16u);
  EXPECT_TRUE(
      refused(with(windows, "layer_types", {full, sliding, full, sliding})).starts_with("config.json: layer_types: "));
  // transformers' default of 32 key and value heads where the file is silent; 8 heads cannot share 32.
  EXPECT_EQ(refused(without(qwen2, "num_key_value_heads")),
            "config.json: num_key_value_heads: expected a divisor of num_attention_heads 8, got 32 (the default)");
}

TEST(HuggingFace, Qwen3) {
  const json qwen3 = with(llama(), "model_type", "qwen3");
  EXPECT_EQ(read(qwen3).head_dim, 128u);
  EXPECT_TRUE(read(qwen3).qk_norm);
  EXPECT_FALSE(read(qwen3).qkv_bias);
  const Model biased = read(with(with(qwen3, "attention_bias", true), "head_dim", 8));
  EXPECT_TRUE(biased.qkv_bias && biased.projection_bias);
  EXPECT_EQ(biased.head_dim, 8u);
}

TEST(HuggingFace, Gpt2) {
  const Model model = read(gpt2());
  EXPECT_EQ(model.layers, 3u);
  EXPECT_EQ(model.ffn, 192u);  // 4*48
  EXPECT_EQ(model.kv_heads, 4u);
  EXPECT_EQ(model.head_dim, 12u);
  EXPECT_EQ(model.rotary_dims, 0u);
  EXPECT_EQ(model.norm, Norm::layer);
  EXPECT_EQ(model.norm_epsilon, 1e-5f);
  EXPECT_EQ(model.activation, Activation::gelu_tanh);
  EXPECT_EQ(model.positions, Positions::learned);
  EXPECT_TRUE(model.tied_embeddings && model.qkv_bias && model.projection_bias && model.mlp_bias);
  EXPECT_EQ(read(with(gpt2(), "n_inner", 100)).ffn, 100u);
  EXPECT_EQ(read(with(gpt2(), "activation_function", "gelu")).activation, Activation::gelu_erf);
  EXPECT_FALSE(read(with(gpt2(), "tie_word_embeddings", false)).tied_embeddings);
  EXPECT_TRUE(refused(with(gpt2(), "activation_function", "relu"))
                  .starts_with("config.json: activation_function: activation \"relu\" is not supported"));
  EXPECT_TRUE(refused(with(gpt2(), "n_head", 5)).starts_with("config.json: n_head: 5 heads do not divide n_embd 48"));
  EXPECT_TRUE(refused(with(gpt2(), "scale_attn_weights", false)).starts_with("config.json: scale_attn_weights: "));
  EXPECT_TRUE(refused(with(gpt2(), "add_cross_attention", true)).starts_with("config.json: add_cross_attention: "));
}

TEST(HuggingFace, GptNeox) {
  const Model model = read(gpt_neox());
  EXPECT_EQ(model.head_dim, 16u);
  EXPECT_EQ(model.rotary_dims, 4u);  // a quarter of 16
  EXPECT_EQ(model.activation, Activation::gelu_erf);
  EXPECT_TRUE(model.parallel_residual && model.qkv_bias && model.projection_bias && model.mlp_bias);
  EXPECT_FALSE(model.tied_embeddings);
  EXPECT_EQ(read(with(gpt_neox(), "rotary_pct", 1.0)).rotary_dims, 16u);
  EXPECT_EQ(read(with(gpt_neox(), "rotary_emb_base", 20000)).rope_base, 20000.f);
  EXPECT_FALSE(read(with(gpt_neox(), "use_parallel_residual", false)).parallel_residual);
  EXPECT_FALSE(read(with(gpt_neox(), "attention_bias", false)).qkv_bias);
  EXPECT_TRUE(refused(with(gpt_neox(), "rotary_pct", 0.2)).starts_with("config.json: rotary_pct: "));  // 3 of 16
  EXPECT_TRUE(refused(with(gpt_neox(), "rotary_pct", 0)).starts_with("config.json: rotary_pct: "));
}

TEST(HuggingFace, OtherArchitecturesAreRefusedByName) {
  const std::string supported = "; supported are llama, mistral, qwen2, qwen3, gpt2 and gpt_neox";
  const auto kind = [](const char* name) { return refused(with(llama(), "model_type", name)); };
  for (const std::string name : {"mixtral", "deepseek_v3", "qwen3_moe", "qwen2_moe", "gpt_oss", "llama4", "phimoe"})
    EXPECT_EQ(kind(name.c_str()), "config.json: model_type: architecture \"" + name +
                                      "\" is not supported: mixture of experts" + supported);
  EXPECT_EQ(kind("gemma2"),
            "config.json: model_type: architecture \"gemma2\" is not supported: scaled embeddings and "
            "a GeGLU MLP" +
                supported);
  EXPECT_EQ(kind("bert"), "config.json: model_type: architecture \"bert\" is not supported: an encoder" + supported);
  EXPECT_EQ(kind("a\nb"), "config.json: model_type: architecture \"a\\nb\" is not supported" + supported);
  EXPECT_EQ(refused(without(llama(), "model_type")),
            "config.json: model_type: this field is missing; expected one of llama, mistral, qwen2, qwen3, gpt2 and "
            "gpt_neox");
  EXPECT_EQ(refused(with(llama(), "model_type", 3)), "config.json: model_type: expected a string, got 3");
}

TEST(HuggingFace, EverySizeIsRequiredAndBounded) {
  const struct {
    json config;
    std::vector<std::string> sizes;
  } kinds[] = {
      {llama(),
       {"num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size", "vocab_size",
        "max_position_embeddings"}},
      {gpt2(), {"n_layer", "n_embd", "n_head", "vocab_size", "n_positions"}},
      {gpt_neox(),
       {"num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size", "vocab_size",
        "max_position_embeddings"}},
  };
  const json bad[] = {0, -3, 1000000000000000000, 1e18, 4.5, 4.0, "4", true, nullptr, json::array(), json::object()};
  for (const auto& kind : kinds)
    for (const std::string& size : kind.sizes) {
      EXPECT_TRUE(refused(without(kind.config, size))
                      .starts_with("config.json: " + size + ": this field is missing; expected an integer from 1 to "));
      for (const json& value : bad)
        EXPECT_TRUE(refused(with(kind.config, size, value))
                        .starts_with("config.json: " + size + ": expected an integer from 1 to "))
            << refused(with(kind.config, size, value));
    }
  EXPECT_EQ(refused(with(llama(), "num_hidden_layers", -3)),
            "config.json: num_hidden_layers: expected an integer from 1 to 10,000, got -3");
}

TEST(HuggingFace, OptionalFieldsAreBoundedToo) {
  for (const char* size : {"num_key_value_heads", "head_dim"})
    for (const json& value : {json(0), json(-1), json(1e18), json(2.5), json("8"), json(true)})
      EXPECT_TRUE(refused(with(llama(), size, value))
                      .starts_with(std::string("config.json: ") + size + ": expected an integer from 1 to "));
  for (const char* number : {"rms_norm_eps", "rope_theta"})
    for (const json& value : {json(0), json(-1), json(1e18), json("1"), json(true)})
      EXPECT_TRUE(refused(with(llama(), number, value))
                      .starts_with(std::string("config.json: ") + number + ": expected a number from "));
  for (const char* flag : {"tie_word_embeddings", "attention_bias", "mlp_bias"})
    EXPECT_EQ(refused(with(llama(), flag, 1)), std::string("config.json: ") + flag + ": expected true or false, got 1");
}

TEST(HuggingFace, SizesThatDoNotFitTogether) {
  EXPECT_EQ(refused(with(llama(), "num_key_value_heads", 3)),
            "config.json: num_key_value_heads: expected a divisor of num_attention_heads 8, got 3");
  EXPECT_EQ(refused(with(llama(), "num_key_value_heads", 16)),
            "config.json: num_key_value_heads: expected a divisor of num_attention_heads 8, got 16");
  EXPECT_EQ(refused(with(llama(), "hidden_size", 60)),
            "config.json: num_attention_heads: 8 heads do not divide hidden_size 60");
  EXPECT_EQ(refused(with(llama(), "hidden_size", 72)),  // 9 a head
            "config.json: head_dim: rotary positions turn pairs; expected an even number, got 9");
  EXPECT_EQ(refused(with(with(llama(), "hidden_size", 40000), "num_attention_heads", 8)),
            "config.json: num_attention_heads: expected at most 4,096 dimensions per head, hidden_size 40,000 over 8 "
            "heads gives 5,000");
  EXPECT_EQ(refused(with(llama(), "hidden_act", "gelu")),
            "config.json: hidden_act: activation \"gelu\" is not supported in kind llama; expected silu");
  EXPECT_TRUE(refused(with(llama(), "partial_rotary_factor", 0.5)).starts_with("config.json: partial_rotary_factor: "));
  // 10,000 layers of 3*10^6*10^7 = 3*10^17 parameters in their MLPs alone
  json absurd = llama();
  absurd.update({{"num_hidden_layers", 10000},
                 {"hidden_size", 1000000},
                 {"intermediate_size", 10000000},
                 {"num_attention_heads", 1000},
                 {"num_key_value_heads", 1000}});
  EXPECT_TRUE(refused(absurd).starts_with("config.json: these sizes give a model of "));
}

TEST(HuggingFace, OwnObjectIsStrict) {
  EXPECT_EQ(refused(with(llama(), "_pgram", {{"name", "x"}, {"source", "y"}, {"sourc", "z"}})),
            "config.json: _pgram.\"sourc\": unknown key; did you mean \"source\"?");
  EXPECT_EQ(refused(with(llama(), "_pgram", {{"name", "x"}})),
            "config.json: _pgram.source: this field is missing; expected a string");
  EXPECT_EQ(refused(with(llama(), "_pgram", "x")), "config.json: _pgram: expected a JSON object, got \"x\"");
}

TEST(HuggingFace, FilesThatAreNotConfigs) {
  EXPECT_EQ(refusal([] { parse_huggingface_config("[]", "config.json"); }),
            "config.json: expected a JSON object, got an array");
  EXPECT_TRUE(
      refusal([] { parse_huggingface_config("", "config.json"); }).starts_with("config.json:1: not valid JSON: "));
  EXPECT_TRUE(refusal([] {
                parse_huggingface_config("{\"model_type\": \"llama\",\n", "config.json");
              }).starts_with("config.json:2: not valid JSON: "));
  EXPECT_EQ(refusal([] { read_huggingface_config("/nowhere/config.json"); }),
            "/nowhere/config.json: cannot open this file; check that it exists and may be read");
  EXPECT_EQ(refusal([] { read_huggingface_config("/dev/zero"); }),
            "/dev/zero: expected at most 16.0 MiB, the file is larger");
}

}  // namespace
}  // namespace pgram
