// RMS and layer norms, forward and gradient of their input: one block per row.
#include "cuda_backend/kernels/device.cuh"
#include "cuda_backend/kernels/kernels.h"

namespace pgram::kernels {

constexpr unsigned kNormThreads = 256;

template <int V>
__global__ void __launch_bounds__(kNormThreads)
    rms_norm_kernel(float* __restrict__ y, float* __restrict__ rstd, const float* __restrict__ x,
                    const float* __restrict__ g, int width, float epsilon) {
  const int64_t row = blockIdx.x;
  x += row * width;
  y += row * width;
  float squares = 0;
  for (int i = threadIdx.x * V; i < width; i += blockDim.x * V) {
    const Pack<V> a = load<V>(x + i);
    for (int j = 0; j < V; ++j) squares += a.v[j] * a.v[j];
  }
  const float r = 1.0f / sqrtf(reduce_block(squares, Sum()) / static_cast<float>(width) + epsilon);
  if (threadIdx.x == 0) rstd[row] = r;
  for (int i = threadIdx.x * V; i < width; i += blockDim.x * V) {
    const Pack<V> a = load<V>(x + i), gain = load<V>(g + i);
    Pack<V> out;
    for (int j = 0; j < V; ++j) out.v[j] = a.v[j] * r * gain.v[j];
    store<V>(y + i, out);
  }
}

/// dx = d + rstd * (g dy - xhat * mean(g dy xhat)) with xhat = x * rstd.
template <int V>
__global__ void __launch_bounds__(kNormThreads)
    rms_norm_dx_kernel(float* __restrict__ dx, const float* __restrict__ dy, const float* __restrict__ x,
                       const float* __restrict__ g, const float* __restrict__ rstd, const float* __restrict__ d,
                       int width) {
  const int64_t row = blockIdx.x, offset = row * width;
  x += offset;
  dy += offset;
  dx += offset;
  const float r = rstd[row];
  float dot = 0;
  for (int i = threadIdx.x * V; i < width; i += blockDim.x * V) {
    const Pack<V> a = load<V>(x + i), da = load<V>(dy + i), gain = load<V>(g + i);
    for (int j = 0; j < V; ++j) dot += gain.v[j] * da.v[j] * a.v[j] * r;
  }
  const float mean = reduce_block(dot, Sum()) / static_cast<float>(width);
  for (int i = threadIdx.x * V; i < width; i += blockDim.x * V) {
    const Pack<V> a = load<V>(x + i), da = load<V>(dy + i), gain = load<V>(g + i);
    Pack<V> out{};
    if (d) out = load<V>(d + offset + i);
    for (int j = 0; j < V; ++j) out.v[j] += r * (gain.v[j] * da.v[j] - a.v[j] * r * mean);
    store<V>(dx + i, out);
  }
}

template <int V>
__global__ void __launch_bounds__(kNormThreads)
    layer_norm_kernel(float* __restrict__ y, float* __restrict__ stats, const float* __restrict__ x,
                      const float* __restrict__ g, const float* __restrict__ b, int width, float epsilon) {
  const int64_t row = blockIdx.x;
  x += row * width;
  y += row * width;
  float sum = 0;
  for (int i = threadIdx.x * V; i < width; i += blockDim.x * V) {
    const Pack<V> a = load<V>(x + i);
    for (int j = 0; j < V; ++j) sum += a.v[j];
  }
  const float mean = reduce_block(sum, Sum()) / static_cast<float>(width);
  float squares = 0;
  for (int i = threadIdx.x * V; i < width; i += blockDim.x * V) {
    const Pack<V> a = load<V>(x + i);
    for (int j = 0; j < V; ++j) squares += (a.v[j] - mean) * (a.v[j] - mean);
  }
  const float r = 1.0f / sqrtf(reduce_block(squares, Sum()) / static_cast<float>(width) + epsilon);
  if (threadIdx.x == 0) {
    stats[2 * row] = mean;
    stats[2 * row + 1] = r;
  }
  for (int i = threadIdx.x * V; i < width; i += blockDim.x * V) {
    const Pack<V> a = load<V>(x + i), gain = load<V>(g + i), shift = load<V>(b + i);
    Pack<V> out;
    for (int j = 0; j < V; ++j) out.v[j] = (a.v[j] - mean) * r * gain.v[j] + shift.v[j];
    store<V>(y + i, out);
  }
}

/// dx = d + rstd * (g dy - mean(g dy) - xhat * mean(g dy xhat)) with xhat = (x - mean) * rstd.
template <int V>
__global__ void __launch_bounds__(kNormThreads)
    layer_norm_dx_kernel(float* __restrict__ dx, const float* __restrict__ dy, const float* __restrict__ x,
                         const float* __restrict__ g, const float* __restrict__ stats, const float* __restrict__ d,
                         int width) {
  const int64_t row = blockIdx.x, offset = row * width;
  x += offset;
  dy += offset;
  dx += offset;
  const float mean = stats[2 * row], r = stats[2 * row + 1];
  float sum = 0, dot = 0;
  for (int i = threadIdx.x * V; i < width; i += blockDim.x * V) {
    const Pack<V> a = load<V>(x + i), da = load<V>(dy + i), gain = load<V>(g + i);
    for (int j = 0; j < V; ++j) {
      const float dxhat = gain.v[j] * da.v[j];
      sum += dxhat;
      dot += dxhat * (a.v[j] - mean) * r;
    }
  }
  const float mean_dxhat = reduce_block(sum, Sum()) / static_cast<float>(width);
  const float mean_dot = reduce_block(dot, Sum()) / static_cast<float>(width);
  for (int i = threadIdx.x * V; i < width; i += blockDim.x * V) {
    const Pack<V> a = load<V>(x + i), da = load<V>(dy + i), gain = load<V>(g + i);
    Pack<V> out{};
    if (d) out = load<V>(d + offset + i);
    for (int j = 0; j < V; ++j) {
      const float xhat = (a.v[j] - mean) * r;
      out.v[j] += r * (gain.v[j] * da.v[j] - mean_dxhat - xhat * mean_dot);
    }
    store<V>(dx + i, out);
  }
}

cudaError_t rms_norm(float* y, float* rstd, const float* x, const float* g, int64_t n, int width, float epsilon,
                     cudaStream_t stream) {
  if (fits_packs(width, {y, x, g})) {
    return launch<rms_norm_kernel<4>>(dim3(n), threads_for(width / 4, kNormThreads), stream, y, rstd, x, g, width,
                                      epsilon);
  }
  return launch<rms_norm_kernel<1>>(dim3(n), threads_for(width, kNormThreads), stream, y, rstd, x, g, width, epsilon);
}

cudaError_t rms_norm_dx(float* dx, const float* dy, const float* x, const float* g, const float* rstd, const float* d,
                        int64_t n, int width, cudaStream_t stream) {
  if (fits_packs(width, {dx, dy, x, g, d})) {
    return launch<rms_norm_dx_kernel<4>>(dim3(n), threads_for(width / 4, kNormThreads), stream, dx, dy, x, g, rstd, d,
                                         width);
  }
  return launch<rms_norm_dx_kernel<1>>(dim3(n), threads_for(width, kNormThreads), stream, dx, dy, x, g, rstd, d, width);
}

cudaError_t layer_norm(float* y, float* stats, const float* x, const float* g, const float* b, int64_t n, int width,
                       float epsilon, cudaStream_t stream) {
  if (fits_packs(width, {y, x, g, b})) {
    return launch<layer_norm_kernel<4>>(dim3(n), threads_for(width / 4, kNormThreads), stream, y, stats, x, g, b, width,
                                        epsilon);
  }
  return launch<layer_norm_kernel<1>>(dim3(n), threads_for(width, kNormThreads), stream, y, stats, x, g, b, width,
                                      epsilon);
}

cudaError_t layer_norm_dx(float* dx, const float* dy, const float* x, const float* g, const float* stats,
                          const float* d, int64_t n, int width, cudaStream_t stream) {
  if (fits_packs(width, {dx, dy, x, g, d})) {
    return launch<layer_norm_dx_kernel<4>>(dim3(n), threads_for(width / 4, kNormThreads), stream, dx, dy, x, g, stats,
                                           d, width);
  }
  return launch<layer_norm_dx_kernel<1>>(dim3(n), threads_for(width, kNormThreads), stream, dx, dy, x, g, stats, d,
                                         width);
}

}  // namespace pgram::kernels
