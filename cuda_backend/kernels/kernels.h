// Our own kernels behind typed launchers. What each computes, and the order of its tensors (written ones first):
// core/plan/kernel.h. All pointers are device memory, all tensors row-major fp32; widths are in elements. Every sum is
// made in a fixed order and no kernel uses atomics, so repeats are bit-equal.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>

#include "cuda_backend/kernels/tensor_list.h"

namespace pgram::kernels {

/// This rank's rows of the vocabulary: tokens [first, first + real).
struct TokenRange {
  int64_t first, real;
};

// tokens.cu
cudaError_t embed(float* y, const int32_t* tokens, const float* table, int64_t n, int width, TokenRange, cudaStream_t);
/// `chains`: workspace of 2 n integers.
cudaError_t embed_dw(float* dtable, const float* dy, const int32_t* tokens, int64_t n, int width, TokenRange,
                     int32_t* chains, cudaStream_t);
/// Row t has position (first + t) % sequence.
cudaError_t positions(float* y, const float* x, const float* table, int64_t n, int width, int64_t first,
                      int64_t sequence, cudaStream_t);
cudaError_t positions_dw(float* dtable, const float* dy, int64_t n, int width, int64_t first, int64_t sequence,
                         cudaStream_t);

// norms.cu; `d` is added to dx if it is not null
cudaError_t rms_norm(float* y, float* rstd, const float* x, const float* g, int64_t n, int width, float epsilon,
                     cudaStream_t);
cudaError_t rms_norm_dx(float* dx, const float* dy, const float* x, const float* g, const float* rstd, const float* d,
                        int64_t n, int width, cudaStream_t);
cudaError_t layer_norm(float* y, float* stats, const float* x, const float* g, const float* b, int64_t n, int width,
                       float epsilon, cudaStream_t);
cudaError_t layer_norm_dx(float* dx, const float* dy, const float* x, const float* g, const float* stats,
                          const float* d, int64_t n, int width, cudaStream_t);

// column_sums.cu; `partial`: workspace of column_partials() floats
int64_t column_partials(int64_t n, int width, int outputs);
cudaError_t bias_dw(float* db, const float* dy, int64_t n, int width, float* partial, cudaStream_t);
cudaError_t rms_norm_dw(float* dg, const float* dy, const float* x, const float* rstd, int64_t n, int width,
                        float* partial, cudaStream_t);
cudaError_t layer_norm_dw(float* dg, float* db, const float* dy, const float* x, const float* stats, int64_t n,
                          int width, float* partial, cudaStream_t);

/// Queries, keys and values of a token: [heads * size | kv_heads * size | kv_heads * size].
struct Heads {
  int size, heads, kv_heads;
};
constexpr int kMaxHeadSize = 256;

// head_norm.cu
cudaError_t head_norm(float* y, const float* qkv, const float* gq, const float* gk, int64_t n, Heads, float epsilon,
                      cudaStream_t);
cudaError_t head_norm_dx(float* dqkv, const float* dy, const float* qkv, const float* gq, const float* gk, int64_t n,
                         Heads, float epsilon, cudaStream_t);
/// `partial`: workspace of column_partials(n, size, 2) floats.
cudaError_t head_norm_dw(float* dgq, float* dgk, const float* dy, const float* qkv, int64_t n, Heads, float epsilon,
                         float* partial, cudaStream_t);

/// Pair j of a head, (j, j + pairs), turns by turns[j] full circles per position.
struct Rotation {
  double turns[kMaxHeadSize / 2];
  int pairs;
  float direction;  ///< 1, or -1 for the inverse
};
// rope.cu
cudaError_t rope(float* qkv, const Rotation&, int64_t n, int64_t sequence, Heads, cudaStream_t);

// attention.cu, attention_bwd.cu; n is a multiple of `sequence`
cudaError_t attention(float* out, float* lse, const float* qkv, int64_t n, int sequence, Heads, cudaStream_t);
/// `delta`: workspace of n * heads floats.
cudaError_t attention_bwd(float* dqkv, const float* dout, const float* qkv, const float* out, const float* lse,
                          int64_t n, int sequence, Heads, float* delta, cudaStream_t);

// elementwise.cu
cudaError_t bias(float* y, const float* x, const float* b, int64_t n, int width, cudaStream_t);
cudaError_t swiglu(float* s, const float* gate_up, int64_t n, int width, cudaStream_t);
cudaError_t swiglu_bwd(float* dgate_up, const float* ds, const float* gate_up, int64_t n, int width, cudaStream_t);
cudaError_t gelu(float* y, const float* x, int64_t count, bool tanh, cudaStream_t);
cudaError_t gelu_bwd(float* dx, const float* dy, const float* x, int64_t count, bool tanh, cudaStream_t);
cudaError_t add(float* y, const float* a, const float* b, int64_t count, cudaStream_t);

// loss.cu; `width` columns of which vocabulary.real count
cudaError_t ce_max(float* max, const float* logits, int64_t n, int width, TokenRange vocabulary, cudaStream_t);
cudaError_t ce_sum(float* stats, const float* logits, const float* max, const int32_t* targets, int64_t n, int width,
                   TokenRange vocabulary, cudaStream_t);
cudaError_t ce_loss(float* loss, const float* stats, int64_t n, float scale, cudaStream_t);
cudaError_t ce_bwd(float* dlogits, const float* logits, const float* max, const float* stats, const int32_t* targets,
                   int64_t n, int width, TokenRange vocabulary, float scale, cudaStream_t);

// optimizer.cu
/// partial[block] <- weighted squares of one chunk each; list.num_blocks of them.
cudaError_t squares(double* partial, const SquaresList& list, cudaStream_t);
/// s += all partials.
cudaError_t add_squares(float* s, const double* partial, int64_t partials, cudaStream_t);
/// limit 0: no clipping.
cudaError_t clip(float* scale, float* norm, const float* s, float limit, cudaStream_t);
/// AdamW's numbers as in core/exec/optimizer_fields.h; *scale is the clipping factor.
struct AdamNumbers {
  float beta1, beta2, epsilon, step, root;
};
cudaError_t adamw(const AdamList&, AdamNumbers, const float* scale, cudaStream_t);
cudaError_t sgd(const SgdList&, float learning_rate, const float* scale, cudaStream_t);

}  // namespace pgram::kernels
