// Gradient norm, clipping and optimizer steps over all tensors of a record in one launch.
#include "cuda_backend/kernels/device.cuh"
#include "cuda_backend/kernels/kernels.h"

namespace pgram::kernels {

constexpr unsigned kTensorThreads = 256, kTotalThreads = 512;

/// The tensor that a block works on, and its chunk [first, last) of it.
template <class List>
struct Chunk {
  int tensor;
  int64_t first, last;

  __device__ __forceinline__ explicit Chunk(const List& list) {
    int low = 0, high = static_cast<int>(list.num_tensors) - 1;
    while (low < high) {
      const int middle = (low + high + 1) / 2;
      if (list.first_block[middle] <= blockIdx.x) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    tensor = low;
    first = static_cast<int64_t>(blockIdx.x - list.first_block[low]) * List::kChunk;
    const int64_t count = list.tensors[low].count;
    last = first + List::kChunk < count ? first + List::kChunk : count;
  }

  /// Calls f(i, width) for the thread's share: packs of four where `packs` says that they are aligned.
  template <class Packs, class Singles>
  __device__ __forceinline__ void each(bool packs, Packs four, Singles one) const {
    int64_t singles = first;
    if (packs) {
      singles = first + (last - first) / 4 * 4;
      for (int64_t i = first + threadIdx.x * 4; i < singles; i += blockDim.x * 4) four(i);
    }
    for (int64_t i = singles + threadIdx.x; i < last; i += blockDim.x) one(i);
  }
};

__device__ __forceinline__ bool aligned(const void* p) {
  return reinterpret_cast<uintptr_t>(p) % 16 == 0;
}

__global__ void __launch_bounds__(kTensorThreads) squares_kernel(double* __restrict__ partial, const SquaresList list) {
  const Chunk<SquaresList> chunk(list);
  const float* g = list.tensors[chunk.tensor].gradient;
  double sum = 0;
  chunk.each(
      aligned(g),
      [&](int64_t i) {
        const Pack<4> a = load<4>(g + i);
        for (int j = 0; j < 4; ++j) sum += static_cast<double>(a.v[j]) * static_cast<double>(a.v[j]);
      },
      [&](int64_t i) { sum += static_cast<double>(g[i]) * static_cast<double>(g[i]); });
  sum = reduce_block(sum, Sum());
  if (threadIdx.x == 0) partial[blockIdx.x] = list.tensors[chunk.tensor].weight * sum;
}

/// One block, so that the order of the sum is fixed.
__global__ void __launch_bounds__(kTotalThreads)
    add_squares_kernel(float* __restrict__ s, const double* __restrict__ partial, int64_t partials) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < partials; i += blockDim.x) sum += partial[i];
  sum = reduce_block(sum, Sum());
  if (threadIdx.x == 0) s[0] = static_cast<float>(static_cast<double>(s[0]) + sum);
}

__global__ void __launch_bounds__(1)
    clip_kernel(float* __restrict__ scale, float* __restrict__ norm, const float* __restrict__ s, float limit) {
  const float length = sqrtf(s[0]);
  norm[0] = length;
  scale[0] = limit > 0 ? fminf(1.0f, limit / (length + 1e-6f)) : 1.0f;
}

template <int V>
__device__ __forceinline__ void adamw_step(const AdamTensor& t, int64_t i, const AdamNumbers& a, float scale) {
  const float keep = static_cast<float>(t.keep);
  const Pack<V> gradient = load<V>(t.gradient + i);
  Pack<V> w = load<V>(t.weights + i), m = load<V>(t.m + i), v = load<V>(t.v + i);
  for (int j = 0; j < V; ++j) {
    const float g = scale * gradient.v[j];
    m.v[j] = a.beta1 * m.v[j] + (1.0f - a.beta1) * g;
    v.v[j] = a.beta2 * v.v[j] + (1.0f - a.beta2) * g * g;
    w.v[j] = w.v[j] * keep - a.step * m.v[j] / (sqrtf(v.v[j]) / a.root + a.epsilon);
  }
  store<V>(t.m + i, m);
  store<V>(t.v + i, v);
  store<V>(t.weights + i, w);
}

__global__ void __launch_bounds__(kTensorThreads)
    adamw_kernel(const AdamList list, const AdamNumbers numbers, const float* __restrict__ scale) {
  const Chunk<AdamList> chunk(list);
  const AdamTensor t = list.tensors[chunk.tensor];
  const float factor = scale[0];
  const bool packs = aligned(t.weights) && aligned(t.m) && aligned(t.v) && aligned(t.gradient);
  chunk.each(
      packs, [&](int64_t i) { adamw_step<4>(t, i, numbers, factor); },
      [&](int64_t i) { adamw_step<1>(t, i, numbers, factor); });
}

__global__ void __launch_bounds__(kTensorThreads)
    sgd_kernel(const SgdList list, float learning_rate, const float* __restrict__ scale) {
  const Chunk<SgdList> chunk(list);
  const SgdTensor t = list.tensors[chunk.tensor];
  const float factor = learning_rate * scale[0];
  chunk.each(
      aligned(t.weights) && aligned(t.gradient),
      [&](int64_t i) {
        Pack<4> w = load<4>(t.weights + i);
        const Pack<4> g = load<4>(t.gradient + i);
        for (int j = 0; j < 4; ++j) w.v[j] -= factor * g.v[j];
        store<4>(t.weights + i, w);
      },
      [&](int64_t i) { t.weights[i] -= factor * t.gradient[i]; });
}

cudaError_t squares(double* partial, const SquaresList& list, cudaStream_t stream) {
  if (list.num_blocks == 0) return cudaSuccess;
  return launch<squares_kernel>(dim3(list.num_blocks), kTensorThreads, stream, partial, list);
}

cudaError_t add_squares(float* s, const double* partial, int64_t partials, cudaStream_t stream) {
  return launch<add_squares_kernel>(dim3(1), threads_for(partials, kTotalThreads), stream, s, partial, partials);
}

cudaError_t clip(float* scale, float* norm, const float* s, float limit, cudaStream_t stream) {
  return launch<clip_kernel>(dim3(1), dim3(1), stream, scale, norm, s, limit);
}

cudaError_t adamw(const AdamList& list, AdamNumbers numbers, const float* scale, cudaStream_t stream) {
  if (list.num_blocks == 0) return cudaSuccess;
  return launch<adamw_kernel>(dim3(list.num_blocks), kTensorThreads, stream, list, numbers, scale);
}

cudaError_t sgd(const SgdList& list, float learning_rate, const float* scale, cudaStream_t stream) {
  if (list.num_blocks == 0) return cudaSuccess;
  return launch<sgd_kernel>(dim3(list.num_blocks), kTensorThreads, stream, list, learning_rate, scale);
}

}  // namespace pgram::kernels
