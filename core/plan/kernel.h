// Kernel: one kind of operation. The one table of names, categories and shape keys.
#pragma once
#include <array>
#include <cstdint>
#include <string_view>

namespace pgram {

struct Plan;
struct Body;
struct Op;

/// Operand order is fixed per kernel: written operands first. [n] = tokens of the micro-batch on this rank.
enum class Kernel : uint8_t {
  input,          ///< tokens[n], targets[n] <- the data
  embed,          ///< y[n,h] <- tokens[n], E[v,h]; rows outside this rank's vocabulary shard give zero
  embed_dw,       ///< dE[v,h] += dy[n,h], tokens[n]
  positions,      ///< y[n,h] <- x[n,h], P[max,h]: learned positions added
  positions_dw,   ///< dP[max,h] += dy[n,h]
  rms_norm,       ///< y[n,h], rstd[n] <- x[n,h], g[h]
  rms_norm_dx,    ///< dx[n,h] <- dy, x, g, rstd (, accumulated d)
  rms_norm_dw,    ///< dg[h] += dy, x, rstd
  layer_norm,     ///< y[n,h], stats[n,2] (mean, rstd) <- x, g, b
  layer_norm_dx,  ///< dx <- dy, x, g, stats (, accumulated d)
  layer_norm_dw,  ///< dg += , db += <- dy, x, stats
  matmul,         ///< y[n,o] <- x[n,i], W[o,i]
  matmul_dx,      ///< dx[n,i] <- dy[n,o], W[o,i] (, accumulated d[n,i])
  matmul_dw,      ///< dW[o,i] += dy[n,o], x[n,i]
  bias,           ///< y[n,o] <- x[n,o], b[o]
  bias_dw,        ///< db[o] += dy[n,o]
  head_norm,      ///< y[n,(a+2g)d] <- qkv, gq[d], gk[d]: RMS norm of each query and key head, values copied
  head_norm_dx,   ///< dqkv <- dy, qkv, gq, gk
  head_norm_dw,   ///< dgq += , dgk += <- dy, qkv
  rope,           ///< qkv[n,(a+2g)d] rotated in place (queries and keys)
  rope_bwd,       ///< the inverse rotation, in place
  attention,      ///< o[n,a*d], lse[n,a] <- qkv[n,(a+2g)d]; causal, online softmax
  attention_bwd,  ///< dqkv <- do, qkv, o, lse
  swiglu,         ///< s[n,f] <- gu[n,2f] (gate, up)
  swiglu_bwd,     ///< dgu[n,2f] <- ds[n,f], gu
  gelu,           ///< y[n,f] <- x[n,f]
  gelu_bwd,       ///< dx <- dy, x
  add,            ///< y <- a, b
  ce_max,         ///< m[n] <- logits[n,v]
  ce_sum,         ///< st[n,2] (sum of exp, target logit - m) <- logits, m, targets
  ce_loss,        ///< loss[1] += <- st, m
  ce_bwd,         ///< dlogits[n,v] <- logits, m, st, targets
  zero,           ///< x <- 0
  sum_squares,    ///< s[1] += <- gradients; fields weighted by 1/copies so that the norm counts each once
  clip,           ///< scale[1], norm[1] <- s[1]
  adamw,          ///< W, state (m, v) <- gradients, scale[1]
  sgd,            ///< W <- gradients, scale[1]
  opaque,         ///< no data: a stage op of a schedule, for the law tests; `Attributes::opaque_kind` picks its cost
  // communication from here on
  all_reduce,      ///< x += over the group, in place
  all_reduce_max,  ///< the same, maximum
  all_gather,      ///< y[q*n] <- x[n]
  reduce_scatter,  ///< y[n/q] <- x[n]
  send,            ///< <- x
  recv,            ///< x <-
};
constexpr int kKernels = static_cast<int>(Kernel::recv) + 1;

std::string_view name_of(Kernel);
/// InputError for unknown names.
Kernel parse_kernel(std::string_view);
constexpr bool is_communication(Kernel k) {
  return k >= Kernel::all_reduce;
}
constexpr bool is_point_to_point(Kernel k) {
  return k >= Kernel::send;
}

/// What a span is coloured and summed by.
enum class Category : uint8_t { forward, backward, optimizer, tensor_comm, data_comm, pipeline_comm, other };
constexpr int kCategories = 7;
std::string_view name_of(Category);

/// The numbers that a duration depends on, for measured tables:
/// matmul*: {n, out, in}; attention*: {n, heads, kv_heads*2^32 + head_dim, sequence}; others: {rows, columns}
/// of the first tensor that has two dims, or {elements}; sum_squares, ce_sum, embed_dw, positions_dw: of the first one
/// read. Communication: {bytes}.
std::array<uint64_t, 4> kernel_shape(const Plan&, const Body&, const Op&);

}  // namespace pgram
