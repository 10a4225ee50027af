#include "core/planner/blocks.h"

#include <algorithm>

namespace pgram {

LocalShape::LocalShape(const Model& model, const Layout& layout, const Workload& workload)
    : tokens(workload.micro_batch * workload.sequence),
      tokens_outside(layout.sequence_parallel ? tokens / layout.tp : tokens),
      hidden(model.hidden),
      heads(model.heads / layout.tp),
      kv_heads(model.kv_heads / layout.tp),
      head_dim(model.head_dim),
      ffn(model.ffn / layout.tp),
      vocabulary((model.vocabulary + layout.tp - 1) / layout.tp),
      activation(workload.precision == Precision::bf16 ? DType::bf16 : DType::f32),
      parameter(activation) {}

namespace {

/// Names under which weights are kept in safetensors files: Hugging Face's for the kinds whose tensors are our own up
/// to transposition and slicing; gpt_neox interleaves query, key and value per head, so it keeps our own names.
class StoredNames {
 public:
  explicit StoredNames(const Model& model) : kind_(model.kind) {}

  ParameterOptions options(const std::string& name) const {
    ParameterOptions o;
    if (kind_ == "gpt2") {
      gpt2(name, o);
    } else if (kind_ == "gpt_neox") {
      o.stored_name = (is_layer(name) ? "layers.{}." : "") + name;
    } else {
      o.stored_name = llama(name);
    }
    return o;
  }

 private:
  static bool is_layer(const std::string& name) {
    static const std::vector<std::string> kOutside{"wte", "wpe", "normf", "bias_normf", "lm_head"};
    return std::find(kOutside.begin(), kOutside.end(), name) == kOutside.end();
  }

  static std::string llama(const std::string& name) {
    static const std::vector<std::pair<std::string, std::string>> kNames{
        {"wte", "model.embed_tokens.weight"},
        {"normf", "model.norm.weight"},
        {"lm_head", "lm_head.weight"},
        {"norm1", "model.layers.{}.input_layernorm.weight"},
        {"norm2", "model.layers.{}.post_attention_layernorm.weight"},
        {"wq", "model.layers.{}.self_attn.q_proj.weight"},
        {"wk", "model.layers.{}.self_attn.k_proj.weight"},
        {"wv", "model.layers.{}.self_attn.v_proj.weight"},
        {"wo", "model.layers.{}.self_attn.o_proj.weight"},
        {"bias_q", "model.layers.{}.self_attn.q_proj.bias"},
        {"bias_k", "model.layers.{}.self_attn.k_proj.bias"},
        {"bias_v", "model.layers.{}.self_attn.v_proj.bias"},
        {"bias_o", "model.layers.{}.self_attn.o_proj.bias"},
        {"norm_q", "model.layers.{}.self_attn.q_norm.weight"},
        {"norm_k", "model.layers.{}.self_attn.k_norm.weight"},
        {"wg", "model.layers.{}.mlp.gate_proj.weight"},
        {"wu", "model.layers.{}.mlp.up_proj.weight"},
        {"wd", "model.layers.{}.mlp.down_proj.weight"},
        {"bias_g", "model.layers.{}.mlp.gate_proj.bias"},
        {"bias_u", "model.layers.{}.mlp.up_proj.bias"},
        {"bias_d", "model.layers.{}.mlp.down_proj.bias"}};
    for (const auto& [ours, theirs] : kNames) {
      if (ours == name) return theirs;
    }
    return name;
  }

  static void gpt2(const std::string& name, ParameterOptions& o) {
    static const std::vector<std::pair<std::string, std::string>> kNames{{"wte", "wte.weight"},
                                                                         {"wpe", "wpe.weight"},
                                                                         {"normf", "ln_f.weight"},
                                                                         {"bias_normf", "ln_f.bias"},
                                                                         {"norm1", "h.{}.ln_1.weight"},
                                                                         {"bias_norm1", "h.{}.ln_1.bias"},
                                                                         {"norm2", "h.{}.ln_2.weight"},
                                                                         {"bias_norm2", "h.{}.ln_2.bias"},
                                                                         {"wo", "h.{}.attn.c_proj.weight"},
                                                                         {"bias_o", "h.{}.attn.c_proj.bias"},
                                                                         {"wu", "h.{}.mlp.c_fc.weight"},
                                                                         {"bias_u", "h.{}.mlp.c_fc.bias"},
                                                                         {"wd", "h.{}.mlp.c_proj.weight"},
                                                                         {"bias_d", "h.{}.mlp.c_proj.bias"}};
    static const std::string kQkv = "qkv";
    o.stored_name = name;
    for (const auto& [ours, theirs] : kNames) {
      if (ours == name) o.stored_name = theirs;
    }
    const bool fused = (name.size() == 2 && name[0] == 'w') || name.rfind("bias_", 0) == 0;
    if (fused && kQkv.find(name.back()) != std::string::npos) {
      o.stored_name = name[0] == 'w' ? "h.{}.attn.c_attn.weight" : "h.{}.attn.c_attn.bias";
      o.stored_part = static_cast<uint8_t>(kQkv.find(name.back()));
      o.stored_parts = 3;
    }
    o.stored_transposed = name.size() == 2 && name[0] == 'w';  // Conv1D keeps [in, out]
  }

