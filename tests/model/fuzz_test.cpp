// Mutated config files: each gives a sound Model or one clear line, never a crash. Run it under the sanitizers, too.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "core/base/library.h"
#include "core/model/model.h"
#include "tests/model/refusal.h"

namespace pgram {
namespace {

using nlohmann::json;

const std::vector<std::string>& seeds() {
  static const std::vector<std::string> texts = [] {
    std::vector<std::string> found;
    for (const Model& model : library_models()) {
      std::ostringstream text;
      text << std::ifstream(library_directory() + "/shapes/" + model.name + ".json").rdbuf();
      found.push_back(text.str());
    }
    found.push_back(R"({"model_type": "gpt_neox", "num_hidden_layers": 4, "hidden_size": 64, "num_attention_heads": 4,
        "intermediate_size": 256, "vocab_size": 100, "max_position_embeddings": 32, "rotary_pct": 0.25})");
    found.push_back(R"({"model_type": "qwen3", "num_hidden_layers": 4, "hidden_size": 64, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 96, "vocab_size": 100,
        "max_position_embeddings": 32, "use_sliding_window": true, "sliding_window": 8, "layer_types":
        ["full_attention", "full_attention", "full_attention", "full_attention"], "rope_parameters": {"rope_theta": 1e6}})");
    return found;
  }();
  return texts;
}

/// True when the text was taken. Fails the test when what came of it is neither a sound Model nor one line.
bool survives(const std::string& text) {
  try {
    const Model model = parse_huggingface_config(text, "config.json");
    EXPECT_TRUE(model.layers > 0 && model.hidden > 0 && model.ffn > 0 && model.vocabulary > 0 && model.head_dim > 0);
    EXPECT_TRUE(model.kv_heads > 0 && model.heads % model.kv_heads == 0 && model.max_positions > 0) << text;
    EXPECT_TRUE(model.rotary_dims % 2 == 0 && model.rotary_dims <= model.head_dim) << text;
    EXPECT_TRUE(model.norm_epsilon > 0 && model.rope_base >= 1 && model.rope_scaling.factor >= 1) << text;
    EXPECT_LE(parameter_count(model), 1'000'000'000'000'000u) << text;
    EXPECT_GT(training_flops_per_token(model, 1), 0) << text;
    return true;
  } catch (const InputError& error) {
    const std::string line = error.what();
    EXPECT_TRUE(line.starts_with("config.json:")) << line;
    EXPECT_LT(line.size(), 500u) << line;
    for (const char c : line) EXPECT_TRUE(c >= ' ' && c <= '~') << line;
    return false;
  }
}

const std::vector<std::string> kNastyTokens{"0",
                                            "-1",
                                            "1e18",
                                            "1000000000000000000",
                                            "18446744073709551616",
                                            "-9223372036854775808",
                                            "1e-400",
                                            "1e400",
                                            "0.5",
                                            "NaN",
                                            "null",
                                            "true",
                                            "\"\"",
                                            "\"\\u0000\"",
                                            "[]",
                                            "{}",
                                            "[[[[",
                                            "}}",
                                            ",",
                                            ":",
                                            "\"",
                                            "\\",
                                            "\xff",
                                            "\n",
                                            "/*"};

std::string mutated(std::string text, std::mt19937_64& random) {
  const auto below = [&](size_t n) { return static_cast<size_t>(random() % std::max<size_t>(n, 1)); };
  for (size_t edits = 1 + below(3); edits > 0; --edits) {
    const size_t at = below(text.size()), length = below(std::min<size_t>(text.size() - at, 40));
    switch (below(7)) {
      case 0:
        if (!text.empty()) text[at] = static_cast<char>(random());
        break;
      case 1:
        if (!text.empty()) text[at] = static_cast<char>(text[at] ^ 1 << below(8));
        break;
      case 2:
        text.erase(at, length);
        break;
      case 3:
        text.insert(at, text.substr(below(text.size()), length));
        break;
      case 4:
        text.insert(at, kNastyTokens[below(kNastyTokens.size())]);
        break;
      case 5:
        text.resize(at);
        break;
      default: {  // another digit in a number
        const size_t digit = text.find_first_of("0123456789", at);
        if (digit != std::string::npos) text[digit] = static_cast<char>('0' + below(10));
      }
    }
  }
  return text;
}

TEST(Fuzz, MutatedTextsGiveAModelOrOneLine) {
  std::mt19937_64 random(20240607);
  int taken = 0;
  constexpr int kCases = 8000;
  for (int i = 0; i < kCases && !HasFailure(); ++i) taken += survives(mutated(seeds()[i % seeds().size()], random));
  // Both outcomes must really occur, or the mutations test nothing.
  EXPECT_GT(taken, kCases / 20);
  EXPECT_LT(taken, kCases * 19 / 20);
}

TEST(Fuzz, EveryFieldWithEveryNastyValue) {
  const std::vector<json> nasty{0,
                                1,
                                2,
                                3,
                                -1,
                                7919,
                                4294967295u,
                                4294967296u,
                                1000000000000000000,
                                UINT64_MAX,
                                INT64_MIN,
                                0.0,
                                1e-320,
                                0.5,
                                1e18,
                                1e308,
                                -0.0,
                                true,
                                false,
                                nullptr,
                                "",
                                "silu",
                                "gelu",
                                "llama",
                                "gpt2",
                                "gpt_neox",
                                "qwen3",
                                "mixtral",
                                json::array(),
                                json::array({1, "a"}),
                                json::object(),
                                json{{"rope_type", "llama3"}},
                                std::string(100000, 'x'),
                                "\n\t\u00e9"};
  int taken = 0, cases = 0;
  for (const std::string& text : seeds()) {
    const json config = json::parse(text);
    for (const auto& field : config.items())
      for (const json& value : nasty) {
        json changed = config;
        changed[field.key()] = value;
        taken += survives(changed.dump());
        ++cases;
      }
  }
  EXPECT_GT(taken, 0);
  EXPECT_LT(taken, cases);
}

}  // namespace
}  // namespace pgram
