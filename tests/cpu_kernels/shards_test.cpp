// What depends on the rank: vocabulary shards, padding, tokens split over tp; and the formulas with hand arithmetic.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "core/base/errors.h"
#include "tests/cpu_kernels/kernel_case.h"

namespace pgram {
namespace {

constexpr KernelSet kSets[] = {KernelSet::plain, KernelSet::fast};

TEST(Shards, EmbeddingRowsOfOtherRanksAreZero) {
  // Vocabulary 5 over 2 ranks: rows {0, 1, 2} and {3, 4, padding}. Row r holds r + 1; the padding row 99.
  for (KernelSet set : kSets)
    for (uint32_t rank : {0u, 1u}) {
      KernelCase c(Kernel::embed);
      c.attributes.vocabulary = 5;
      c.rank = {rank, 2, 1};
      c.floats(5, 1), c.integers({0, 2, 3, 4, 5});
      c.values(3, 1, rank == 0 ? std::vector<float>{1, 2, 3} : std::vector<float>{4, 5, 99});
      EXPECT_EQ(c.run(set)[0], rank == 0 ? (std::vector<float>{1, 3, 0, 0, 0}) : (std::vector<float>{0, 0, 4, 5, 0}));
    }
}

TEST(Shards, CrossEntropyOverTwoShardsEqualsTheWhole) {
  // Logits 0, log 2, log 3 of a vocabulary of 3 (padded to 4; the padding holds 50): probabilities 1/6, 2/6, 3/6.
  // Target 2: loss = log 2. Gradient (scale 1/2): (1/6, 2/6, 3/6 - 1) / 2.
  const float two = std::log(2.0f), three = std::log(3.0f);
  const std::vector<float> logits[] = {{0, two}, {three, 50}};
  for (KernelSet set : kSets) {
    std::vector<float> stats{0, 0}, gradient;
    float max = -1e30f;
    for (bool backward : {false, true})
      for (uint32_t rank : {0u, 1u}) {
        const auto run = [&](Kernel kernel, std::initializer_list<std::vector<float>> operands) {
          KernelCase c(kernel);
          c.attributes.vocabulary = 3;
          c.attributes.scale = 0.5f;
          c.rank = {rank, 2, 1};
          for (const auto& values : operands) c.values(1, static_cast<uint32_t>(values.size()), values);
          if (kernel != Kernel::ce_max && kernel != Kernel::ce_loss) c.integers({2});
          return c.run(set)[0];
        };
        if (!backward) {
          max = std::max(run(Kernel::ce_max, {{0}, logits[0]})[0], max);
          if (rank == 1) {
            EXPECT_FLOAT_EQ(run(Kernel::ce_max, {{0}, logits[1]})[0], three);
            EXPECT_FLOAT_EQ(run(Kernel::ce_loss, {{7}, {2, -0.5f}})[0], 7 + 0.5f * (two + 0.5f));
          }
          continue;
        }
        max = three;
        for (int i : {0, 1}) stats[i] += run(Kernel::ce_sum, {{0, 0}, logits[rank], {max}})[i];
      }
    EXPECT_FLOAT_EQ(stats[0], 2.0f);  // (1 + 2 + 3) / 3
    EXPECT_FLOAT_EQ(stats[1], 0.0f);  // the target has the largest logit
    for (uint32_t rank : {0u, 1u}) {
      KernelCase c(Kernel::ce_bwd);
      c.attributes.vocabulary = 3;
      c.attributes.scale = 0.5f;
      c.rank = {rank, 2, 1};
      c.floats(1, 2), c.values(1, 2, logits[rank]), c.values(1, 1, {max}), c.values(1, 2, stats), c.integers({2});
      const auto part = c.run(set)[0];
      gradient.insert(gradient.end(), part.begin(), part.end());
    }
    EXPECT_NEAR(gradient[0], 1.0 / 12, 1e-7);
    EXPECT_NEAR(gradient[1], 2.0 / 12, 1e-7);
    EXPECT_NEAR(gradient[2], -3.0 / 12, 1e-7);
    EXPECT_EQ(gradient[3], 0.0f);
  }
}

TEST(Shards, PositionsCountFromTheRanksFirstToken) {
  // Two sequences of 4 tokens split over 4 ranks: rank 3 holds tokens 6 and 7, positions 2 and 3.
  for (KernelSet set : kSets) {
    KernelCase c(Kernel::positions);
    c.attributes.sequence = 4;
    c.attributes.heads = 1;
    c.rank = {3, 4, 1};
    c.floats(2, 1), c.values(2, 1, {100, 200}), c.values(4, 1, {1, 2, 3, 4});
    EXPECT_EQ(c.run(set)[0], (std::vector<float>{103, 204}));
    c.attributes.heads = 0;  // not split: positions 0 and 1
    EXPECT_EQ(c.run(set)[0], (std::vector<float>{101, 202}));
  }
}

TEST(Rope, RotatesHalvesByPosition) {
  // One head of 4, base 4: frequencies 1 and 4^(-1/2) = 1/2. Position 1: pair (x0, x2) by 1 rad, (x1, x3) by 1/2 rad.
  for (KernelSet set : kSets) {
    KernelCase c(Kernel::rope);
    c.attributes.sequence = 2;
    c.attributes.head_dim = c.attributes.rotary_dims = 4;
    c.attributes.heads = c.attributes.kv_heads = 1;
    c.attributes.rope_base = 4;
    c.values(2, 12, {1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9, 1, 2, 3, 4, 0, 0, 1, 1, 9, 8, 7, 6});
    const auto x = c.run(set)[0];
    for (int i = 0; i < 12; ++i) EXPECT_EQ(x[i], c[0][i]);  // position 0
    EXPECT_NEAR(x[12], 1 * std::cos(1.0) - 3 * std::sin(1.0), 1e-6);
    EXPECT_NEAR(x[13], 2 * std::cos(0.5) - 4 * std::sin(0.5), 1e-6);
    EXPECT_NEAR(x[14], 3 * std::cos(1.0) + 1 * std::sin(1.0), 1e-6);
    EXPECT_NEAR(x[15], 4 * std::cos(0.5) + 2 * std::sin(0.5), 1e-6);
    EXPECT_NEAR(x[16], -std::sin(1.0), 1e-6);
    EXPECT_NEAR(x[18], std::cos(1.0), 1e-6);
    for (int i = 20; i < 24; ++i) EXPECT_EQ(x[i], c[0][i]);  // the value
  }
}

TEST(Rope, LongWavesAreSlowed) {
  // Llama 3.1: factor 8, low 1, high 4, original 8192. Base 500000, 128 dims: pair 0 (wavelength 2 pi < 2048) keeps its
  // frequency; pair 63 (wavelength 2 pi 500000^(126/128) = 2.56 million > 8192) has an eighth of it; pair 32
  // (wavelength 2 pi 500000^0.5 = 4442.9) lies between: smooth = (8192 / 4442.9 - 1) / 3 = 0.28128,
  // frequency (0.71872 / 8 + 0.28128) / 707.107 = 5.2485e-4.
  KernelCase c(Kernel::rope);
  c.attributes.sequence = 2;
  c.attributes.head_dim = c.attributes.rotary_dims = 128;
  c.attributes.heads = c.attributes.kv_heads = 1;
  c.attributes.rope_base = 500000;
  c.attributes.rope_factor = 8;
  c.attributes.rope_low = 1;
  c.attributes.rope_high = 4;
  c.attributes.rope_original = 8192;
  std::vector<float> ones(2 * 384, 0.0f);
  for (int j = 0; j < 64; ++j) ones[384 + j] = 1;  // the query of token 1: its halves become (cos, sin)
  c.values(2, 384, ones);
  for (KernelSet set : kSets) {
    const auto x = c.run(set)[0];
    EXPECT_NEAR(x[384 + 64], std::sin(1.0), 1e-6);
    EXPECT_NEAR(x[384 + 64 + 63] / (std::pow(500000.0, -126.0 / 128) / 8), 1, 1e-5);
    EXPECT_NEAR(x[384 + 64 + 32], 5.2485e-4, 1e-8);
  }
}

TEST(Attention, TwoTokensByHand) {
  // d = 1, scale 1. Token 1: q 1, keys 0 and log 3, values 4 and 8: probabilities 1/4, 3/4; o = 1 + 6 = 7, lse = log 4.
  // Token 0 sees only itself: o = 4, lse = 2 * 0 = 0.
  for (KernelSet set : kSets) {
    KernelCase c(Kernel::attention);
    c.attributes.sequence = 2;
    c.attributes.head_dim = c.attributes.heads = c.attributes.kv_heads = 1;
    c.floats(2, 1), c.floats(2, 1), c.values(2, 3, {2, 0, 4, 1, std::log(3.0f), 8});
    const auto after = c.run(set);
    EXPECT_NEAR(after[0][0], 4, 1e-6);
    EXPECT_NEAR(after[0][1], 7, 2e-6);
    EXPECT_NEAR(after[1][0], 0, 1e-6);
    EXPECT_NEAR(after[1][1], std::log(4.0), 1e-6);
  }
}

TEST(Attention, HugeScoresStayFinite) {
  // Scores up to 1e4: exp would overflow without the running maximum.
  for (KernelSet set : kSets) {
    KernelCase c(Kernel::attention);
    c.attributes.sequence = 70;
    c.attributes.head_dim = 4;
    c.attributes.heads = c.attributes.kv_heads = 1;
    c.floats(70, 4), c.floats(70, 1), c.floats(70, 12, 70);
    const auto after = c.run(set);
    for (float v : after[0]) EXPECT_TRUE(std::isfinite(v));
  }
}

TEST(Kernels, CommunicationAndOpaqueAreRefused) {
  for (Kernel kernel : {Kernel::opaque, Kernel::all_reduce, Kernel::send})
    for (KernelSet set : kSets) EXPECT_THROW(KernelCase(kernel).run(set), RunError) << name_of(kernel);
}

}  // namespace
}  // namespace pgram