  std::string kind_;
};

/// One block under construction: the tape and what its helpers need.
struct Builder {
  const BlockContext& c;
  Tape tape;
  StoredNames names;
  bool split_tokens;  // sequence parallelism: gradients of replicated parameters are partial sums

  explicit Builder(const BlockContext& context)
      : c(context),
        tape(context.tape()),
        names(context.model),
        split_tokens(context.layout.sequence_parallel && context.layout.tp > 1) {}

  Var replicated(const std::string& name, std::vector<uint32_t> dims, bool joined = false,
                 bool always_partial = false) {
    ParameterOptions o = names.options(name);
    o.joined = joined;
    o.tp_partial = split_tokens || always_partial;
    return tape.parameter(name, std::move(dims), o);
  }

  Var sharded(const std::string& name, std::vector<uint32_t> dims, uint8_t dim, bool joined = false,
              uint32_t full = 0) {
    ParameterOptions o = names.options(name);
    o.sharded = true;
    o.shard_dim = dim;
    o.joined = joined;
    o.full_dim = full;
    return tape.parameter(name, std::move(dims), o);
  }

  /// Gains first and joined, so that one operand spans all parameters whose gradient is summed over tp.
  struct NormParameters {
    Var gain, bias;
  };
  NormParameters norm_parameters(const std::string& suffix, bool joined) {
    NormParameters p{replicated("norm" + suffix, {c.shape.hidden}, joined), -1};
    if (c.model.norm == Norm::layer) p.bias = replicated("bias_norm" + suffix, {c.shape.hidden}, true);
    return p;
  }

  Var norm(Var x, NormParameters p, const std::string& name) {
    const Var y = tape.like(name, x);
    Attributes a;
    a.epsilon = c.model.norm_epsilon;
    if (c.model.norm == Norm::rms) {
      const Var rstd = tape.temporary(name + "_rstd", {tape.rows(x)}, DType::f32);
      tape.forward_op(Kernel::rms_norm, {y, rstd}, {x, p.gain}, 4 * tape.count(x)).attributes = a;
    } else {
      const Var stats = tape.temporary(name + "_stats", {tape.rows(x), 2}, DType::f32);
      tape.forward_op(Kernel::layer_norm, {y, stats}, {x, p.gain, p.bias}, 6 * tape.count(x)).attributes = a;
    }
    return y;
  }

  Var with_bias(Var x, Var bias, const std::string& name) {
    const Var y = tape.like(name, x);
    tape.forward_op(Kernel::bias, {y}, {x, bias}, tape.count(x));
    return y;
  }

