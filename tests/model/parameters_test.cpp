// Parameter counts against the published ones, to the digit.
#include <gtest/gtest.h>

#include "core/model/model.h"

namespace pgram {
namespace {

// A llama layer: query h*h, key and value 2*h*k (k = kv_heads*head_dim), output h*h, MLP 3*h*f, two norms 2*h.
// A llama model: L layers + embedding V*h + head V*h + final norm h.

TEST(Parameters, Llama31) {
  // h 4096, k 8*128 = 1024, f 14336: 2*4096^2 + 2*4096*1024 + 3*4096*14336 + 2*4096
  //   = 33,554,432 + 8,388,608 + 176,160,768 + 8,192 = 218,112,000
  // 32*218,112,000 + 2*128,256*4096 + 4096 = 6,979,584,000 + 1,050,673,152 + 4,096
  EXPECT_EQ(layer_parameter_count(find_model("llama-3.1-8b")), 218'112'000u);
  EXPECT_EQ(parameter_count(find_model("llama-3.1-8b")), 8'030'261'248u);
  // h 8192, k 1024, f 28672: 134,217,728 + 16,777,216 + 704,643,072 + 16,384 = 855,654,400
  // 80*855,654,400 + 2*128,256*8192 + 8192 = 68,452,352,000 + 2,101,346,304 + 8,192
  EXPECT_EQ(parameter_count(find_model("llama-3.1-70b")), 70'553'706'496u);
  // h 16384, k 1024, f 53248: 536,870,912 + 33,554,432 + 2,617,245,696 + 32,768 = 3,187,703,808
  // 126*3,187,703,808 + 2*128,256*16384 + 16384 = 401,650,679,808 + 4,202,692,608 + 16,384
  EXPECT_EQ(parameter_count(find_model("llama-3.1-405b")), 405'853'388'800u);
}

TEST(Parameters, Llama2) {
  // h 4096, k = h, f 11008: 4*4096^2 + 3*4096*11008 + 2*4096 = 67,108,864 + 135,266,304 + 8,192 = 202,383,360
  // 32*202,383,360 + 2*32,000*4096 + 4096 = 6,476,267,520 + 262,144,000 + 4,096
  EXPECT_EQ(parameter_count(find_model("llama-2-7b")), 6'738'415'616u);
  // h 5120, f 13824: 104,857,600 + 212,336,640 + 10,240 = 317,204,480
  // 40*317,204,480 + 2*32,000*5120 + 5120 = 12,688,179,200 + 327,680,000 + 5,120
  EXPECT_EQ(parameter_count(find_model("llama-2-13b")), 13'015'864'320u);
  // The layers of Llama 3.1 70B, 32,000 tokens: 68,452,352,000 + 2*32,000*8192 + 8192
  //   = 68,452,352,000 + 524,288,000 + 8,192
  EXPECT_EQ(parameter_count(find_model("llama-2-70b")), 68'976'648'192u);
}

TEST(Parameters, Mistral) {
  // The layers of Llama 3.1 8B, 32,768 tokens: 6,979,584,000 + 2*32,768*4096 + 4096
  //   = 6,979,584,000 + 268,435,456 + 4,096
  EXPECT_EQ(parameter_count(find_model("mistral-7b")), 7'248'023'552u);
}

TEST(Parameters, Qwen25HasBiasesOfQueryKeyAndValue) {
  // h 3584, k 4*128 = 512, f 18944: 2*3584^2 + 2*3584*512 + 3*3584*18944 + biases 3584 + 2*512 + norms 2*3584
  //   = 25,690,112 + 3,670,016 + 203,685,888 + 4,608 + 7,168 = 233,057,792
  // 28*233,057,792 + 2*152,064*3584 + 3584 = 6,525,618,176 + 1,089,994,752 + 3,584
  EXPECT_EQ(layer_parameter_count(find_model("qwen2.5-7b")), 233'057'792u);
  EXPECT_EQ(parameter_count(find_model("qwen2.5-7b")), 7'615'616'512u);
  // h 8192, k 1024, f 29568: 134,217,728 + 16,777,216 + 726,663,168 + 10,240 + 16,384 = 877,684,736
  // 80*877,684,736 + 2*152,064*8192 + 8192 = 70,214,778,880 + 2,491,416,576 + 8,192
  EXPECT_EQ(parameter_count(find_model("qwen2.5-72b")), 72'706'203'648u);
}

// A gpt2 layer with f = 4h: matrices 12*h^2; biases 3h + h + 4h + h = 9h; two norms 4h: 12*h^2 + 13*h.

TEST(Parameters, Gpt2CountsItsTiedMatrixOnce) {
  // 12*768^2 + 13*768 = 7,077,888 + 9,984 = 7,087,872
  // 12*7,087,872 + 50,257*768 + 1024*768 + 2*768 = 85,054,464 + 38,597,376 + 786,432 + 1,536
  EXPECT_EQ(layer_parameter_count(find_model("gpt2")), 7'087'872u);
  EXPECT_EQ(parameter_count(find_model("gpt2")), 124'439'808u);
}

TEST(Parameters, Gpt3) {
  // 12*12288^2 + 13*12288 = 1,811,939,328 + 159,744 = 1,812,099,072
  // 96*1,812,099,072 + 50,257*12288 + 2048*12288 + 2*12288
  //   = 173,961,510,912 + 617,558,016 + 25,165,824 + 24,576; the paper's table 2.1 rounds it to 174,600M
  EXPECT_EQ(parameter_count(find_model("gpt-3-175b")), 174'604'259'328u);
}

TEST(Parameters, OurOwn) {
  // h 256, k 128, f 688: 2*65,536 + 2*32,768 + 3*176,128 + 512 = 725,504; 2*256*256 + 256 = 131,328
  EXPECT_EQ(parameter_count(find_model("tiny-llama")), 4 * 725'504u + 131'328u);
  EXPECT_EQ(parameter_count(find_model("demo-llama")), 6 * 725'504u + 131'328u);
  // 12*65,536 + 13*256 = 789,760; 256*256 + 512*256 + 2*256 = 197,120
  EXPECT_EQ(parameter_count(find_model("tiny-gpt2")), 4 * 789'760u + 197'120u);
}

TEST(Parameters, KindsWithoutALibraryShape) {
  // EleutherAI/gpt-neox-20b: layers as gpt2's, 12*6144^2 + 13*6144 = 453,064,704; untied, no positions:
  // 44*453,064,704 + 2*50,432*6144 + 2*6144 = 19,934,846,976 + 619,708,416 + 12,288
  const Model neox = parse_huggingface_config(
      R"({"model_type": "gpt_neox", "num_hidden_layers": 44, "hidden_size": 6144, "num_attention_heads": 64,
          "intermediate_size": 24576, "vocab_size": 50432, "max_position_embeddings": 2048})",
      "config.json");
  EXPECT_EQ(parameter_count(neox), 20'554'567'680u);
  // Qwen/Qwen3-0.6B: 16 heads of 128 over h 1024, k 1024, f 3072, two norms of heads 2*128, tied:
  // 2*1024*2048 + 2*1024*1024 + 3*1024*3072 + 256 + 2048 = 4,194,304 + 2,097,152 + 9,437,184 + 2,304 = 15,730,944
  // 28*15,730,944 + 151,936*1024 + 1024 = 440,466,432 + 155,582,464 + 1,024
  const Model qwen3 = parse_huggingface_config(
      R"({"model_type": "qwen3", "num_hidden_layers": 28, "hidden_size": 1024, "num_attention_heads": 16,
          "num_key_value_heads": 8, "head_dim": 128, "intermediate_size": 3072, "vocab_size": 151936,
          "max_position_embeddings": 40960, "tie_word_embeddings": true})",
      "config.json");
  EXPECT_EQ(parameter_count(qwen3), 596'049'920u);
}

TEST(Parameters, BiasesOfLlamaWhereItsConfigAsks) {
  Model model = find_model("tiny-llama");
  const uint64_t plain = layer_parameter_count(model);
  model.qkv_bias = true;  // 256 + 2*128
  EXPECT_EQ(layer_parameter_count(model) - plain, 512u);
  model.projection_bias = true;  // 256
  EXPECT_EQ(layer_parameter_count(model) - plain, 768u);
  model.mlp_bias = true;  // 688 + 688 + 256
  EXPECT_EQ(layer_parameter_count(model) - plain, 768u + 1632u);
}

TEST(TrainingFlops, SixPerMatrixElementAndCausalAttention) {
  // Llama 3.1 8B: matrices 32*(218,112,000 - 8,192) + 128,256*4096 = 6,979,321,856 + 525,336,576 = 7,504,658,432
  // 6*7,504,658,432 = 45,027,950,592; attention 6*32*4096*8192 = 6,442,450,944
  EXPECT_EQ(training_flops_per_token(find_model("llama-3.1-8b"), 8192), 45'027'950'592.0 + 6'442'450'944.0);
  // GPT-2: the tied matrix is still the head's. 12*12*768^2 + 50,257*768 = 84,934,656 + 38,597,376 = 123,532,032
  // 6*123,532,032 + 6*12*768*1024 = 741,192,192 + 56,623,104
  EXPECT_EQ(training_flops_per_token(find_model("gpt2"), 1024), 741'192'192.0 + 56'623'104.0);
}

}  // namespace
}  // namespace pgram
