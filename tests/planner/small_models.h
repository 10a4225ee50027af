// Models by hand, one of each block form, small enough to plan thousands of times.
#pragma once
#include <string>
#include <vector>

#include "core/base/errors.h"
#include "core/layout/layout.h"
#include "core/model/model.h"
#include "core/workload/workload.h"

namespace pgram::test {

/// RMS norm, SwiGLU, rotary positions, grouped queries: nothing but matrices and two gains a layer.
inline Model llama() {
  Model m;
  m.name = "small-llama";
  m.kind = "llama";
  m.layers = 4;
  m.hidden = 64;
  m.heads = 8;
  m.kv_heads = 4;
  m.head_dim = 8;
  m.ffn = 96;
  m.vocabulary = 100;
  m.max_positions = 64;
  m.rotary_dims = 8;
  return m;
}

/// Layer norm, GELU, learned positions, biases everywhere, the head tied to the embedding.
inline Model gpt2() {
  Model m = llama();
  m.name = "small-gpt2";
  m.kind = "gpt2";
  m.kv_heads = 8;
  m.norm = Norm::layer;
  m.activation = Activation::gelu_tanh;
  m.positions = Positions::learned;
  m.rotary_dims = 0;
  m.qkv_bias = m.projection_bias = m.mlp_bias = true;
  m.tied_embeddings = true;
  return m;
}

/// A head's width apart from hidden / heads, and a norm of queries and keys.
inline Model qwen3() {
  Model m = llama();
  m.name = "small-qwen3";
  m.kind = "qwen3";
  m.head_dim = m.rotary_dims = 16;
  m.qk_norm = true;
  return m;
}

/// Parallel residual, a quarter of each head rotated, biases, layer norm.
inline Model gpt_neox() {
  Model m = gpt2();
  m.name = "small-neox";
  m.kind = "gpt_neox";
  m.positions = Positions::rope;
  m.rotary_dims = 2;
  m.activation = Activation::gelu_erf;
  m.parallel_residual = true;
  m.tied_embeddings = false;
  return m;
}

/// Llama's blocks with a tied head.
inline Model tied_llama() {
  Model m = llama();
  m.name = "small-tied-llama";
  m.tied_embeddings = true;
  return m;
}

inline std::vector<Model> all_kinds() {
  return {llama(), gpt2(), qwen3(), gpt_neox(), tied_llama()};
}

inline Workload work(uint32_t global_batch, uint32_t micro_batch, uint32_t sequence = 16,
                     Precision precision = Precision::fp32) {
  Workload w;
  w.global_batch = global_batch;
  w.micro_batch = micro_batch;
  w.sequence = sequence;
  w.precision = precision;
  return w;
}

/// parse_layout with a schedule.
inline Layout layout(const std::string& text, const std::string& schedule = "1f1b") {
  Layout l = parse_layout(text);
  l.schedule = schedule;
  return l;
}

/// what() of the InputError that `action` must throw; "accepted" when it throws none.
template <typename Action>
std::string refusal(Action action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace pgram::test
