// Rotary embedding in place, forward and inverse: one block per token, whose angles all heads share.
#include "cuda_backend/kernels/device.cuh"
#include "cuda_backend/kernels/kernels.h"

namespace pgram::kernels {

constexpr unsigned kRopeThreads = 256;

template <int V>
__global__ void __launch_bounds__(kRopeThreads)
    rope_kernel(float* __restrict__ qkv, const Rotation rotation, int64_t sequence, Heads shape) {
  __shared__ __align__(16) float cosine[kMaxHeadSize / 2];
  __shared__ __align__(16) float sine[kMaxHeadSize / 2];
  const int64_t token = blockIdx.x;
  const double position = static_cast<double>(token % sequence);
  for (int j = threadIdx.x; j < rotation.pairs; j += blockDim.x) {
    // In double: a single float loses all digits of the angle at large positions. What is left is within half a circle.
    const double turns = position * rotation.turns[j];
    const float angle = 6.283185307f * static_cast<float>(turns - rint(turns));
    float s, c;
    sincosf(angle, &s, &c);
    cosine[j] = c;
    sine[j] = rotation.direction * s;
  }
  __syncthreads();
  qkv += token * (shape.heads + 2 * shape.kv_heads) * shape.size;
  const int packs = rotation.pairs / V;
  for (int i = threadIdx.x; i < (shape.heads + shape.kv_heads) * packs; i += blockDim.x) {
    const int j = i % packs * V;
    float* x = qkv + i / packs * shape.size + j;
    const Pack<V> a = load<V>(x), b = load<V>(x + rotation.pairs), c = load<V>(cosine + j), s = load<V>(sine + j);
    Pack<V> first, second;
    for (int k = 0; k < V; ++k) {
      first.v[k] = a.v[k] * c.v[k] - b.v[k] * s.v[k];
      second.v[k] = b.v[k] * c.v[k] + a.v[k] * s.v[k];
    }
    store<V>(x, first);
    store<V>(x + rotation.pairs, second);
  }
}

cudaError_t rope(float* qkv, const Rotation& rotation, int64_t n, int64_t sequence, Heads shape, cudaStream_t stream) {
  if (rotation.pairs == 0) return cudaSuccess;
  const int64_t pairs = static_cast<int64_t>(shape.heads + shape.kv_heads) * rotation.pairs;
  if (rotation.pairs % 4 == 0 && fits_packs(shape.size, {qkv}))
    return launch<rope_kernel<4>>(dim3(n), threads_for(pairs / 4, kRopeThreads), stream, qkv, rotation, sequence,
                                  shape);
  return launch<rope_kernel<1>>(dim3(n), threads_for(pairs, kRopeThreads), stream, qkv, rotation, sequence, shape);
}

}  // namespace pgram::kernels
