// Cross-entropy over a shard of the vocabulary (Shoeybi et al. 2019, section 3): one block per token. Padding columns
// count nowhere and get a zero gradient.
#include <cmath>

#include "cuda_backend/kernels/device.cuh"
#include "cuda_backend/kernels/kernels.h"

namespace pgram::kernels {

constexpr unsigned kLossThreads = 512, kGradientThreads = 256;

/// Calls `f` with the thread's share of row[0, real).
template <int V, class F>
__device__ __forceinline__ void for_each_logit(const float* row, int real, F f) {
  const int whole = real / V * V;
  for (int i = threadIdx.x * V; i < whole; i += blockDim.x * V) {
    const Pack<V> a = load<V>(row + i);
    for (int j = 0; j < V; ++j) f(a.v[j]);
  }
  for (int i = whole + threadIdx.x; i < real; i += blockDim.x) f(row[i]);
}

/// Column of the target, -1 if it is in another shard.
__device__ __forceinline__ int64_t target_column(int32_t target, TokenRange range) {
  const int64_t i = target - range.first;
  return i >= 0 && i < range.real ? i : -1;
}

template <int V>
__global__ void __launch_bounds__(kLossThreads)
    ce_max_kernel(float* __restrict__ max, const float* __restrict__ logits, int width, TokenRange range) {
  const int64_t t = blockIdx.x;
  float largest = -INFINITY;
  for_each_logit<V>(logits + t * width, static_cast<int>(range.real), [&](float x) { largest = fmaxf(largest, x); });
  largest = reduce_block(largest, Max());
  if (threadIdx.x == 0) max[t] = largest;
}

template <int V>
__global__ void __launch_bounds__(kLossThreads)
    ce_sum_kernel(float* __restrict__ stats, const float* __restrict__ logits, const float* __restrict__ max,
                  const int32_t* __restrict__ targets, int width, TokenRange range) {
  const int64_t t = blockIdx.x;
  const float largest = max[t];
  const float* row = logits + t * width;
  float sum = 0;
  for_each_logit<V>(row, static_cast<int>(range.real), [&](float x) { sum += expf(x - largest); });
  sum = reduce_block(sum, Sum());
  if (threadIdx.x != 0) return;
  const int64_t target = target_column(targets[t], range);
  stats[2 * t] = sum;
  stats[2 * t + 1] = target < 0 ? 0.0f : row[target] - largest;
}

/// One block, so that the order of the sum is fixed.
__global__ void __launch_bounds__(kLossThreads)
    ce_loss_kernel(float* __restrict__ loss, const float* __restrict__ stats, int64_t n, float scale) {
  double sum = 0;
  for (int64_t t = threadIdx.x; t < n; t += blockDim.x)
    sum += static_cast<double>(logf(stats[2 * t]) - stats[2 * t + 1]);
  sum = reduce_block(sum, Sum());
  if (threadIdx.x == 0) loss[0] = static_cast<float>(loss[0] + static_cast<double>(scale) * sum);
}

/// Rows along x, packs of columns along y.
template <int V>
__global__ void __launch_bounds__(kGradientThreads)
    ce_bwd_kernel(float* __restrict__ dlogits, const float* __restrict__ logits, const float* __restrict__ max,
                  const float* __restrict__ stats, const int32_t* __restrict__ targets, int width, TokenRange range,
                  float scale) {
  const int column = (blockIdx.y * blockDim.x + threadIdx.x) * V;
  if (column >= width) return;
  const int64_t t = blockIdx.x, target = target_column(targets[t], range);
  const float largest = max[t], inverse = 1.0f / stats[2 * t];
  Pack<V> out = load<V>(logits + t * width + column);
  for (int j = 0; j < V; ++j) {
    const float p = column + j < range.real ? expf(out.v[j] - largest) * inverse : 0.0f;
    out.v[j] = scale * (p - (column + j == target ? 1.0f : 0.0f));
  }
  store<V>(dlogits + t * width + column, out);
}

cudaError_t ce_max(float* max, const float* logits, int64_t n, int width, TokenRange range, cudaStream_t stream) {
  if (fits_packs(width, {logits})) {
    return launch<ce_max_kernel<4>>(dim3(n), threads_for(width / 4, kLossThreads), stream, max, logits, width, range);
  }
  return launch<ce_max_kernel<1>>(dim3(n), threads_for(width, kLossThreads), stream, max, logits, width, range);
}

cudaError_t ce_sum(float* stats, const float* logits, const float* max, const int32_t* targets, int64_t n, int width,
                   TokenRange range, cudaStream_t stream) {
  if (fits_packs(width, {logits})) {
    return launch<ce_sum_kernel<4>>(dim3(n), threads_for(width / 4, kLossThreads), stream, stats, logits, max, targets,
                                    width, range);
  }
  return launch<ce_sum_kernel<1>>(dim3(n), threads_for(width, kLossThreads), stream, stats, logits, max, targets, width,
                                  range);
}

cudaError_t ce_loss(float* loss, const float* stats, int64_t n, float scale, cudaStream_t stream) {
  return launch<ce_loss_kernel>(dim3(1), threads_for(n, kLossThreads), stream, loss, stats, n, scale);
}

cudaError_t ce_bwd(float* dlogits, const float* logits, const float* max, const float* stats, const int32_t* targets,
                   int64_t n, int width, TokenRange range, float scale, cudaStream_t stream) {
  const bool packs = fits_packs(width, {dlogits, logits});
  const int64_t items = packs ? width / 4 : width;
  const unsigned threads = threads_for(items, kGradientThreads);
  const dim3 grid(static_cast<unsigned>(n), blocks_for(items, threads));
  return packs ? launch<ce_bwd_kernel<4>>(grid, threads, stream, dlogits, logits, max, stats, targets, width, range,
                                          scale)
               : launch<ce_bwd_kernel<1>>(grid, threads, stream, dlogits, logits, max, stats, targets, width, range,
                                          scale);
}

}  // namespace pgram::kernels
