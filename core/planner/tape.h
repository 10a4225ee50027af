// Tape: the forward ops of a block, written once; its backward is derived from them by one rule per kernel. The
// tensor-parallel conjugates (Megatron's f and g, and their sequence-parallel forms) are rules as well, so the
// collectives of a layer follow from the forward: see docs/architecture.md, "Collectives of a layer".
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "core/plan/plan.h"

namespace pgram {

/// What a block's body is handed at a call: a formal of the Body.
enum class Formal : uint8_t {
  parameters,
  gradients,
  optimizer,
  tied_parameters,  ///< the embedding's record, read by a tied head on the same rank
  tied_gradients,
  saved,
  scratch,
  x,   ///< activation entering the block
  y,   ///< activation leaving it
  dy,  ///< gradient entering
  dx,  ///< gradient leaving
  io,  ///< tokens and targets
  misc,
};
constexpr int kFormals = static_cast<int>(Formal::misc) + 1;

/// Communicators that every plan has, by index in Plan::comms.
enum CommIndex : uint16_t { kCommTp, kCommDp, kCommModel, kFixedComms };

using Var = int;

struct Variable {
  Field field;
  int formal = -1;          ///< Formal where it lives outside; -1: a temporary that the lowering places
  uint16_t index = 0;       ///< field of that formal's record
  uint8_t fields = 1;       ///< joined fields spanned
  bool regathered = false;  ///< not saved: gathered once more in the backward
  int producer = -1;        ///< index in Tape::forward
  Var gradient = -1;        ///< parameters: where its gradient accumulates
  Var alias = -1;           ///< the same memory as that variable
};

/// Marks of ops that have a backward of their own kind.
enum class Conjugate : uint8_t {
  none,
  enter,   ///< forward nothing, backward all-reduce of the gradient (Megatron's f)
  leave,   ///< forward all-reduce, backward nothing (g)
  gather,  ///< sequence parallel: forward all-gather, backward reduce-scatter
  scatter  ///< sequence parallel: forward reduce-scatter, backward all-gather
};

struct TapeOp {
  Kernel kernel = Kernel::opaque;
  std::vector<Var> writes, reads;
  uint8_t read_writes = 0;
  uint16_t comm = kNoComm;
  Stream stream = Stream::compute;
  uint64_t flops = 0, bytes = 0;
  Attributes attributes;
  Conjugate conjugate = Conjugate::none;
};

struct ParameterOptions {
  uint8_t shard_dim = 0;
  bool sharded = false;  ///< over tp
  bool joined = false;
  bool tp_partial = false;  ///< its gradient is a partial sum over tp (qk norms always; norms with sequence parallel)
  uint32_t full_dim = 0;
  std::string stored_name;
  uint8_t stored_part = 0, stored_parts = 1;
  bool stored_transposed = false;
};

class Tape {
 public:
  Tape(uint32_t tp, bool sequence_parallel, DType activation, DType parameter, uint32_t dp);

  Var temporary(const std::string& name, std::vector<uint32_t> dims, DType);
  Var activation(const std::string& name, std::vector<uint32_t> dims) { return temporary(name, dims, activation_); }
  Var like(const std::string& name, Var);
  Var external(const std::string& name, std::vector<uint32_t> dims, DType, Formal, uint16_t index);
  Var parameter(const std::string& name, std::vector<uint32_t> dims, const ParameterOptions&);
  /// Consecutive joined parameters as one matrix.
  Var fused(const std::vector<Var>&);

  TapeOp& forward_op(Kernel, std::vector<Var> writes, std::vector<Var> reads, uint64_t flops);
  Var matmul(Var x, Var w, const std::string& name);  ///< y = x W^T
  Var add(Var a, Var b, const std::string& name);
  Var enter_tensor_parallel(Var x);
  Var leave_tensor_parallel(Var x);
  void all_reduce(Kernel, Var x);  ///< in place over tp, no gradient rule (cross-entropy's statistics)

  /// Derives `backward` from `forward`, the gradient of `y` being `dy` (-1 for the loss block).
  void derive_backward(Var y, Var dy);
  /// The gradient of `x` after derive_backward shall be written to `external` instead of a temporary.
  void rename_gradient(Var x, Var external);
  /// The value of temporary `x` shall be written to `external`.
  void rename(Var x, Var external);

  Var resolve(Var v) const {
    while (variables[static_cast<size_t>(v)].alias >= 0) v = variables[static_cast<size_t>(v)].alias;
    return v;
  }
  const Variable& at(Var v) const { return variables[static_cast<size_t>(v)]; }
  uint64_t count(Var v) const { return at(v).field.count(); }
  uint32_t rows(Var v) const { return at(v).field.dims[0]; }
  uint32_t columns(Var v) const { return at(v).field.dims[1]; }

  std::vector<Variable> variables;
  std::vector<Field> parameters;  ///< of the block's own parameter record, in order
  std::vector<TapeOp> forward, backward;

 private:
  TapeOp make(Kernel, std::vector<Var> writes, std::vector<Var> reads, uint64_t flops) const;
  void derive(const TapeOp&);
  void derive_conjugate(const TapeOp&);
  void emit(TapeOp op) { backward.push_back(std::move(op)); }
  /// Weight gradients wait until the next collective is issued, so that it runs under them.
  void emit_weight_gradient(TapeOp);
  void flush_weight_gradients();
  void emit_collective(Kernel, std::vector<Var> writes, std::vector<Var> reads);
  /// Gradient of `x` by an op that can add what is there already as its last operand.
  TapeOp& emit_accumulating(Kernel, Var x, std::vector<Var> reads, uint64_t flops);
  void contribute(Var x, Var gradient);
  Var saved_value(Var x);  ///< `x` as the backward may read it, gathered again if need be
  Var gradient_of(Var x) const { return gradients_[static_cast<size_t>(x)]; }

  uint32_t tp_, dp_;
  bool sequence_parallel_;
  DType activation_, parameter_;
  std::vector<Var> gradients_;
  std::vector<Var> regathered_;
  std::vector<TapeOp> pending_;
};

}  // namespace pgram
