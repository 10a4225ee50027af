// Causal attention, backward: probabilities again from lse; ds = p * (do.v - do.o) (Dao et al. 2022, FlashAttention,
// appendix B.2). Two kernels, so that nobody adds to what another block writes: one by queries, one by keys.
#include <cmath>

#include "cuda_backend/kernels/attention_tile.cuh"

namespace pgram::kernels {

/// Rows x others of a block by padded head size, such that four tiles and the weights fit 48 KiB.
template <int kHead>
struct BackwardTile;
template <>
struct BackwardTile<32> : Tile<32, 32, 32, 16, 8, 3> {};
template <>
struct BackwardTile<64> : Tile<64, 32, 32, 8, 16, 3> {};
template <>
struct BackwardTile<128> : Tile<128, 16, 16, 8, 16, 3> {};
template <>
struct BackwardTile<256> : Tile<256, 8, 8, 8, 8, 4> {};

/// dq of a tile of queries, and delta = do.o for the second kernel. Blocks as in the forward.
template <int kHead>
__global__ void __launch_bounds__(BackwardTile<kHead>::kThreads, BackwardTile<kHead>::kBlocks)
    attention_dq_kernel(float* __restrict__ dqkv, float* __restrict__ delta, const float* __restrict__ dout,
                        const float* __restrict__ qkv, const float* __restrict__ out, const float* __restrict__ lse,
                        AttentionShape shape) {
  using T = BackwardTile<kHead>;
  __shared__ __align__(16) float queries[T::kRows * T::kStride];
  __shared__ __align__(16) float douts[T::kRows * T::kStride];
  __shared__ __align__(16) float keys[T::kColumns * T::kStride];
  __shared__ __align__(16) float values[T::kColumns * T::kStride];
  __shared__ __align__(16) float weights[T::kRows * T::kWeightStride];
  const int head = static_cast<int>(blockIdx.x % shape.heads.heads);
  const int64_t token = static_cast<int64_t>(blockIdx.x / shape.heads.heads) * shape.sequence;
  const int first = static_cast<int>(gridDim.y - 1 - blockIdx.y) * T::kRows;
  const int present = shape.sequence - first < T::kRows ? shape.sequence - first : T::kRows;
  const int64_t width = shape.width(), out_width = shape.out_width();
  const float* tokens = qkv + token * width;
  const HeadRows key_rows = shape.rows(tokens + shape.key(shape.kv_head(head)), width);
  const HeadRows value_rows = shape.rows(tokens + shape.value(shape.kv_head(head)), width);

  load_tile<T, T::kRows>(queries, shape.rows(tokens + shape.query(head), width), first, present);
  load_tile<T, T::kRows>(douts, shape.rows(dout + token * out_width + shape.query(head), out_width), first, present);
  __syncthreads();
  float row_lse[T::kOwn], row_delta[T::kOwn];
  for (int i = 0; i < T::kOwn; ++i) {
    const int row = T::thread_row() + i * T::kThreadRows;
    const int64_t t = token + first + row;
    row_lse[i] = 0;
    float dot = 0;
    if (row < present) {
      row_lse[i] = lse[t * shape.heads.heads + head];
      const float* o = out + t * out_width + shape.query(head);
      for (int d = T::thread_column(); d < shape.heads.size; d += T::kThreadColumns)
        dot += douts[row * T::kStride + d] * o[d];
    }
    row_delta[i] = reduce_lanes<T::kThreadColumns>(dot, Sum());
    if (row < present && T::thread_column() == 0) delta[t * shape.heads.heads + head] = row_delta[i];
  }
  Pack<4> dq[T::kOwn][T::kPacks]{};
  for (int key = 0; key < first + present; key += T::kColumns) {
    const int others = shape.sequence - key < T::kColumns ? shape.sequence - key : T::kColumns;
    __syncthreads();  // the last tile is no longer read
    load_tile<T, T::kColumns>(keys, key_rows, key, others);
    load_tile<T, T::kColumns>(values, value_rows, key, others);
    __syncthreads();
    float score[T::kOwn][T::kOther], dp[T::kOwn][T::kOther];
    multiply<T>(score, queries, keys);
    multiply<T>(dp, douts, values);
    for (int i = 0; i < T::kOwn; ++i) {
      const int row = T::thread_row() + i * T::kThreadRows;
      for (int j = 0; j < T::kOther; ++j) {
        const int column = T::thread_column() + j * T::kThreadColumns;
        const float p = key + column <= first + row ? expf(shape.scale * score[i][j] - row_lse[i]) : 0.0f;
        weights[row * T::kWeightStride + column] = shape.scale * p * (dp[i][j] - row_delta[i]);
      }
    }
    __syncwarp();
    add_weighted<T>(dq, weights, keys);
  }
  for (int i = 0; i < T::kOwn; ++i) {
    const int row = T::thread_row() + i * T::kThreadRows;
    if (row >= present) continue;
    float* to = dqkv + (token + first + row) * width + shape.query(head);
    store_row<T>(to, dq[i], 1.0f, shape.heads.size, shape.packs != 0);
  }
}

/// dk and dv of a tile of keys, over all query heads that use them. Blocks: (sequence, key head) along x, tiles of keys
/// along y.
template <int kHead>
__global__ void __launch_bounds__(BackwardTile<kHead>::kThreads, BackwardTile<kHead>::kBlocks)
    attention_dkv_kernel(float* __restrict__ dqkv, const float* __restrict__ delta, const float* __restrict__ dout,
                         const float* __restrict__ qkv, const float* __restrict__ lse, AttentionShape shape) {
  using T = BackwardTile<kHead>;
  __shared__ __align__(16) float keys[T::kRows * T::kStride];
  __shared__ __align__(16) float values[T::kRows * T::kStride];
  __shared__ __align__(16) float queries[T::kColumns * T::kStride];
  __shared__ __align__(16) float douts[T::kColumns * T::kStride];
  __shared__ __align__(16) float probabilities[T::kRows * T::kWeightStride];
  __shared__ __align__(16) float weights[T::kRows * T::kWeightStride];
  const int kv_head = static_cast<int>(blockIdx.x % shape.heads.kv_heads);
  const int64_t token = static_cast<int64_t>(blockIdx.x / shape.heads.kv_heads) * shape.sequence;
  const int first = static_cast<int>(blockIdx.y) * T::kRows;
  const int present = shape.sequence - first < T::kRows ? shape.sequence - first : T::kRows;
  const int64_t width = shape.width(), out_width = shape.out_width();
  const float* tokens = qkv + token * width;

  load_tile<T, T::kRows>(keys, shape.rows(tokens + shape.key(kv_head), width), first, present);
  load_tile<T, T::kRows>(values, shape.rows(tokens + shape.value(kv_head), width), first, present);
  Pack<4> dk[T::kOwn][T::kPacks]{}, dv[T::kOwn][T::kPacks]{};
  const int group = shape.heads.heads / shape.heads.kv_heads;
  for (int head = kv_head * group; head < (kv_head + 1) * group; ++head) {
    const HeadRows query_rows = shape.rows(tokens + shape.query(head), width);
    const HeadRows dout_rows = shape.rows(dout + token * out_width + shape.query(head), out_width);
    for (int query = first / T::kColumns * T::kColumns; query < shape.sequence; query += T::kColumns) {
      const int others = shape.sequence - query < T::kColumns ? shape.sequence - query : T::kColumns;
      __syncthreads();  // the last tile is no longer read
      load_tile<T, T::kColumns>(queries, query_rows, query, others);
      load_tile<T, T::kColumns>(douts, dout_rows, query, others);
      __syncthreads();
      float score[T::kOwn][T::kOther], dp[T::kOwn][T::kOther];
      multiply<T>(score, keys, queries);
      multiply<T>(dp, values, douts);
      for (int j = 0; j < T::kOther; ++j) {
        const int column = T::thread_column() + j * T::kThreadColumns;
        const int64_t at = (token + query + column) * shape.heads.heads + head;
        const bool exists = column < others;
        const float column_lse = exists ? lse[at] : 0.0f, column_delta = exists ? delta[at] : 0.0f;
        for (int i = 0; i < T::kOwn; ++i) {
          const int row = T::thread_row() + i * T::kThreadRows;
          const bool seen = exists && first + row <= query + column;
          const float p = seen ? expf(shape.scale * score[i][j] - column_lse) : 0.0f;
          probabilities[row * T::kWeightStride + column] = p;
          weights[row * T::kWeightStride + column] = shape.scale * p * (dp[i][j] - column_delta);
        }
      }
      __syncwarp();
      add_weighted<T>(dv, probabilities, douts);
      add_weighted<T>(dk, weights, queries);
    }
  }
  for (int i = 0; i < T::kOwn; ++i) {
    const int row = T::thread_row() + i * T::kThreadRows;
    if (row >= present) continue;
    float* to = dqkv + (token + first + row) * width;
    store_row<T>(to + shape.key(kv_head), dk[i], 1.0f, shape.heads.size, shape.packs != 0);
    store_row<T>(to + shape.value(kv_head), dv[i], 1.0f, shape.heads.size, shape.packs != 0);
  }
}

template <int kHead>
cudaError_t launch_attention_bwd(float* dqkv, const float* dout, const float* qkv, const float* out, const float* lse,
                                 int64_t n, float* delta, const AttentionShape& shape, cudaStream_t stream) {
  using T = BackwardTile<kHead>;
  const unsigned sequences = static_cast<unsigned>(n / shape.sequence), tiles = blocks_for(shape.sequence, T::kRows);
  const cudaError_t error = launch<attention_dq_kernel<kHead>>(
      dim3(sequences * shape.heads.heads, tiles), dim3(T::kThreads), stream, dqkv, delta, dout, qkv, out, lse, shape);
  if (error != cudaSuccess) return error;
  return launch<attention_dkv_kernel<kHead>>(dim3(sequences * shape.heads.kv_heads, tiles), dim3(T::kThreads), stream,
                                             dqkv, delta, dout, qkv, lse, shape);
}

cudaError_t attention_bwd(float* dqkv, const float* dout, const float* qkv, const float* out, const float* lse,
                          int64_t n, int sequence, Heads heads, float* delta, cudaStream_t stream) {
  const AttentionShape shape{sequence, heads, 1.0f / std::sqrt(static_cast<float>(heads.size)),
                             fits_packs(heads.size, {dqkv, dout, qkv})};
  if (heads.size <= 32) return launch_attention_bwd<32>(dqkv, dout, qkv, out, lse, n, delta, shape, stream);
  if (heads.size <= 64) return launch_attention_bwd<64>(dqkv, dout, qkv, out, lse, n, delta, shape, stream);
  if (heads.size <= 128) return launch_attention_bwd<128>(dqkv, dout, qkv, out, lse, n, delta, shape, stream);
  if (heads.size <= kMaxHeadSize) return launch_attention_bwd<256>(dqkv, dout, qkv, out, lse, n, delta, shape, stream);
  return cudaErrorInvalidValue;
}

}  // namespace pgram::kernels
