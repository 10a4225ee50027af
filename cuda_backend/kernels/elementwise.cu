// Element by element: bias, SwiGLU, GELU, sums.
#include "cuda_backend/kernels/device.cuh"
#include "cuda_backend/kernels/kernels.h"

namespace pgram::kernels {

constexpr unsigned kElementThreads = 256;

__device__ __forceinline__ float sigmoid(float x) {
  return 1.0f / (1.0f + expf(-x));
}

/// Hendrycks and Gimpel 2016: 0.5 x (1 + tanh(k (x + 0.044715 x^3))) with k = sqrt(2/pi), or x times the normal
/// distribution function.
struct Gelu {
  static constexpr float kScale = 0.7978845608f, kCubic = 0.044715f;
  bool tanh;

  __device__ __forceinline__ static float tanh_of(float x) { return tanhf(kScale * (x + kCubic * x * x * x)); }
  __device__ __forceinline__ static float normal(float x) { return 0.5f * erfcf(-x * 0.7071067812f); }
  __device__ __forceinline__ float value(float x) const {
    return tanh ? 0.5f * x * (1.0f + tanh_of(x)) : x * normal(x);
  }
  __device__ __forceinline__ float derivative(float x) const {
    if (!tanh) return normal(x) + x * 0.3989422804f * expf(-0.5f * x * x);  // 1 / sqrt(2 pi)
    const float t = tanh_of(x);
    return 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * kScale * (1.0f + 3.0f * kCubic * x * x);
  }
};

/// Rows along x, packs of columns along y.
template <int V>
__device__ __forceinline__ int element_column() {
  return (blockIdx.y * blockDim.x + threadIdx.x) * V;
}

template <int V>
__global__ void __launch_bounds__(kElementThreads)
    bias_kernel(float* __restrict__ y, const float* __restrict__ x, const float* __restrict__ b, int width) {
  const int column = element_column<V>();
  if (column >= width) return;
  const int64_t at = static_cast<int64_t>(blockIdx.x) * width + column;
  Pack<V> out = load<V>(x + at);
  const Pack<V> shift = load<V>(b + column);
  for (int j = 0; j < V; ++j) out.v[j] += shift.v[j];
  store<V>(y + at, out);
}

template <int V>
__global__ void __launch_bounds__(kElementThreads)
    swiglu_kernel(float* __restrict__ s, const float* __restrict__ gate_up, int width) {
  const int column = element_column<V>();
  if (column >= width) return;
  const int64_t row = blockIdx.x;
  const Pack<V> gate = load<V>(gate_up + 2 * row * width + column);
  const Pack<V> up = load<V>(gate_up + (2 * row + 1) * width + column);
  Pack<V> out;
  for (int j = 0; j < V; ++j) out.v[j] = gate.v[j] * sigmoid(gate.v[j]) * up.v[j];
  store<V>(s + row * width + column, out);
}

template <int V>
__global__ void __launch_bounds__(kElementThreads)
    swiglu_bwd_kernel(float* __restrict__ dgate_up, const float* __restrict__ ds, const float* __restrict__ gate_up,
                      int width) {
  const int column = element_column<V>();
  if (column >= width) return;
  const int64_t row = blockIdx.x, gate_at = 2 * row * width + column, up_at = gate_at + width;
  const Pack<V> gate = load<V>(gate_up + gate_at), up = load<V>(gate_up + up_at),
                d = load<V>(ds + row * width + column);
  Pack<V> dgate, dup;
  for (int j = 0; j < V; ++j) {
    const float s = sigmoid(gate.v[j]);
    dgate.v[j] = d.v[j] * up.v[j] * s * (1.0f + gate.v[j] * (1.0f - s));
    dup.v[j] = d.v[j] * gate.v[j] * s;
  }
  store<V>(dgate_up + gate_at, dgate);
  store<V>(dgate_up + up_at, dup);
}

template <int V, bool tanh>
__global__ void __launch_bounds__(kElementThreads)
    gelu_kernel(float* __restrict__ y, const float* __restrict__ x, int64_t count) {
  const int64_t i = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * V;
  if (i >= count) return;
  Pack<V> a = load<V>(x + i);
  for (int j = 0; j < V; ++j) a.v[j] = Gelu{tanh}.value(a.v[j]);
  store<V>(y + i, a);
}

template <int V, bool tanh>
__global__ void __launch_bounds__(kElementThreads)
    gelu_bwd_kernel(float* __restrict__ dx, const float* __restrict__ dy, const float* __restrict__ x, int64_t count) {
  const int64_t i = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * V;
  if (i >= count) return;
  const Pack<V> a = load<V>(x + i);
  Pack<V> d = load<V>(dy + i);
  for (int j = 0; j < V; ++j) d.v[j] *= Gelu{tanh}.derivative(a.v[j]);
  store<V>(dx + i, d);
}

template <int V>
__global__ void __launch_bounds__(kElementThreads)
    add_kernel(float* __restrict__ y, const float* __restrict__ a, const float* __restrict__ b, int64_t count) {
  const int64_t i = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * V;
  if (i >= count) return;
  Pack<V> sum = load<V>(a + i);
  const Pack<V> other = load<V>(b + i);
  for (int j = 0; j < V; ++j) sum.v[j] += other.v[j];
  store<V>(y + i, sum);
}

inline dim3 element_grid(int64_t rows, int64_t packs) {
  return dim3(static_cast<unsigned>(rows), blocks_for(packs, threads_for(packs, kElementThreads)));
}

/// Starts `kernel` for a flat array, one pack per thread.
template <auto kernel, class... Arguments>
cudaError_t launch_flat(int64_t packs, cudaStream_t stream, Arguments... arguments) {
  const unsigned threads = threads_for(packs, kElementThreads);
  return launch<kernel>(dim3(blocks_for(packs, threads)), threads, stream, arguments...);
}

cudaError_t bias(float* y, const float* x, const float* b, int64_t n, int width, cudaStream_t stream) {
  if (fits_packs(width, {y, x, b})) {
    return launch<bias_kernel<4>>(element_grid(n, width / 4), threads_for(width / 4, kElementThreads), stream, y, x, b,
                                  width);
  }
  return launch<bias_kernel<1>>(element_grid(n, width), threads_for(width, kElementThreads), stream, y, x, b, width);
}

cudaError_t swiglu(float* s, const float* gate_up, int64_t n, int width, cudaStream_t stream) {
  if (fits_packs(width, {s, gate_up})) {
    return launch<swiglu_kernel<4>>(element_grid(n, width / 4), threads_for(width / 4, kElementThreads), stream, s,
                                    gate_up, width);
  }
  return launch<swiglu_kernel<1>>(element_grid(n, width), threads_for(width, kElementThreads), stream, s, gate_up,
                                  width);
}

cudaError_t swiglu_bwd(float* dgate_up, const float* ds, const float* gate_up, int64_t n, int width,
                       cudaStream_t stream) {
  if (fits_packs(width, {dgate_up, ds, gate_up})) {
    return launch<swiglu_bwd_kernel<4>>(element_grid(n, width / 4), threads_for(width / 4, kElementThreads), stream,
                                        dgate_up, ds, gate_up, width);
  }
  return launch<swiglu_bwd_kernel<1>>(element_grid(n, width), threads_for(width, kElementThreads), stream, dgate_up, ds,
                                      gate_up, width);
}

cudaError_t gelu(float* y, const float* x, int64_t count, bool tanh, cudaStream_t stream) {
  if (fits_packs(count, {y, x})) {
    return tanh ? launch_flat<gelu_kernel<4, true>>(count / 4, stream, y, x, count)
                : launch_flat<gelu_kernel<4, false>>(count / 4, stream, y, x, count);
  }
  return tanh ? launch_flat<gelu_kernel<1, true>>(count, stream, y, x, count)
              : launch_flat<gelu_kernel<1, false>>(count, stream, y, x, count);
}

cudaError_t gelu_bwd(float* dx, const float* dy, const float* x, int64_t count, bool tanh, cudaStream_t stream) {
  if (fits_packs(count, {dx, dy, x})) {
    return tanh ? launch_flat<gelu_bwd_kernel<4, true>>(count / 4, stream, dx, dy, x, count)
                : launch_flat<gelu_bwd_kernel<4, false>>(count / 4, stream, dx, dy, x, count);
  }
  return tanh ? launch_flat<gelu_bwd_kernel<1, true>>(count, stream, dx, dy, x, count)
              : launch_flat<gelu_bwd_kernel<1, false>>(count, stream, dx, dy, x, count);
}

cudaError_t add(float* y, const float* a, const float* b, int64_t count, cudaStream_t stream) {
  if (fits_packs(count, {y, a, b})) return launch_flat<add_kernel<4>>(count / 4, stream, y, a, b, count);
  return launch_flat<add_kernel<1>>(count, stream, y, a, b, count);
}

}  // namespace pgram::kernels
