// Tiny trainings for the tests: models, data and runs of a layout.
#pragma once
#include <string>

#include "core/exec/interpreter.h"
#include "core/layout/layout.h"
#include "core/planner/planner.h"
#include "cpu_backend/cpu_backend.h"

namespace pgram::testing {

/// Llama's form: RMS norms, grouped queries, rotary positions, SwiGLU, a head of its own. 61 tokens: an odd vocabulary
/// is padded for every tp.
inline Model tiny_llama() {
  Model m;
  m.name = "test-llama";
  m.kind = "llama";
  m.layers = 4, m.hidden = 32, m.heads = 8, m.kv_heads = 4, m.head_dim = 4, m.ffn = 48, m.vocabulary = 61;
  m.max_positions = 64;
  m.rotary_dims = 4;
  return m;
}

/// GPT-2's form: layer norms, biases, learned positions, GELU, tied embeddings.
inline Model tiny_gpt2() {
  Model m;
  m.name = "test-gpt2";
  m.kind = "gpt2";
  m.layers = 4, m.hidden = 32, m.heads = 4, m.kv_heads = 4, m.head_dim = 8, m.ffn = 128, m.vocabulary = 61;
  m.max_positions = 16;
  m.norm = Norm::layer;
  m.activation = Activation::gelu_tanh;
  m.positions = Positions::learned;
  m.qkv_bias = m.projection_bias = m.mlp_bias = true;
  m.tied_embeddings = true;
  return m;
}

inline Workload tiny_workload(Optimizer optimizer = Optimizer::adamw) {
  Workload w;
  w.global_batch = 8;
  w.micro_batch = 1;
  w.sequence = 16;
  w.optimizer = optimizer;
  return w;
}

/// A learnable sequence: the next token is a fixed function of this one, disturbed now and then.
inline void tiny_tokens(uint64_t step, uint32_t index, uint32_t sequence, int32_t* tokens, int32_t* targets) {
  uint32_t state = static_cast<uint32_t>(step * 7919 + index * 104729 + 5);
  int32_t token = static_cast<int32_t>(state % 61);
  for (uint32_t i = 0; i < sequence; ++i) {
    state = state * 1664525u + 1013904223u;
    tokens[i] = token;
    token = (token * 5 + 3 + ((state >> 16) % 10 == 0 ? 7 : 0)) % 61;
    targets[i] = token;
  }
}

inline RunOptions tiny_options(uint32_t steps) {
  RunOptions options;
  options.steps = steps;
  options.tokens = tiny_tokens;
  options.keep_gradients = true;
  options.keep_spans = false;
  return options;
}

inline Plan tiny_plan(const Model& model, const std::string& layout, const Workload& workload = tiny_workload(),
                      const std::string& schedule = "1f1b") {
  Layout l = parse_layout(layout);
  l.schedule = schedule;
  return make_plan(model, l, workload);
}

inline RunResult train(const Plan& plan, const RunOptions& options, const CpuOptions& cpu = {}) {
  CpuBackend backend(plan, cpu);
  return run(plan, backend, options);
}

}  // namespace pgram::testing
