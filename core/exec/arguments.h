// Arguments: how the kernels read their operands. Widths come from the last dim, rows from the size, so that joined
// fields (several weights as one) need no special case.
#pragma once
#include <cassert>
#include <cstdint>

#include "core/exec/backend.h"

namespace pgram {

inline float* floats(const Launch& launch, int operand) {
  assert(operand < launch.op->num_operands);
  return launch.operands[operand].f32();
}
inline int32_t* integers(const Launch& launch, int operand) {
  assert(operand < launch.op->num_operands);
  return launch.operands[operand].i32();
}
/// The optional last operand of the *_dx kernels, added to their result; null if the op has none.
inline const float* optional_floats(const Launch& launch, int operand) {
  return operand < launch.op->num_operands ? launch.operands[operand].f32() : nullptr;
}
inline int64_t count(const Launch& launch, int operand) {
  return static_cast<int64_t>(launch.operands[operand].count());
}
/// Elements per token of an activation.
inline int64_t width(const Launch& launch, int operand) {
  return launch.operands[operand].dims[1];
}
inline int64_t rows(const Launch& launch, int operand) {
  return count(launch, operand) / width(launch, operand);
}

/// Queries, keys and values of one token: [heads * d | kv_heads * d | kv_heads * d].
struct HeadShape {
  int64_t sequence, d, heads, kv_heads;
  explicit HeadShape(const Attributes& a) : sequence(a.sequence), d(a.head_dim), heads(a.heads), kv_heads(a.kv_heads) {}
  int64_t width() const { return (heads + 2 * kv_heads) * d; }
  int64_t group() const { return heads / kv_heads; }  ///< query heads per key head
  int64_t key(int64_t kv_head) const { return (heads + kv_head) * d; }
  int64_t value(int64_t kv_head) const { return (heads + kv_heads + kv_head) * d; }
};

/// Global vocabulary index of this rank's first row or logit column; [first, end) are real tokens, the rest padding.
struct VocabularyShard {
  int64_t first, real;
  VocabularyShard(int64_t local, uint32_t vocabulary, uint32_t tp_rank) : first(tp_rank * local), real(local) {
    if (vocabulary > 0) real = first >= vocabulary ? 0 : (first + local > vocabulary ? vocabulary - first : local);
  }
  /// Local index of a token, -1 if it is not in this shard.
  int64_t local(int32_t token) const {
    const int64_t i = token - first;
    return i >= 0 && i < real ? i : -1;
  }
};

/// Place of this rank's token 0 among the micro-batch's, sequences lying one behind the other: `positions` with
/// Attributes::heads = 1 holds a rank's share [tp_rank * n, (tp_rank + 1) * n) of that list (sequence parallelism).
inline int64_t first_token(const Launch& launch, int64_t n, uint32_t tp_rank) {
  return launch.attributes->heads == 1 ? tp_rank * n : 0;
}

}  // namespace pgram
