// KernelCases: every kernel of a shape on random data, for any kernel set that is to match the plain one.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <ostream>
#include <string>

#include "core/model/model.h"
#include "tests/cpu_kernels/kernel_case.h"

namespace pgram {

struct Shape {
  uint32_t sequences, sequence, width, head_dim, heads, kv_heads, vocabulary, tp_size, tp_rank;
  uint32_t tokens() const { return sequences * sequence; }
  uint32_t qkv() const { return (heads + 2 * kv_heads) * head_dim; }
};
inline std::ostream& operator<<(std::ostream& out, const Shape& s) {
  return out << s.sequences << "x" << s.sequence << " width " << s.width << " heads " << s.heads << "/" << s.kv_heads
             << "x" << s.head_dim << " vocabulary " << s.vocabulary << " tp " << s.tp_rank << "/" << s.tp_size;
}

/// What the kernels of one shape share.
inline KernelCase make(Kernel kernel, const Shape& s) {
  KernelCase c(kernel, 17 + s.sequence);
  c.attributes.sequence = s.sequence;
  c.attributes.head_dim = s.head_dim;
  c.attributes.heads = s.heads;
  c.attributes.kv_heads = s.kv_heads;
  c.attributes.rotary_dims = std::max(2u, s.head_dim / 4 * 2);
  c.attributes.rope_base = 10000;
  c.attributes.epsilon = 1e-5f;
  c.attributes.scale = 1.0f / static_cast<float>(s.tokens());
  c.rank = {s.tp_rank, s.tp_size, 1};
  return c;
}

inline KernelCase rows_case(Kernel kernel, const Shape& s, std::initializer_list<int> widths) {
  KernelCase c = make(kernel, s);
  // 0: [n]; -1: [n, width]; -2: [width]; -3: [n, 2 width]
  for (int w : widths) {
    if (w == -1) c.floats(s.tokens(), s.width);
    if (w == -2) c.floats(s.width, 1);
    if (w == -3) c.floats(s.tokens(), 2 * s.width);
    if (w > 0) c.floats(s.tokens(), w, 0.1f, 1.0f);
  }
  return c;
}

inline KernelCase loss_case(Kernel kernel, const Shape& s, bool gradient) {
  KernelCase c = make(kernel, s);
  const uint32_t local = (s.vocabulary + s.tp_size - 1) / s.tp_size;  // the last shard has padding
  c.attributes.vocabulary = s.vocabulary;
  if (kernel == Kernel::ce_max) c.floats(s.tokens(), 1), c.floats(s.tokens(), local, 3);
  if (kernel == Kernel::ce_sum)
    c.floats(s.tokens(), 2), c.floats(s.tokens(), local, 3), c.floats(s.tokens(), 1, 0.1f, 9.0f);
  if (gradient)
    c.floats(s.tokens(), local), c.floats(s.tokens(), local, 3), c.floats(s.tokens(), 1, 0.1f, 9.0f),
        c.floats(s.tokens(), 2, 0.1f, 3.0f);
  if (kernel != Kernel::ce_max) c.integers(s.tokens(), s.vocabulary);
  return c;
}

inline KernelCase attention_case(Kernel kernel, const Shape& s) {
  KernelCase forward = make(Kernel::attention, s);
  forward.floats(s.tokens(), s.heads * s.head_dim);
  forward.floats(s.tokens(), s.heads);
  forward.floats(s.tokens(), s.qkv());
  if (kernel == Kernel::attention) return forward;
  const auto after = forward.run(KernelSet::plain);
  KernelCase backward = make(Kernel::attention_bwd, s);
  backward.floats(s.tokens(), s.qkv());
  backward.floats(s.tokens(), s.heads * s.head_dim);
  backward.values(s.tokens(), s.qkv(), after[2]);
  backward.values(s.tokens(), s.heads * s.head_dim, after[0]);
  backward.values(s.tokens(), s.heads, after[1]);
  return backward;
}

/// The cases of a shape, one or more for every kernel but the optimizer's, ce_loss, zero and input.
inline std::vector<KernelCase> cases(const Shape& s) {
  std::vector<KernelCase> all;
  const auto add = [&](KernelCase c) { all.push_back(std::move(c)); };
  const uint32_t n = s.tokens(), local = (s.vocabulary + s.tp_size - 1) / s.tp_size;
  add(rows_case(Kernel::rms_norm, s, {-1, 1, -1, -2}));
  add(rows_case(Kernel::rms_norm_dx, s, {-1, -1, -1, -2, 1}));
  add(rows_case(Kernel::rms_norm_dx, s, {-1, -1, -1, -2, 1, -1}));
  add(rows_case(Kernel::rms_norm_dw, s, {-2, -1, -1, 1}));
  add(rows_case(Kernel::layer_norm, s, {-1, 2, -1, -2, -2}));
  add(rows_case(Kernel::layer_norm_dx, s, {-1, -1, -1, -2, 2}));
  add(rows_case(Kernel::layer_norm_dx, s, {-1, -1, -1, -2, 2, -1}));
  add(rows_case(Kernel::layer_norm_dw, s, {-2, -2, -1, -1, 2}));
  add(rows_case(Kernel::bias, s, {-1, -1, -2}));
  add(rows_case(Kernel::bias_dw, s, {-2, -1}));
  add(rows_case(Kernel::add, s, {-1, -1, -1}));
  add(rows_case(Kernel::swiglu, s, {-1, -3}));
  add(rows_case(Kernel::swiglu_bwd, s, {-3, -1, -3}));
  for (Activation activation : {Activation::gelu_tanh, Activation::gelu_erf}) {
    add(rows_case(Kernel::gelu, s, {-1, -1}));
    all.back().attributes.activation = static_cast<uint8_t>(activation);
    add(rows_case(Kernel::gelu_bwd, s, {-1, -1, -1}));
    all.back().attributes.activation = static_cast<uint8_t>(activation);
  }
  for (bool added : {false, true}) {
    KernelCase dx = make(Kernel::matmul_dx, s);
    dx.floats(n, s.width), dx.floats(n, s.qkv()), dx.floats(s.qkv(), s.width);
    if (added) dx.floats(n, s.width);
    add(std::move(dx));
  }
  KernelCase y = make(Kernel::matmul, s), dw = make(Kernel::matmul_dw, s);
  y.floats(n, s.qkv()), y.floats(n, s.width), y.floats(s.qkv(), s.width);
  dw.floats(s.qkv(), s.width), dw.floats(n, s.qkv()), dw.floats(n, s.width);
  add(std::move(y)), add(std::move(dw));
  KernelCase norm = make(Kernel::head_norm, s), norm_dx = make(Kernel::head_norm_dx, s),
             norm_dw = make(Kernel::head_norm_dw, s);
  norm.floats(n, s.qkv()), norm.floats(n, s.qkv()), norm.floats(s.head_dim, 1), norm.floats(s.head_dim, 1);
  norm_dx.floats(n, s.qkv()), norm_dx.floats(n, s.qkv()), norm_dx.floats(n, s.qkv()), norm_dx.floats(s.head_dim, 1),
      norm_dx.floats(s.head_dim, 1);
  norm_dw.floats(s.head_dim, 1), norm_dw.floats(s.head_dim, 1), norm_dw.floats(n, s.qkv()), norm_dw.floats(n, s.qkv());
  add(std::move(norm)), add(std::move(norm_dx)), add(std::move(norm_dw));
  for (Kernel kernel : {Kernel::rope, Kernel::rope_bwd}) {
    KernelCase rope = make(kernel, s);
    rope.floats(n, s.qkv());
    add(std::move(rope));
  }
  add(attention_case(Kernel::attention, s));
  add(attention_case(Kernel::attention_bwd, s));
  add(loss_case(Kernel::ce_max, s, false));
  add(loss_case(Kernel::ce_sum, s, false));
  add(loss_case(Kernel::ce_bwd, s, true));
  KernelCase embed = make(Kernel::embed, s), embed_dw = make(Kernel::embed_dw, s);
  embed.attributes.vocabulary = embed_dw.attributes.vocabulary = s.vocabulary;
  embed.floats(n, s.width), embed.integers(n, s.vocabulary), embed.floats(local, s.width);
  embed_dw.floats(local, s.width), embed_dw.floats(n, s.width), embed_dw.integers(n, s.vocabulary);
  add(std::move(embed)), add(std::move(embed_dw));
  for (uint32_t split : {0u, 1u}) {
    KernelCase to = make(Kernel::positions, s), from = make(Kernel::positions_dw, s);
    to.attributes.heads = from.attributes.heads = split;
    to.floats(n, s.width), to.floats(n, s.width), to.floats(s.sequence + 3, s.width);
    from.floats(s.sequence + 3, s.width), from.floats(n, s.width);
    add(std::move(to)), add(std::move(from));
  }
  return all;
}

/// |values - plain| <= tolerance (|plain| + the tensor's root mean square).
inline void expect_close(const std::vector<float>& values, const std::vector<float>& plain, double tolerance,
                         const std::string& what) {
  double squares = 0;
  for (float v : plain) squares += double{v} * v;
  const double rms = std::sqrt(squares / static_cast<double>(plain.size()));
  for (size_t i = 0; i < plain.size(); ++i)
    ASSERT_LE(std::abs(double{values[i]} - plain[i]), tolerance * (std::abs(plain[i]) + rms))
        << what << ", element " << i << ": " << values[i] << ", plain " << plain[i];
}

}  // namespace pgram