  Attributes attention_attributes() const {
    Attributes a;
    a.sequence = c.workload.sequence;
    a.head_dim = c.shape.head_dim;
    a.heads = c.shape.heads;
    a.kv_heads = c.shape.kv_heads;
    a.rotary_dims = c.model.rotary_dims;
    a.rope_base = c.model.rope_base;
    a.rope_factor = c.model.rope_scaling.factor;
    a.rope_low = c.model.rope_scaling.low_frequency_factor;
    a.rope_high = c.model.rope_scaling.high_frequency_factor;
    a.rope_original = c.model.rope_scaling.original_positions;
    a.epsilon = c.model.norm_epsilon;
    return a;
  }
};

/// Matrices of a layer's attention and MLP.
struct LayerParameters {
  Builder::NormParameters norm1, norm2;
  Var wo_bias = -1, wd_bias = -1, norm_q = -1, norm_k = -1;
  Var wqkv = -1, bqkv = -1, wo = -1, wup = -1, bup = -1, wd = -1;
};

LayerParameters declare_layer(Builder& b) {
  const LocalShape& s = b.c.shape;
  const Model& m = b.c.model;
  const uint32_t h = s.hidden, q = s.heads * s.head_dim, kv = s.kv_heads * s.head_dim;
  LayerParameters p;
  p.norm1 = b.norm_parameters("1", false);
  p.norm2 = b.norm_parameters("2", true);
  if (m.projection_bias) p.wo_bias = b.replicated("bias_o", {h}, true);
  if (m.mlp_bias) p.wd_bias = b.replicated("bias_d", {h}, true);
  if (m.qk_norm) {
    // Every tp rank sees only its own heads, so these gradients are partial sums with or without sequence parallelism.
    p.norm_q = b.replicated("norm_q", {s.head_dim}, true, true);
    p.norm_k = b.replicated("norm_k", {s.head_dim}, true, true);
  }
  const Var wq = b.sharded("wq", {q, h}, 0), wk = b.sharded("wk", {kv, h}, 0, true),
            wv = b.sharded("wv", {kv, h}, 0, true);
  p.wqkv = b.tape.fused({wq, wk, wv});
  if (m.qkv_bias) {
    const Var bq = b.sharded("bias_q", {q}, 0), bk = b.sharded("bias_k", {kv}, 0, true),
              bv = b.sharded("bias_v", {kv}, 0, true);
    p.bqkv = b.tape.fused({bq, bk, bv});
  }
  p.wo = b.sharded("wo", {h, q}, 1);
  if (m.activation == Activation::swiglu) {
    const Var wg = b.sharded("wg", {s.ffn, h}, 0), wu = b.sharded("wu", {s.ffn, h}, 0, true);
    p.wup = b.tape.fused({wg, wu});
    if (m.mlp_bias) {
      const Var bg = b.sharded("bias_g", {s.ffn}, 0), bu = b.sharded("bias_u", {s.ffn}, 0, true);
      p.bup = b.tape.fused({bg, bu});
    }
  } else {
    p.wup = b.sharded("wu", {s.ffn, h}, 0);
    if (m.mlp_bias) p.bup = b.sharded("bias_u", {s.ffn}, 0);
  }
  p.wd = b.sharded("wd", {h, s.ffn}, 1);
  return p;
}

Var attention_branch(Builder& b, const LayerParameters& p, Var x) {
  Tape& t = b.tape;
  const LocalShape& s = b.c.shape;
  const Attributes attributes = b.attention_attributes();
  Var qkv = t.matmul(t.enter_tensor_parallel(b.norm(x, p.norm1, "h1")), p.wqkv, "qkv");
  if (p.bqkv >= 0) qkv = b.with_bias(qkv, p.bqkv, "qkv_biased");
  if (p.norm_q >= 0) {
    const Var normed = t.like("qkv_normed", qkv);
    t.forward_op(Kernel::head_norm, {normed}, {qkv, p.norm_q, p.norm_k}, 4 * t.count(qkv)).attributes = attributes;
    qkv = normed;
  }
  if (b.c.model.positions == Positions::rope) {
    TapeOp& rope = t.forward_op(Kernel::rope, {qkv}, {}, 4 * t.count(qkv));
    rope.read_writes = 1;
    rope.bytes *= 2;
    rope.attributes = attributes;
  }
  const uint32_t width = s.heads * s.head_dim;
  const Var o = t.activation("o", {s.tokens, width});
  const Var lse = t.temporary("lse", {s.tokens, s.heads}, DType::f32);
  // Causal: half of 2*(QK^T) + 2*(PV) multiply-adds of s x s scores.
  const uint64_t flops = 2ull * s.tokens * b.c.workload.sequence * width;
  t.forward_op(Kernel::attention, {o, lse}, {qkv}, flops).attributes = attributes;
  Var out = t.leave_tensor_parallel(t.matmul(o, p.wo, "attention_out"));
  if (p.wo_bias >= 0) out = b.with_bias(out, p.wo_bias, "attention_biased");
  return out;
}

Var mlp_branch(Builder& b, const LayerParameters& p, Var x) {
  Tape& t = b.tape;
  const LocalShape& s = b.c.shape;
  Var up = t.matmul(t.enter_tensor_parallel(b.norm(x, p.norm2, "h2")), p.wup, "up");
  if (p.bup >= 0) up = b.with_bias(up, p.bup, "up_biased");
  const Var act = t.activation("act", {s.tokens, s.ffn});
  const bool gated = b.c.model.activation == Activation::swiglu;
  TapeOp& op = t.forward_op(gated ? Kernel::swiglu : Kernel::gelu, {act}, {up}, 6 * t.count(up));
  op.attributes.activation = static_cast<uint8_t>(b.c.model.activation);
  Var out = t.leave_tensor_parallel(t.matmul(act, p.wd, "mlp_out"));
  if (p.wd_bias >= 0) out = b.with_bias(out, p.wd_bias, "mlp_biased");
  return out;
}

}  // namespace

Tape embedding_tape(const BlockContext& context) {
  Builder b(context);
  const LocalShape& s = context.shape;
  const Model& m = context.model;
  Tape& t = b.tape;
  const Var tokens = t.external("tokens", {s.tokens}, DType::i32, Formal::io, 0);
  const bool learned = m.positions == Positions::learned;
  const Var wpe = learned ? b.replicated("wpe", {m.max_positions, s.hidden}) : -1;
  const Var wte = b.sharded("wte", {s.vocabulary, s.hidden}, 0, false, m.vocabulary);
  const Var y = t.activation("embedded", {s.tokens, s.hidden});
  TapeOp& look_up = t.forward_op(Kernel::embed, {y}, {tokens, wte}, 0);
  look_up.bytes = 2 * t.at(y).field.bytes() + t.at(tokens).field.bytes();
  look_up.attributes.vocabulary = m.vocabulary;
  Var out = t.leave_tensor_parallel(y);
  if (learned) {
    const Var positioned = t.like("positioned", out);
    TapeOp& op = t.forward_op(Kernel::positions, {positioned}, {out, wpe}, t.count(out));
    op.bytes = 3 * t.at(out).field.bytes();
    op.attributes.sequence = context.workload.sequence;
    op.attributes.heads = b.split_tokens ? 1 : 0;  // tokens are split over tp
    out = positioned;
  }
  t.derive_backward(out, t.external("dy", {s.tokens_outside, s.hidden}, s.activation, Formal::dy, 0));
  t.rename(out, t.external("y", {s.tokens_outside, s.hidden}, s.activation, Formal::y, 0));
  return std::move(b.tape);
}

Tape layer_tape(const BlockContext& context) {
  Builder b(context);
  const LocalShape& s = context.shape;
  Tape& t = b.tape;
  const std::vector<uint32_t> edge{s.tokens_outside, s.hidden};
  const Var x = t.external("x", edge, s.activation, Formal::x, 0);
  const LayerParameters p = declare_layer(b);
  const Var after_attention = t.add(x, attention_branch(b, p, x), "x2");
  // gpt_neox feeds both branches from x; the others feed the MLP from the sum.
  const Var mlp_in = context.model.parallel_residual ? x : after_attention;
  const Var out = t.add(after_attention, mlp_branch(b, p, mlp_in), "out");
  t.derive_backward(out, t.external("dy", edge, s.activation, Formal::dy, 0));
  t.rename(out, t.external("y", edge, s.activation, Formal::y, 0));
  t.rename_gradient(x, t.external("dx", edge, s.activation, Formal::dx, 0));
  return std::move(b.tape);
}

Tape head_tape(const BlockContext& context, bool tied_here) {
  Builder b(context);
  const LocalShape& s = context.shape;
  const Model& m = context.model;
  Tape& t = b.tape;
  const std::vector<uint32_t> edge{s.tokens_outside, s.hidden};
  const Var x = t.external("x", edge, s.activation, Formal::x, 0);
  const Builder::NormParameters normf = b.norm_parameters("f", false);
  Var w;
  if (tied_here) {
    const uint16_t wte = m.positions == Positions::learned ? 1 : 0;  // its field in the embedding's record
    w = t.external("wte", {s.vocabulary, s.hidden}, s.parameter, Formal::tied_parameters, wte);
    t.variables[w].gradient = t.external("d_wte", {s.vocabulary, s.hidden}, DType::f32, Formal::tied_gradients, wte);
  } else {
    w = b.sharded(m.tied_embeddings ? "wte" : "lm_head", {s.vocabulary, s.hidden}, 0, false, m.vocabulary);
    if (m.tied_embeddings) t.parameters.back().duplicate = true;
  }
  const Var logits = t.matmul(t.enter_tensor_parallel(b.norm(x, normf, "hf")), w, "logits");

  Attributes a;
  a.vocabulary = m.vocabulary;
  a.scale = static_cast<float>(1.0 / (static_cast<double>(context.workload.global_batch) * context.workload.sequence));
  const Var targets = t.external("targets", {s.tokens}, DType::i32, Formal::io, 1);
  const Var loss = t.external("loss", {1}, DType::f32, Formal::misc, 1);
  const Var maximum = t.temporary("logit_max", {s.tokens}, DType::f32);
  const Var statistics = t.temporary("ce_statistics", {s.tokens, 2}, DType::f32);
  t.forward_op(Kernel::ce_max, {maximum}, {logits}, t.count(logits)).attributes = a;
  if (context.layout.tp > 1) t.all_reduce(Kernel::all_reduce_max, maximum);
  t.forward_op(Kernel::ce_sum, {statistics}, {logits, maximum, targets}, 4 * t.count(logits)).attributes = a;
  if (context.layout.tp > 1) t.all_reduce(Kernel::all_reduce, statistics);
  TapeOp& op = t.forward_op(Kernel::ce_loss, {loss}, {statistics, maximum, logits, targets}, s.tokens);
  op.attributes = a;
  op.read_writes = 1;
  op.bytes = t.at(statistics).field.bytes();
  t.derive_backward(-1, -1);
  t.forward.back().reads.resize(2);  // the loss itself reads the statistics only; the rest was for its gradient
  t.rename_gradient(x, t.external("dx", edge, s.activation, Formal::dx, 0));
  return std::move(b.tape);
}

}  // namespace pgram
