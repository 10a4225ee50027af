#include "core/planner/tape.h"

#include <algorithm>
#include <cassert>

namespace pgram {

Tape::Tape(uint32_t tp, bool sequence_parallel, DType activation, DType parameter, uint32_t dp)
    : tp_(tp),
      dp_(dp),
      sequence_parallel_(sequence_parallel && tp > 1),
      activation_(activation),
      parameter_(parameter) {}

Var Tape::temporary(const std::string& name, std::vector<uint32_t> dims, DType dtype) {
  Variable v;
  v.field.name = name;
  v.field.dtype = dtype;
  v.field.num_dims = static_cast<uint8_t>(dims.size());
  for (size_t i = 0; i < dims.size(); ++i) v.field.dims[i] = dims[i];
  variables.push_back(std::move(v));
  gradients_.push_back(-1);
  regathered_.push_back(-1);
  return static_cast<Var>(variables.size()) - 1;
}

Var Tape::like(const std::string& name, Var v) {
  const Field& field = at(v).field;
  return temporary(name, std::vector<uint32_t>(field.dims.begin(), field.dims.begin() + field.num_dims), field.dtype);
}

Var Tape::external(const std::string& name, std::vector<uint32_t> dims, DType dtype, Formal formal, uint16_t index) {
  const Var v = temporary(name, std::move(dims), dtype);
  variables[v].formal = static_cast<int>(formal);
  variables[v].index = index;
  return v;
}

Var Tape::parameter(const std::string& name, std::vector<uint32_t> dims, const ParameterOptions& options) {
  const uint16_t index = static_cast<uint16_t>(parameters.size());
  const Var w = external(name, dims, parameter_, Formal::parameters, index);
  Field& field = variables[w].field;
  field.shard_dim = options.shard_dim;
  field.shard_axes = options.sharded && tp_ > 1 ? kTp : 0;
  field.full_dim = options.full_dim;
  field.joined = options.joined;
  field.partial_axes = (dp_ > 1 ? kDp : 0) | (options.tp_partial && tp_ > 1 ? kTp : 0);
  field.stored_name = options.stored_name;
  field.stored_part = options.stored_part;
  field.stored_parts = options.stored_parts;
  field.stored_transposed = options.stored_transposed;
  parameters.push_back(field);
  const Var g = external("d_" + name, std::move(dims), DType::f32, Formal::gradients, index);
  variables[w].gradient = g;
  return w;
}

Var Tape::fused(const std::vector<Var>& parts) {
  const auto merge = [&](const std::vector<Var>& vars, const std::string& name) {
    Variable merged = at(vars.front());
    merged.field.name = name;
    merged.fields = static_cast<uint8_t>(vars.size());
    for (size_t i = 1; i < vars.size(); ++i) merged.field.dims[0] += at(vars[i]).field.dims[0];
    variables.push_back(merged);
    gradients_.push_back(-1);
    regathered_.push_back(-1);
    return static_cast<Var>(variables.size()) - 1;
  };
  std::vector<Var> part_gradients;
  std::string name;
  for (Var part : parts) {
    part_gradients.push_back(at(part).gradient);
    name += (name.empty() ? "" : "+") + at(part).field.name;
  }
  const Var gradient = merge(part_gradients, "d_" + name);
  const Var whole = merge(parts, name);
  variables[whole].gradient = gradient;
  return whole;
}

TapeOp Tape::make(Kernel kernel, std::vector<Var> writes, std::vector<Var> reads, uint64_t flops) const {
  TapeOp op;
  op.kernel = kernel;
  for (Var v : writes) op.bytes += at(v).field.bytes();
  for (Var v : reads) op.bytes += at(v).field.bytes();
  op.writes = std::move(writes);
  op.reads = std::move(reads);
  op.flops = flops;
  return op;
}

TapeOp& Tape::forward_op(Kernel kernel, std::vector<Var> writes, std::vector<Var> reads, uint64_t flops) {
  for (Var v : writes) variables[v].producer = static_cast<int>(forward.size());
  forward.push_back(make(kernel, std::move(writes), std::move(reads), flops));
  return forward.back();
}

Var Tape::matmul(Var x, Var w, const std::string& name) {
  const Var y = activation(name, {rows(x), rows(w)});
  forward_op(Kernel::matmul, {y}, {x, w}, 2ull * rows(x) * rows(w) * columns(w));
  return y;
}

Var Tape::add(Var a, Var b, const std::string& name) {
  const Var y = like(name, a);
  forward_op(Kernel::add, {y}, {a, b}, count(a));
  return y;
}

Var Tape::enter_tensor_parallel(Var x) {
  if (tp_ == 1) return x;
  if (sequence_parallel_) {
    const Var whole = activation(at(x).field.name + "_gathered", {rows(x) * tp_, columns(x)});
    TapeOp& op = forward_op(Kernel::all_gather, {whole}, {x}, 0);
    op.comm = kCommTp;
    op.stream = Stream::tensor;
    op.bytes = at(whole).field.bytes();
    op.conjugate = Conjugate::gather;
    variables[whole].regathered = true;
    return whole;
  }
  // The same values under another name, so that the gradients of all their uses are summed before the all-reduce.
  Variable copy = at(x);
  copy.producer = static_cast<int>(forward.size());
  copy.alias = x;
  variables.push_back(copy);
  gradients_.push_back(-1);
  regathered_.push_back(-1);
  const Var inside = static_cast<Var>(variables.size()) - 1;
  TapeOp op;
  op.writes = {inside};
  op.reads = {x};
  op.conjugate = Conjugate::enter;
  forward.push_back(std::move(op));
  return inside;
}

Var Tape::leave_tensor_parallel(Var x) {
  if (tp_ == 1) return x;
  if (sequence_parallel_) {
    const Var part = activation(at(x).field.name + "_scattered", {rows(x) / tp_, columns(x)});
    TapeOp& op = forward_op(Kernel::reduce_scatter, {part}, {x}, 0);
    op.comm = kCommTp;
    op.stream = Stream::tensor;
    op.bytes = at(x).field.bytes();
    op.conjugate = Conjugate::scatter;
    return part;
  }
  all_reduce(Kernel::all_reduce, x);
  forward.back().conjugate = Conjugate::leave;
  return x;
}

void Tape::all_reduce(Kernel kernel, Var x) {
  TapeOp op = make(kernel, {x}, {}, 0);
  op.read_writes = 1;
  op.comm = kCommTp;
  op.stream = Stream::tensor;
  forward.push_back(std::move(op));
}

void Tape::emit_weight_gradient(TapeOp op) {
  pending_.push_back(std::move(op));
  if (tp_ == 1) flush_weight_gradients();
}

void Tape::flush_weight_gradients() {
  for (TapeOp& op : pending_) emit(std::move(op));
  pending_.clear();
}

void Tape::emit_collective(Kernel kernel, std::vector<Var> writes, std::vector<Var> reads) {
  TapeOp op = make(kernel, std::move(writes), std::move(reads), 0);
  op.comm = kCommTp;
  op.stream = Stream::tensor;
  uint64_t bytes = 0;  // nccl-tests' size: the larger side
  for (Var v : op.writes) bytes = std::max(bytes, at(v).field.bytes());
  for (Var v : op.reads) bytes = std::max(bytes, at(v).field.bytes());
  op.bytes = bytes;
  if (op.reads.empty()) op.read_writes = 1;
  emit(std::move(op));
  flush_weight_gradients();
}

TapeOp& Tape::emit_accumulating(Kernel kernel, Var x, std::vector<Var> reads, uint64_t flops) {
  if (gradient_of(x) >= 0) reads.push_back(gradient_of(x));
  const Var d = like("d_" + at(x).field.name, x);
  gradients_[x] = d;
  emit(make(kernel, {d}, std::move(reads), flops));
  return backward.back();
}

void Tape::contribute(Var x, Var gradient) {
  if (gradient_of(x) < 0) {
    gradients_[x] = gradient;
    return;
  }
  const Var sum = like("d_" + at(x).field.name, x);
  emit(make(Kernel::add, {sum}, {gradient_of(x), gradient}, count(x)));
  gradients_[x] = sum;
}

Var Tape::saved_value(Var x) {
  if (!at(x).regathered) return x;
  if (regathered_[x] < 0) {
    TapeOp op = forward[at(x).producer];
    const Var again = like(at(x).field.name + "_again", x);
    regathered_[x] = again;
    op.writes = {again};
    op.conjugate = Conjugate::none;
    emit(std::move(op));
  }
  return regathered_[x];
}

void Tape::derive_backward(Var y, Var dy) {
  if (y >= 0) gradients_[y] = dy;
  for (size_t i = forward.size(); i-- > 0;) derive(TapeOp(forward[i]));
  flush_weight_gradients();
  std::erase_if(forward, [](const TapeOp& op) { return op.conjugate == Conjugate::enter; });
}

void Tape::derive_conjugate(const TapeOp& op) {
  const Var z = op.writes[0];
  switch (op.conjugate) {
    case Conjugate::enter:
      emit_collective(Kernel::all_reduce, {gradient_of(z)}, {});
      contribute(op.reads[0], gradient_of(z));
      break;
    case Conjugate::gather: {
      const Var part = like("d_" + at(op.reads[0]).field.name, op.reads[0]);
      emit_collective(Kernel::reduce_scatter, {part}, {gradient_of(z)});
      contribute(op.reads[0], part);
      break;
    }
    case Conjugate::scatter: {
      const Var whole = like("d_" + at(op.reads[0]).field.name, op.reads[0]);
      emit_collective(Kernel::all_gather, {whole}, {gradient_of(z)});
      contribute(op.reads[0], whole);
      break;
    }
    default:
      break;  // leave: the gradient passes as it is
  }
}

void Tape::derive(const TapeOp& op) {
  if (op.conjugate != Conjugate::none) return derive_conjugate(op);
  const auto d = [&](int i) { return gradient_of(op.writes[i]); };
  const auto parameter_gradient = [&](Var w) { return at(w).gradient; };
  const auto weight_op = [&](Kernel kernel, std::vector<Var> writes, std::vector<Var> reads, uint64_t flops) {
    TapeOp g = make(kernel, std::move(writes), std::move(reads), flops);
    for (Var w : g.writes) g.bytes += at(w).field.bytes();  // read as well: accumulated
    g.read_writes = static_cast<uint8_t>((1u << g.writes.size()) - 1);
    g.attributes = op.attributes;
    emit_weight_gradient(std::move(g));
  };
  switch (op.kernel) {
    case Kernel::matmul: {
      const Var x = op.reads[0], w = op.reads[1], dy = d(0);
      const Var saved = saved_value(x);  // before the dgrad product, so that the gather hides under it
      emit_accumulating(Kernel::matmul_dx, x, {dy, w}, op.flops);
      weight_op(Kernel::matmul_dw, {parameter_gradient(w)}, {dy, saved}, op.flops);
      break;
    }
    case Kernel::bias:
      weight_op(Kernel::bias_dw, {parameter_gradient(op.reads[1])}, {d(0)}, count(op.writes[0]));
      contribute(op.reads[0], d(0));
      break;
    case Kernel::rms_norm: {
      const Var x = op.reads[0], gain = op.reads[1], rstd = op.writes[1], dy = d(0);
      emit_accumulating(Kernel::rms_norm_dx, x, {dy, x, gain, rstd}, 8 * count(x)).attributes = op.attributes;
      weight_op(Kernel::rms_norm_dw, {parameter_gradient(gain)}, {dy, x, rstd}, 4 * count(x));
      break;
    }
    case Kernel::layer_norm: {
      const Var x = op.reads[0], gain = op.reads[1], bias = op.reads[2], stats = op.writes[1], dy = d(0);
      emit_accumulating(Kernel::layer_norm_dx, x, {dy, x, gain, stats}, 10 * count(x)).attributes = op.attributes;
      weight_op(Kernel::layer_norm_dw, {parameter_gradient(gain), parameter_gradient(bias)}, {dy, x, stats},
                5 * count(x));
      break;
    }
    case Kernel::head_norm: {
      const Var qkv = op.reads[0], gq = op.reads[1], gk = op.reads[2], dy = d(0);
      emit_accumulating(Kernel::head_norm_dx, qkv, {dy, qkv, gq, gk}, 8 * count(qkv)).attributes = op.attributes;
      weight_op(Kernel::head_norm_dw, {parameter_gradient(gq), parameter_gradient(gk)}, {dy, qkv}, 6 * count(qkv));
      break;
    }
    case Kernel::rope: {
      TapeOp back = make(Kernel::rope_bwd, {d(0)}, {}, op.flops);
      back.bytes *= 2;
      back.read_writes = 1;
      back.attributes = op.attributes;
      emit(std::move(back));
      break;
    }
    case Kernel::attention: {
      const Var qkv = op.reads[0], o = op.writes[0], lse = op.writes[1];
      const Var dqkv = like("d_qkv", qkv);
      TapeOp back = make(Kernel::attention_bwd, {dqkv}, {d(0), qkv, o, lse}, op.flops * 5 / 2);
      back.attributes = op.attributes;
      emit(std::move(back));
      contribute(qkv, dqkv);
      break;
    }
    case Kernel::swiglu:
    case Kernel::gelu: {
      const Var in = op.reads[0], din = like("d_" + at(in).field.name, in);
      TapeOp back =
          make(op.kernel == Kernel::swiglu ? Kernel::swiglu_bwd : Kernel::gelu_bwd, {din}, {d(0), in}, 10 * count(in));
      back.attributes = op.attributes;
      emit(std::move(back));
      contribute(in, din);
      break;
    }
    case Kernel::add: {
      const Var dy = d(0);
      contribute(op.reads[0], dy);
      contribute(op.reads[1], dy);
      break;
    }
    case Kernel::positions: {
      weight_op(Kernel::positions_dw, {parameter_gradient(op.reads[1])}, {d(0)}, count(op.writes[0]));
      contribute(op.reads[0], d(0));
      break;
    }
    case Kernel::embed:
      weight_op(Kernel::embed_dw, {parameter_gradient(op.reads[1])}, {d(0), op.reads[0]}, count(op.writes[0]));
      break;
    case Kernel::ce_loss: {  // reads: statistics, maximum, logits, targets
      const Var logits = op.reads[2], dlogits = like("d_logits", logits);
      TapeOp back = make(Kernel::ce_bwd, {dlogits}, {logits, op.reads[1], op.reads[0], op.reads[3]}, 4 * count(logits));
      back.attributes = op.attributes;
      emit(std::move(back));
      contribute(logits, dlogits);
      break;
    }
    default:
      break;  // statistics of the cross-entropy: their gradient is in ce_bwd
  }
}

void Tape::rename_gradient(Var x, Var external) {
  rename(gradient_of(x), external);
}

void Tape::rename(Var x, Var external) {
  assert(x >= 0 && at(x).formal < 0);
  for (std::vector<TapeOp>* list : {&forward, &backward}) {
    for (TapeOp& op : *list) {
      std::replace(op.writes.begin(), op.writes.end(), x, external);
      std::replace(op.reads.begin(), op.reads.end(), x, external);
    }
  }
}

}  // namespace pgram
