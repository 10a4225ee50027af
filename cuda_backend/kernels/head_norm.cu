// RMS norm of each query and key head: one warp per head, which keeps the head in registers.
#include "cuda_backend/kernels/column_sums.h"
#include "cuda_backend/kernels/device.cuh"
#include "cuda_backend/kernels/kernels.h"

namespace pgram::kernels {

constexpr int kHeadWarps = 4;

/// A warp's share of a head: lane l holds packs l, l + 32, ... of it.
template <int V>
struct HeadPacks {
  static constexpr int kPacks = kMaxHeadSize / (V * kWarp);
  Pack<V> packs[kPacks];

  __device__ __forceinline__ static int at(int k) { return (threadIdx.x % kWarp + k * kWarp) * V; }
  __device__ __forceinline__ void read(const float* head, int size) {
    for (int k = 0; k < kPacks; ++k) {
      packs[k] = Pack<V>{};
      if (at(k) < size) packs[k] = load<V>(head + at(k));
    }
  }
  __device__ __forceinline__ void write(float* head, int size) const {
    for (int k = 0; k < kPacks; ++k)
      if (at(k) < size) store<V>(head + at(k), packs[k]);
  }
  __device__ __forceinline__ float dot(const HeadPacks& other) const {
    float sum = 0;
    for (int k = 0; k < kPacks; ++k)
      for (int j = 0; j < V; ++j) sum += packs[k].v[j] * other.packs[k].v[j];
    return reduce_lanes<kWarp>(sum, Sum());
  }
  __device__ __forceinline__ float reciprocal_rms(int size, float epsilon) const {
    return 1.0f / sqrtf(dot(*this) / static_cast<float>(size) + epsilon);
  }
  /// this = factor * this * other
  __device__ __forceinline__ void scale(const HeadPacks& other, float factor) {
    for (int k = 0; k < kPacks; ++k)
      for (int j = 0; j < V; ++j) packs[k].v[j] *= factor * other.packs[k].v[j];
  }
};

template <int V>
__global__ void __launch_bounds__(kWarp* kHeadWarps)
    head_norm_kernel(float* __restrict__ y, const float* __restrict__ qkv, const float* __restrict__ gq,
                     const float* __restrict__ gk, int64_t n, Heads shape, float epsilon) {
  const int all = shape.heads + 2 * shape.kv_heads;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kHeadWarps + threadIdx.x / kWarp;
  if (row >= n * all) return;
  const int head = static_cast<int>(row % all);
  HeadPacks<V> x;
  x.read(qkv + row * shape.size, shape.size);
  if (head < shape.heads + shape.kv_heads) {  // else a value, copied
    HeadPacks<V> gain;
    gain.read(head < shape.heads ? gq : gk, shape.size);
    x.scale(gain, x.reciprocal_rms(shape.size, epsilon));
  }
  x.write(y + row * shape.size, shape.size);
}

/// dx = rstd * (g dy - xhat * mean(g dy xhat)) with xhat = x * rstd.
template <int V>
__global__ void __launch_bounds__(kWarp* kHeadWarps)
    head_norm_dx_kernel(float* __restrict__ dqkv, const float* __restrict__ dy, const float* __restrict__ qkv,
                        const float* __restrict__ gq, const float* __restrict__ gk, int64_t n, Heads shape,
                        float epsilon) {
  const int all = shape.heads + 2 * shape.kv_heads;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kHeadWarps + threadIdx.x / kWarp;
  if (row >= n * all) return;
  const int head = static_cast<int>(row % all);
  HeadPacks<V> d;
  d.read(dy + row * shape.size, shape.size);
  if (head < shape.heads + shape.kv_heads) {
    HeadPacks<V> x, gain;
    x.read(qkv + row * shape.size, shape.size);
    gain.read(head < shape.heads ? gq : gk, shape.size);
    const float rstd = x.reciprocal_rms(shape.size, epsilon);
    d.scale(gain, 1.0f);
    const float mean = d.dot(x) * rstd / static_cast<float>(shape.size);
    for (int k = 0; k < HeadPacks<V>::kPacks; ++k)
      for (int j = 0; j < V; ++j) d.packs[k].v[j] = rstd * (d.packs[k].v[j] - x.packs[k].v[j] * rstd * mean);
  }
  d.write(dqkv + row * shape.size, shape.size);
}

/// partial[0: queries, 1: keys][chunk][size] = sum over the chunk's tokens and heads of dy * x * rstd.
template <int V>
__global__ void __launch_bounds__(kWarp* kHeadWarps)
    head_norm_dw_kernel(float* __restrict__ partial, const float* __restrict__ dy, const float* __restrict__ qkv,
                        int64_t n, int64_t tokens_per_chunk, Heads shape, float epsilon) {
  __shared__ float sums[kHeadWarps][kMaxHeadSize];
  const bool keys = blockIdx.y == 1;
  const int heads = keys ? shape.kv_heads : shape.heads, first_head = keys ? shape.heads : 0;
  const int64_t width = static_cast<int64_t>(shape.heads + 2 * shape.kv_heads) * shape.size;
  const int64_t first = blockIdx.x * tokens_per_chunk;
  const int64_t last = first + tokens_per_chunk < n ? first + tokens_per_chunk : n;
  const int warp = threadIdx.x / kWarp;
  HeadPacks<V> sum{};
  for (int64_t row = first * heads + warp; row < last * heads; row += kHeadWarps) {
    const int64_t at = row / heads * width + (first_head + row % heads) * shape.size;
    HeadPacks<V> x, d;
    x.read(qkv + at, shape.size);
    d.read(dy + at, shape.size);
    const float rstd = x.reciprocal_rms(shape.size, epsilon);
    for (int k = 0; k < HeadPacks<V>::kPacks; ++k)
      for (int j = 0; j < V; ++j) sum.packs[k].v[j] += d.packs[k].v[j] * x.packs[k].v[j] * rstd;
  }
  sum.write(sums[warp], kMaxHeadSize);
  __syncthreads();
  partial += (static_cast<int64_t>(blockIdx.y) * gridDim.x + blockIdx.x) * shape.size;
  for (int i = threadIdx.x; i < shape.size; i += blockDim.x) {
    float total = 0;
    for (int w = 0; w < kHeadWarps; ++w) total += sums[w][i];
    partial[i] = total;
  }
}

cudaError_t head_norm(float* y, const float* qkv, const float* gq, const float* gk, int64_t n, Heads shape,
                      float epsilon, cudaStream_t stream) {
  const dim3 grid(blocks_for(n * (shape.heads + 2 * shape.kv_heads), kHeadWarps)), block(kWarp * kHeadWarps);
  return fits_packs(shape.size, {y, qkv, gq, gk})
             ? launch<head_norm_kernel<4>>(grid, block, stream, y, qkv, gq, gk, n, shape, epsilon)
             : launch<head_norm_kernel<1>>(grid, block, stream, y, qkv, gq, gk, n, shape, epsilon);
}

cudaError_t head_norm_dx(float* dqkv, const float* dy, const float* qkv, const float* gq, const float* gk, int64_t n,
                         Heads shape, float epsilon, cudaStream_t stream) {
  const dim3 grid(blocks_for(n * (shape.heads + 2 * shape.kv_heads), kHeadWarps)), block(kWarp * kHeadWarps);
  return fits_packs(shape.size, {dqkv, dy, qkv, gq, gk})
             ? launch<head_norm_dx_kernel<4>>(grid, block, stream, dqkv, dy, qkv, gq, gk, n, shape, epsilon)
             : launch<head_norm_dx_kernel<1>>(grid, block, stream, dqkv, dy, qkv, gq, gk, n, shape, epsilon);
}

cudaError_t head_norm_dw(float* dgq, float* dgk, const float* dy, const float* qkv, int64_t n, Heads shape,
                         float epsilon, float* partial, cudaStream_t stream) {
  const RowChunks chunks(n);
  const dim3 grid(static_cast<unsigned>(chunks.count), 2), block(kWarp * kHeadWarps);
  const cudaError_t error =
      fits_packs(shape.size, {dy, qkv})
          ? launch<head_norm_dw_kernel<4>>(grid, block, stream, partial, dy, qkv, n, chunks.rows, shape, epsilon)
          : launch<head_norm_dw_kernel<1>>(grid, block, stream, partial, dy, qkv, n, chunks.rows, shape, epsilon);
  if (error != cudaSuccess) return error;
  const cudaError_t queries = add_partials(dgq, partial, chunks.count, shape.size, stream);
  if (queries != cudaSuccess) return queries;
  return add_partials(dgk, partial + chunks.count * shape.size, chunks.count, shape.size, stream);
}

}  // namespace pgram::kernels
