// Every backward kernel against finite differences of its forward kernel (plain set; the fast one is compared with it).
//
// With y = f(x), loss = sum(y * dy) and a random direction u:
//   (loss(x + e u) - loss(x - e u)) / 2e = sum(dx * u) + O(e^2) + rounding / e.
// With e = 0.01 both errors stay below 2e-3 of |dx|, the typical size of the sum, and a wrong formula is far above.
#include <gtest/gtest.h>

#include <cmath>

#include "core/model/model.h"
#include "tests/cpu_kernels/kernel_case.h"

namespace pgram {
namespace {

double dot(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += double{a[i]} * b[i];
  return sum;
}

std::vector<float> normal(size_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> distribution;
  std::vector<float> values(n);
  for (float& v : values) v = distribution(random);
  return values;
}

/// `gradient` is what a backward kernel said for `forward`'s operand `input`, with `dy` the gradient of operand 0.
void expect_gradient(const KernelCase& forward, int input, const std::vector<float>& dy,
                     const std::vector<float>& gradient) {
  constexpr float kStep = 0.01f;
  const double scale = std::sqrt(dot(gradient, gradient));
  ASSERT_GT(scale, 0);
  for (uint32_t seed = 100; seed < 106; ++seed) {
    const std::vector<float> u = normal(forward[input].size(), seed);
    KernelCase up = forward, down = forward;
    for (size_t i = 0; i < u.size(); ++i) {
      up[input][i] += kStep * u[i];
      down[input][i] -= kStep * u[i];
    }
    const double change = dot(up.run(KernelSet::plain)[0], dy) - dot(down.run(KernelSet::plain)[0], dy);
    EXPECT_NEAR(change / (2 * kStep), dot(gradient, u), 2e-3 * scale)
        << name_of(forward.kernel()) << " by operand " << input;
  }
}

constexpr uint32_t kTokens = 6, kWidth = 10;

KernelCase with_attributes(Kernel kernel) {
  KernelCase c(kernel);
  c.attributes.sequence = 3;
  c.attributes.head_dim = 4;
  c.attributes.heads = 4;
  c.attributes.kv_heads = 2;
  c.attributes.rotary_dims = 4;
  c.attributes.rope_base = 100;
  c.attributes.epsilon = 1e-5f;
  return c;
}
constexpr uint32_t kQkv = (4 + 2 * 2) * 4;

TEST(Gradients, RmsNorm) {
  KernelCase y = with_attributes(Kernel::rms_norm);
  y.floats(kTokens, kWidth), y.floats(kTokens, 1), y.floats(kTokens, kWidth), y.floats(kWidth, 1);
  const auto rstd = y.run(KernelSet::plain)[1], dy = normal(kTokens * kWidth, 9);
  KernelCase dx = with_attributes(Kernel::rms_norm_dx), dw = with_attributes(Kernel::rms_norm_dw);
  dx.floats(kTokens, kWidth), dx.values(kTokens, kWidth, dy), dx.values(kTokens, kWidth, y[2]),
      dx.values(kWidth, 1, y[3]), dx.values(kTokens, 1, rstd);
  dw.values(kWidth, 1, std::vector<float>(kWidth)), dw.values(kTokens, kWidth, dy), dw.values(kTokens, kWidth, y[2]),
      dw.values(kTokens, 1, rstd);
  expect_gradient(y, 2, dy, dx.run(KernelSet::plain)[0]);
  expect_gradient(y, 3, dy, dw.run(KernelSet::plain)[0]);
}

TEST(Gradients, LayerNorm) {
  KernelCase y = with_attributes(Kernel::layer_norm);
  y.floats(kTokens, kWidth), y.floats(kTokens, 2), y.floats(kTokens, kWidth, 2, 3), y.floats(kWidth, 1),
      y.floats(kWidth, 1);
  const auto stats = y.run(KernelSet::plain)[1], dy = normal(kTokens * kWidth, 9);
  KernelCase dx = with_attributes(Kernel::layer_norm_dx), dw = with_attributes(Kernel::layer_norm_dw);
  dx.floats(kTokens, kWidth), dx.values(kTokens, kWidth, dy), dx.values(kTokens, kWidth, y[2]),
      dx.values(kWidth, 1, y[3]), dx.values(kTokens, 2, stats);
  dw.values(kWidth, 1, std::vector<float>(kWidth)), dw.values(kWidth, 1, std::vector<float>(kWidth)),
      dw.values(kTokens, kWidth, dy), dw.values(kTokens, kWidth, y[2]), dw.values(kTokens, 2, stats);
  const auto gradients = dw.run(KernelSet::plain);
  expect_gradient(y, 2, dy, dx.run(KernelSet::plain)[0]);
  expect_gradient(y, 3, dy, gradients[0]);
  expect_gradient(y, 4, dy, gradients[1]);
}

TEST(Gradients, OptionalOperandIsAdded) {
  for (Kernel kernel : {Kernel::rms_norm_dx, Kernel::layer_norm_dx, Kernel::matmul_dx}) {
    KernelCase alone = with_attributes(kernel);
    alone.floats(kTokens, kWidth), alone.floats(kTokens, kWidth);
    if (kernel == Kernel::matmul_dx) {
      alone.floats(kWidth, kWidth);
    } else {
      alone.floats(kTokens, kWidth), alone.floats(kWidth, 1), alone.floats(kTokens, 2);
    }
    KernelCase added = alone;
    const std::vector<float> d = added.floats(kTokens, kWidth);
    const auto without = alone.run(KernelSet::plain)[0], with = added.run(KernelSet::plain)[0];
    for (size_t i = 0; i < d.size(); ++i) EXPECT_NEAR(with[i], without[i] + d[i], 1e-5) << name_of(kernel);
  }
}

TEST(Gradients, MatmulAndBias) {
  const uint32_t o = 7;
  KernelCase y = with_attributes(Kernel::matmul);
  y.floats(kTokens, o), y.floats(kTokens, kWidth), y.floats(o, kWidth);
  const auto dy = normal(kTokens * o, 9);
  KernelCase dx = with_attributes(Kernel::matmul_dx), dw = with_attributes(Kernel::matmul_dw);
  dx.floats(kTokens, kWidth), dx.values(kTokens, o, dy), dx.values(o, kWidth, y[2]);
  dw.values(o, kWidth, std::vector<float>(o * kWidth)), dw.values(kTokens, o, dy), dw.values(kTokens, kWidth, y[1]);
  expect_gradient(y, 1, dy, dx.run(KernelSet::plain)[0]);
  expect_gradient(y, 2, dy, dw.run(KernelSet::plain)[0]);

  KernelCase bias = with_attributes(Kernel::bias), db = with_attributes(Kernel::bias_dw);
  bias.floats(kTokens, o), bias.floats(kTokens, o), bias.floats(o, 1);
  db.values(o, 1, std::vector<float>(o)), db.values(kTokens, o, dy);
  expect_gradient(bias, 2, dy, db.run(KernelSet::plain)[0]);
}

TEST(Gradients, WeightGradientsAccumulate) {
  // dW += dy x with one token: 10 + 2 * 3 = 16; db += dy: 10 + 2 = 12.
  KernelCase dw(Kernel::matmul_dw), db(Kernel::bias_dw);
  dw.values(1, 1, {10}), dw.values(1, 1, {2}), dw.values(1, 1, {3});
  db.values(1, 1, {10}), db.values(1, 1, {2});
  for (KernelSet set : {KernelSet::plain, KernelSet::fast}) {
    EXPECT_EQ(dw.run(set)[0][0], 16);
    EXPECT_EQ(db.run(set)[0][0], 12);
  }
}

TEST(Gradients, HeadNorm) {
  KernelCase y = with_attributes(Kernel::head_norm);
  y.floats(kTokens, kQkv), y.floats(kTokens, kQkv), y.floats(4, 1), y.floats(4, 1);
  const auto dy = normal(kTokens * kQkv, 9);
  KernelCase dx = with_attributes(Kernel::head_norm_dx), dw = with_attributes(Kernel::head_norm_dw);
  dx.floats(kTokens, kQkv), dx.values(kTokens, kQkv, dy), dx.values(kTokens, kQkv, y[1]), dx.values(4, 1, y[2]),
      dx.values(4, 1, y[3]);
  dw.values(4, 1, std::vector<float>(4)), dw.values(4, 1, std::vector<float>(4)), dw.values(kTokens, kQkv, dy),
      dw.values(kTokens, kQkv, y[1]);
  const auto gradients = dw.run(KernelSet::plain);
  expect_gradient(y, 1, dy, dx.run(KernelSet::plain)[0]);
  expect_gradient(y, 2, dy, gradients[0]);
  expect_gradient(y, 3, dy, gradients[1]);
}

TEST(Gradients, Rope) {
  KernelCase y = with_attributes(Kernel::rope), back = with_attributes(Kernel::rope_bwd);
  y.floats(kTokens, kQkv);
  const auto dy = normal(kTokens * kQkv, 9);
  back.values(kTokens, kQkv, dy);
  expect_gradient(y, 0, dy, back.run(KernelSet::plain)[0]);
}

TEST(Gradients, Attention) {
  KernelCase o = with_attributes(Kernel::attention), back = with_attributes(Kernel::attention_bwd);
  o.floats(kTokens, 16), o.floats(kTokens, 4), o.floats(kTokens, kQkv);
  const auto after = o.run(KernelSet::plain);
  const auto d = normal(kTokens * 16, 9);
  back.floats(kTokens, kQkv), back.values(kTokens, 16, d), back.values(kTokens, kQkv, o[2]),
      back.values(kTokens, 16, after[0]), back.values(kTokens, 4, after[1]);
  expect_gradient(o, 2, d, back.run(KernelSet::plain)[0]);
}

TEST(Gradients, Activations) {
  KernelCase s = with_attributes(Kernel::swiglu), ds = with_attributes(Kernel::swiglu_bwd);
  s.floats(kTokens, kWidth), s.floats(kTokens, 2 * kWidth);
  const auto d = normal(kTokens * kWidth, 9);
  ds.floats(kTokens, 2 * kWidth), ds.values(kTokens, kWidth, d), ds.values(kTokens, 2 * kWidth, s[1]);
  expect_gradient(s, 1, d, ds.run(KernelSet::plain)[0]);
  for (Activation activation : {Activation::gelu_tanh, Activation::gelu_erf}) {
    KernelCase y = with_attributes(Kernel::gelu), dx = with_attributes(Kernel::gelu_bwd);
    y.attributes.activation = dx.attributes.activation = static_cast<uint8_t>(activation);
    y.floats(kTokens, kWidth), y.floats(kTokens, kWidth);
    dx.floats(kTokens, kWidth), dx.values(kTokens, kWidth, d), dx.values(kTokens, kWidth, y[1]);
    expect_gradient(y, 1, d, dx.run(KernelSet::plain)[0]);
  }
}

TEST(Gradients, EmbeddingAndPositions) {
  KernelCase y = with_attributes(Kernel::embed), dw = with_attributes(Kernel::embed_dw);
  y.attributes.vocabulary = dw.attributes.vocabulary = 5;
  y.floats(kTokens, kWidth), y.integers({0, 4, 2, 4, 4, 1}), y.floats(5, kWidth);
  const auto dy = normal(kTokens * kWidth, 9);
  dw.values(5, kWidth, std::vector<float>(5 * kWidth)), dw.values(kTokens, kWidth, dy), dw.integers({0, 4, 2, 4, 4, 1});
  expect_gradient(y, 2, dy, dw.run(KernelSet::plain)[0]);

  KernelCase p = with_attributes(Kernel::positions), dp = with_attributes(Kernel::positions_dw);
  p.floats(kTokens, kWidth), p.floats(kTokens, kWidth), p.floats(4, kWidth);
  dp.values(4, kWidth, std::vector<float>(4 * kWidth)), dp.values(kTokens, kWidth, dy);
  expect_gradient(p, 2, dy, dp.run(KernelSet::plain)[0]);
}

}  // namespace
}  // namespace pgram
