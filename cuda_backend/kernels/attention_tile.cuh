// Tiles of attention in shared memory: loading rows of heads, products of two tiles, and weighted sums of a tile's
// rows. A block has some rows of its own (queries, or keys) and meets the others tile by tile.
#pragma once
#include "cuda_backend/kernels/device.cuh"
#include "cuda_backend/kernels/kernels.h"

namespace pgram::kernels {

/// Head sizes are padded with zeros to kHead. The threads form kThreadRows x kThreadColumns; each has every
/// kThreadRows-th own row, every kThreadColumns-th other row, and every kThreadColumns-th pack of the head's dims.
/// kBlocks of them on a multiprocessor is what the registers must allow; left to itself, ptxas spills to allow more.
template <int kHead_, int kRows_, int kColumns_, int kThreadRows_, int kThreadColumns_, int kBlocks_>
struct Tile {
  static constexpr int kHead = kHead_, kRows = kRows_, kColumns = kColumns_;
  static constexpr int kThreadRows = kThreadRows_, kThreadColumns = kThreadColumns_;
  static constexpr int kBlocks = kBlocks_;
  static constexpr int kThreads = kThreadRows * kThreadColumns;
  static constexpr int kStride = kHead + 4;  ///< neighbouring rows begin in different banks
  static constexpr int kWeightStride = kColumns + 4;
  static constexpr int kOwn = kRows / kThreadRows, kOther = kColumns / kThreadColumns;
  static constexpr int kPacks = kHead / (4 * kThreadColumns);

  // A row's threads lie in one warp, so that a row's sums are shuffles and its weights need no block barrier.
  static_assert(kWarp % kThreadColumns == 0 && kRows % kThreadRows == 0 && kColumns % kThreadColumns == 0 &&
                kColumns % 4 == 0 && kHead % (4 * kThreadColumns) == 0);

  __device__ __forceinline__ static int thread_row() { return threadIdx.x / kThreadColumns; }
  __device__ __forceinline__ static int thread_column() { return threadIdx.x % kThreadColumns; }
};

/// Rows of one kind (queries of a head, keys ...) in a tensor of tokens.
struct HeadRows {
  const float* first;
  int64_t stride;
  int size;
  bool packs;  ///< 16-byte accesses are possible
};

/// tile[row] <- rows, zeros behind `present` rows and behind the head's size.
template <class T, int rows>
__device__ __forceinline__ void load_tile(float* tile, const HeadRows& from, int64_t first_row, int present) {
  constexpr int kRowPacks = T::kHead / 4;
  for (int i = threadIdx.x; i < rows * kRowPacks; i += T::kThreads) {
    const int row = i / kRowPacks, at = i % kRowPacks * 4;
    Pack<4> pack{};
    if (row < present && at < from.size) {
      const float* p = from.first + (first_row + row) * from.stride + at;
      if (from.packs) {
        pack = load<4>(p);
      } else {
        for (int j = 0; j < 4; ++j)
          if (at + j < from.size) pack.v[j] = p[j];
      }
    }
    store<4>(tile + row * T::kStride + at, pack);
  }
}

/// product[i][j] = dot of the thread's own row i and other row j.
template <class T>
__device__ __forceinline__ void multiply(float (&product)[T::kOwn][T::kOther], const float* own, const float* other) {
  own += T::thread_row() * T::kStride;
  other += T::thread_column() * T::kStride;
  for (int i = 0; i < T::kOwn; ++i)
    for (int j = 0; j < T::kOther; ++j) product[i][j] = 0;
  for (int d = 0; d < T::kHead; d += 4) {
    Pack<4> a[T::kOwn];
    for (int i = 0; i < T::kOwn; ++i) a[i] = load<4>(own + i * T::kThreadRows * T::kStride + d);
    for (int j = 0; j < T::kOther; ++j) {
      const Pack<4> b = load<4>(other + j * T::kThreadColumns * T::kStride + d);
      for (int i = 0; i < T::kOwn; ++i)
        for (int k = 0; k < 4; ++k) product[i][j] += a[i].v[k] * b.v[k];
    }
  }
}

/// sum[i] += weights[own row i] times all rows of `other`.
template <class T>
__device__ __forceinline__ void add_weighted(Pack<4> (&sum)[T::kOwn][T::kPacks], const float* weights,
                                             const float* other) {
  weights += T::thread_row() * T::kWeightStride;
  other += T::thread_column() * 4;
  for (int column = 0; column < T::kColumns; column += 4) {
    Pack<4> w[T::kOwn];
    for (int i = 0; i < T::kOwn; ++i) w[i] = load<4>(weights + i * T::kThreadRows * T::kWeightStride + column);
    for (int k = 0; k < 4; ++k) {
      for (int p = 0; p < T::kPacks; ++p) {
        const Pack<4> v = load<4>(other + (column + k) * T::kStride + p * T::kThreadColumns * 4);
        for (int i = 0; i < T::kOwn; ++i)
          for (int j = 0; j < 4; ++j) sum[i][p].v[j] += w[i].v[k] * v.v[j];
      }
    }
  }
}

/// row <- factor * sum, the thread's dims of one row.
template <class T>
__device__ __forceinline__ void store_row(float* row, const Pack<4> (&sum)[T::kPacks], float factor, int size,
                                          bool packs) {
  for (int p = 0; p < T::kPacks; ++p) {
    const int at = (p * T::kThreadColumns + T::thread_column()) * 4;
    Pack<4> out;
    for (int j = 0; j < 4; ++j) out.v[j] = factor * sum[p].v[j];
    if (packs) {
      if (at < size) store<4>(row + at, out);
    } else {
      for (int j = 0; j < 4; ++j)
        if (at + j < size) row[at + j] = out.v[j];
    }
  }
}

/// What both directions of attention know of their tensors. Passed to kernels as bytes, so it has no padding.
struct AttentionShape {
  int sequence;
  Heads heads;
  float scale;    ///< of scores: 1 / sqrt(head size)
  int32_t packs;  ///< not 0: 16-byte accesses are possible

  __device__ __forceinline__ int64_t width() const {
    return static_cast<int64_t>(heads.heads + 2 * heads.kv_heads) * heads.size;
  }
  __device__ __forceinline__ int64_t out_width() const { return static_cast<int64_t>(heads.heads) * heads.size; }
  __device__ __forceinline__ int kv_head(int head) const { return head / (heads.heads / heads.kv_heads); }
  /// Where a head's columns begin in a token's queries, keys and values.
  __device__ __forceinline__ int64_t query(int head) const { return static_cast<int64_t>(head) * heads.size; }
  __device__ __forceinline__ int64_t key(int kv_head) const {
    return static_cast<int64_t>(heads.heads + kv_head) * heads.size;
  }
  __device__ __forceinline__ int64_t value(int kv_head) const {
    return static_cast<int64_t>(heads.heads + heads.kv_heads + kv_head) * heads.size;
  }
  __device__ __forceinline__ HeadRows rows(const float* first, int64_t stride) const {
    return {first, stride, heads.size, packs != 0};
  }
};

}  // namespace pgram::kernels
