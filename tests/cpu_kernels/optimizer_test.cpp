#include <gtest/gtest.h>

#include <cmath>

#include "tests/cpu_kernels/kernel_case.h"

namespace pgram {
namespace {

constexpr KernelSet kSets[] = {KernelSet::plain, KernelSet::fast};

Field field(const std::string& name, uint32_t rows, uint32_t columns, uint8_t num_dims, uint64_t offset) {
  Field f;
  f.name = name;
  f.dims = {rows, columns};
  f.num_dims = num_dims;
  f.offset = offset;
  return f;
}

/// A matrix of 3 at byte 0 and a norm of 2 at byte 64.
Record two_fields() {
  Record record;
  record.fields = {field("w", 3, 1, 2, 0), field("norm", 2, 1, 1, 64)};
  record.bytes = 128;
  return record;
}

/// m of both fields, then v of both, each 64 bytes apart.
Record state_of_two_fields() {
  Record record;
  record.fields = {field("w.m", 3, 1, 2, 0), field("norm.m", 2, 1, 1, 64), field("w.v", 3, 1, 2, 128),
                   field("norm.v", 2, 1, 1, 192)};
  record.bytes = 256;
  return record;
}

TEST(Optimizer, NormCountsEveryParameterOnce) {
  // Rank of tp = 2: the sharded matrix counts 1 + 4 + 9 = 14, the copied norm half of 16 + 16, a tied copy nothing.
  // Added to the 10 that were there: 10 + 14 + 16 = 40.
  Record record = two_fields();
  record.fields[0].shard_axes = kTp;
  record.fields.push_back(field("tied", 1, 1, 2, 128));
  record.fields[2].duplicate = true;
  record.bytes = 192;
  KernelCase c(Kernel::sum_squares);
  c.rank = {0, 2, 1};
  c.values(1, 1, {10});
  std::vector<float>& g = c.record(record, 1000);
  g[0] = 1, g[1] = 2, g[2] = 3, g[16] = 4, g[17] = -4, g[32] = 77;
  for (KernelSet set : kSets) EXPECT_EQ(c.run(set)[0][0], 40);
}

TEST(Optimizer, NormOfAMillionIsAccurateWithAnyNumberOfThreads) {
  // 1,000,003 times 0.1f^2: float sums would be wrong in the fourth digit.
  Record record;
  record.fields = {field("w", 1000003, 1, 2, 0)};
  record.bytes = 1000003 * 4;
  KernelCase c(Kernel::sum_squares);
  c.values(1, 1, {0});
  for (float& g : c.record(record)) g = 0.1f;
  const float exact = static_cast<float>(1000003 * (double{0.1f} * 0.1f));
  EXPECT_FLOAT_EQ(c.run(KernelSet::plain)[0][0], exact);
  for (int threads : {1, 2, 3}) {
    c.rank.threads = threads;
    EXPECT_FLOAT_EQ(c.run(KernelSet::fast)[0][0], exact);
  }
}

TEST(Optimizer, ClipScalesLargeNormsOnly) {
  // norm sqrt(16) = 4: clip 1 gives 1/4, clip 5 gives 1, clip 0 (off) gives 1.
  for (KernelSet set : kSets)
    for (auto [limit, scale] : {std::pair{1.0f, 0.25f}, {5.0f, 1.0f}, {0.0f, 1.0f}}) {
      KernelCase c(Kernel::clip);
      c.hyperparameters.clip_norm = limit;
      c.floats(1, 1), c.floats(1, 1), c.values(1, 1, {16});
      const auto after = c.run(set);
      EXPECT_NEAR(after[0][0], scale, 1e-6);
      EXPECT_EQ(after[1][0], 4);
    }
}

TEST(Optimizer, AdamWFirstStepByHand) {
  // From m = v = 0 at step 0 the bias-corrected m is g and v is g^2, so that w moves by lr * g / (|g| + eps) = lr
  // sign(g). Matrices decay first: w (1 - lr wd) = 2 * (1 - 0.1 * 0.5) = 1.9, then -0.1: 1.8. The norm: 2 + 0.1 = 2.1.
  const Record weights = two_fields(), gradients = two_fields(), state = state_of_two_fields();
  KernelCase c(Kernel::adamw);
  c.hyperparameters = {.learning_rate = 0.1f, .beta1 = 0.9f, .beta2 = 0.99f, .epsilon = 1e-8f, .weight_decay = 0.5f};
  for (float& w : c.record(weights)) w = 2;
  for (float& s : c.record(state)) s = 0;
  auto& g = c.record(gradients);
  g[0] = 0.5f, g[1] = 100, g[2] = 1e-3f, g[16] = -3, g[17] = -0.25f;
  c.values(1, 1, {0.5f});  // clipping scale: m = (1 - beta1) * 0.5 g, v = (1 - beta2) * (0.5 g)^2
  for (KernelSet set : kSets) {
    const auto after = c.run(set);
    for (int i : {0, 1, 2}) EXPECT_NEAR(after[0][i], 1.8, 2e-6);
    for (int i : {16, 17}) EXPECT_NEAR(after[0][i], 2.1, 2e-6);
    EXPECT_EQ(after[0][3], 2);  // padding is not touched
    EXPECT_NEAR(after[1][0], 0.1 * 0.25, 1e-8);
    EXPECT_NEAR(after[1][32], 0.01 * 0.0625, 1e-9);
    EXPECT_NEAR(after[1][16], 0.1 * -1.5, 1e-7);
  }
}

TEST(Optimizer, AdamWCorrectsTheBiasOfItsStep) {
  // Step 1 with m = 0.19 g, v = 0.0199 g^2 held by beta = 1 - ... : a constant gradient g keeps m / (1 - beta1^t) = g
  // and v / (1 - beta2^t) = g^2, so that every step moves by lr.
  const Record weights = two_fields(), gradients = two_fields(), state = state_of_two_fields();
  KernelCase c(Kernel::adamw);
  c.hyperparameters = {.learning_rate = 0.1f, .beta1 = 0.9f, .beta2 = 0.99f, .epsilon = 1e-8f, .weight_decay = 0};
  c.step = 1;
  for (float& w : c.record(weights)) w = 2;
  auto& s = c.record(state);
  for (int i = 0; i < 32; ++i) s[i] = 0.1f * 3;        // m after step 0
  for (int i = 32; i < 64; ++i) s[i] = 0.01f * 3 * 3;  // v after step 0
  for (float& g : c.record(gradients)) g = 3;
  c.values(1, 1, {1});
  for (KernelSet set : kSets) EXPECT_NEAR(c.run(set)[0][0], 1.9, 2e-6);
}

TEST(Optimizer, SgdByHand) {
  // 2 - 0.1 * 0.5 * 4 = 1.8
  const Record weights = two_fields(), gradients = two_fields();
  KernelCase c(Kernel::sgd);
  c.hyperparameters.learning_rate = 0.1f;
  for (float& w : c.record(weights)) w = 2;
  for (float& g : c.record(gradients)) g = 4;
  c.values(1, 1, {0.5f});
  for (KernelSet set : kSets) {
    const auto after = c.run(set);
    EXPECT_NEAR(after[0][0], 1.8, 1e-6);
    EXPECT_NEAR(after[0][17], 1.8, 1e-6);
    EXPECT_EQ(after[0][18], 2);
  }
}

TEST(Optimizer, FastStepMatchesPlain) {
  Record weights, state;
  for (uint32_t i = 0; i < 3; ++i) weights.fields.push_back(field("w", 7001 + i, 5, 2 - i % 2, i * 140160));
  weights.bytes = 3 * 140160;
  for (uint32_t i = 0; i < 6; ++i) state.fields.push_back(field("s", 7001 + i % 3, 5, 2, i * 140160));
  state.bytes = 6 * 140160;
  KernelCase c(Kernel::adamw);
  c.step = 3;
  c.record(weights);
  for (float& s : c.record(state)) s = std::abs(s) * 0.01f;
  c.record(weights);
  c.values(1, 1, {0.7f});
  const auto plain = c.run(KernelSet::plain);
  for (int threads : {1, 2}) {
    c.rank.threads = threads;
    const auto fast = c.run(KernelSet::fast);
    for (int operand : {0, 1})
      for (size_t i = 0; i < plain[operand].size(); ++i)
        ASSERT_NEAR(fast[operand][i], plain[operand][i], 1e-6 * (0.1 + std::abs(plain[operand][i])));
  }
}

TEST(Optimizer, InputCopiesTokensAndTargets) {
  // The host holds the micro-batch's tokens, then its targets.
  const int32_t host[] = {1, 2, 3, 4, 5, 6};
  Op op;
  op.kernel = Kernel::input;
  op.num_operands = 2;
  int32_t tokens[3], targets[3];
  Launch launch;
  launch.op = &op;
  launch.host_tokens = host;
  launch.operands[0] = {reinterpret_cast<std::byte*>(tokens), sizeof tokens, DType::i32, {3, 1}, nullptr};
  launch.operands[1] = {reinterpret_cast<std::byte*>(targets), sizeof targets, DType::i32, {3, 1}, nullptr};
  run_kernel(KernelSet::fast, launch, {});
  for (int i : {0, 1, 2}) {
    EXPECT_EQ(tokens[i], i + 1);
    EXPECT_EQ(targets[i], i + 4);
  }
}

}  // namespace
}  // namespace pgram
