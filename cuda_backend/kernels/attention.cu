// Causal attention, forward: online softmax (Milakov and Gimelshein 2018) over tiles of keys (Dao 2023,
// FlashAttention-2).
#include <cmath>

#include "cuda_backend/kernels/attention_tile.cuh"

namespace pgram::kernels {

/// Rows x keys of a block by padded head size, such that queries, keys, values and weights fit 48 KiB.
template <int kHead>
struct ForwardTile;
template <>
struct ForwardTile<32> : Tile<32, 32, 32, 16, 8, 4> {};
template <>
struct ForwardTile<64> : Tile<64, 32, 32, 8, 16, 4> {};
template <>
struct ForwardTile<128> : Tile<128, 32, 16, 8, 16, 3> {};
template <>
struct ForwardTile<256> : Tile<256, 16, 8, 16, 8, 3> {};

/// Blocks: (sequence, head) along x, tiles of queries along y, the longest first.
template <int kHead>
__global__ void __launch_bounds__(ForwardTile<kHead>::kThreads, ForwardTile<kHead>::kBlocks)
    attention_kernel(float* __restrict__ out, float* __restrict__ lse, const float* __restrict__ qkv,
                     AttentionShape shape) {
  using T = ForwardTile<kHead>;
  __shared__ __align__(16) float queries[T::kRows * T::kStride];
  __shared__ __align__(16) float keys[T::kColumns * T::kStride];
  __shared__ __align__(16) float values[T::kColumns * T::kStride];
  __shared__ __align__(16) float weights[T::kRows * T::kWeightStride];
  const int head = static_cast<int>(blockIdx.x % shape.heads.heads);
  const int64_t token = static_cast<int64_t>(blockIdx.x / shape.heads.heads) * shape.sequence;
  const int first = static_cast<int>(gridDim.y - 1 - blockIdx.y) * T::kRows;
  const int present = shape.sequence - first < T::kRows ? shape.sequence - first : T::kRows;
  const int64_t width = shape.width();
  const float* tokens = qkv + token * width;
  const HeadRows key_rows = shape.rows(tokens + shape.key(shape.kv_head(head)), width);
  const HeadRows value_rows = shape.rows(tokens + shape.value(shape.kv_head(head)), width);

  load_tile<T, T::kRows>(queries, shape.rows(tokens + shape.query(head), width), first, present);
  Pack<4> sums[T::kOwn][T::kPacks]{};
  float max[T::kOwn], sum[T::kOwn];  // `sum` of the thread's own columns
  for (int i = 0; i < T::kOwn; ++i) {
    max[i] = -INFINITY;
    sum[i] = 0;
  }
  for (int key = 0; key < first + present; key += T::kColumns) {
    const int others = shape.sequence - key < T::kColumns ? shape.sequence - key : T::kColumns;
    __syncthreads();  // the last tile is no longer read
    load_tile<T, T::kColumns>(keys, key_rows, key, others);
    load_tile<T, T::kColumns>(values, value_rows, key, others);
    __syncthreads();
    float score[T::kOwn][T::kOther];
    multiply<T>(score, queries, keys);
    for (int i = 0; i < T::kOwn; ++i) {
      const int row = T::thread_row() + i * T::kThreadRows;
      float largest = -INFINITY;
      for (int j = 0; j < T::kOther; ++j) {
        const bool seen = key + T::thread_column() + j * T::kThreadColumns <= first + row;
        score[i][j] = seen ? shape.scale * score[i][j] : -INFINITY;
        largest = fmaxf(largest, score[i][j]);
      }
      // Key 0 is in the first tile and seen by every row, so the maximum is finite from there on.
      largest = fmaxf(max[i], reduce_lanes<T::kThreadColumns>(largest, Max()));
      const float keep = expf(max[i] - largest);
      max[i] = largest;
      sum[i] *= keep;
      for (int j = 0; j < T::kOther; ++j) {
        const float p = expf(score[i][j] - largest);
        sum[i] += p;
        weights[row * T::kWeightStride + T::thread_column() + j * T::kThreadColumns] = p;
      }
      for (int p = 0; p < T::kPacks; ++p)
        for (int j = 0; j < 4; ++j) sums[i][p].v[j] *= keep;
    }
    __syncwarp();
    add_weighted<T>(sums, weights, values);
  }
  for (int i = 0; i < T::kOwn; ++i) {
    const float total = reduce_lanes<T::kThreadColumns>(sum[i], Sum());
    const int row = T::thread_row() + i * T::kThreadRows;
    if (row >= present) continue;
    const int64_t t = token + first + row;
    store_row<T>(out + t * shape.out_width() + shape.query(head), sums[i], 1.0f / total, shape.heads.size,
                 shape.packs != 0);
    if (T::thread_column() == 0) lse[t * shape.heads.heads + head] = max[i] + logf(total);
  }
}

template <int kHead>
cudaError_t launch_attention(float* out, float* lse, const float* qkv, int64_t n, const AttentionShape& shape,
                             cudaStream_t stream) {
  using T = ForwardTile<kHead>;
  const dim3 grid(static_cast<unsigned>(n / shape.sequence * shape.heads.heads), blocks_for(shape.sequence, T::kRows));
  return launch<attention_kernel<kHead>>(grid, dim3(T::kThreads), stream, out, lse, qkv, shape);
}

cudaError_t attention(float* out, float* lse, const float* qkv, int64_t n, int sequence, Heads heads,
                      cudaStream_t stream) {
  const AttentionShape shape{sequence, heads, 1.0f / std::sqrt(static_cast<float>(heads.size)),
                             fits_packs(heads.size, {out, qkv})};
  if (heads.size <= 32) return launch_attention<32>(out, lse, qkv, n, shape, stream);
  if (heads.size <= 64) return launch_attention<64>(out, lse, qkv, n, shape, stream);
  if (heads.size <= 128) return launch_attention<128>(out, lse, qkv, n, shape, stream);
  if (heads.size <= kMaxHeadSize) return launch_attention<256>(out, lse, qkv, n, shape, stream);
  return cudaErrorInvalidValue;
}

}  // namespace pgram::kernels
