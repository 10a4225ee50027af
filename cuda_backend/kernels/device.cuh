// What kernels share: 16-byte accesses, reductions in a fixed order, and how a launch is cut.
#pragma once
#include <cstdint>
#include <initializer_list>

#include "cuda_backend/kernels/launch.h"

namespace pgram::kernels {

/// V floats that lie together: V = 4 is one access of 16 bytes and needs that alignment.
template <int V>
struct Pack {
  float v[V];
};
template <int V>
__device__ __forceinline__ Pack<V> load(const float* p) {
  if constexpr (V == 4) {
    const float4 f = *reinterpret_cast<const float4*>(p);
    return {{f.x, f.y, f.z, f.w}};
  } else {
    return {{*p}};
  }
}
template <int V>
__device__ __forceinline__ void store(float* p, const Pack<V>& pack) {
  if constexpr (V == 4) {
    *reinterpret_cast<float4*>(p) = make_float4(pack.v[0], pack.v[1], pack.v[2], pack.v[3]);
  } else {
    *p = pack.v[0];
  }
}

struct Sum {
  template <class T>
  __device__ __forceinline__ T operator()(T a, T b) const {
    return a + b;
  }
};
struct Max {
  __device__ __forceinline__ float operator()(float a, float b) const { return fmaxf(a, b); }
};

constexpr int kWarp = 32;
constexpr unsigned kFullWarp = 0xffffffffu;

/// Over `lanes` neighbouring threads (a power of two up to a warp), the result in all of them.
template <int lanes, class T, class Combine>
__device__ __forceinline__ T reduce_lanes(T x, Combine combine) {
  for (int offset = lanes / 2; offset > 0; offset /= 2) x = combine(x, __shfl_xor_sync(kFullWarp, x, offset));
  return x;
}

/// Over a block of whole warps along x, the result in all threads. Warps are combined in their order, so that repeats
/// are bit-equal.
template <class T, class Combine>
__device__ __forceinline__ T reduce_block(T x, Combine combine) {
  __shared__ T partial[kWarp];
  x = reduce_lanes<kWarp>(x, combine);
  const unsigned warps = blockDim.x / kWarp;
  if (warps == 1) return x;
  __syncthreads();  // an earlier reduction may still be read
  if (threadIdx.x % kWarp == 0) partial[threadIdx.x / kWarp] = x;
  __syncthreads();
  x = partial[0];
  for (unsigned w = 1; w < warps; ++w) x = combine(x, partial[w]);
  return x;
}

/// Blocks that cover `items`.
inline unsigned blocks_for(int64_t items, int64_t per_block) {
  return static_cast<unsigned>((items + per_block - 1) / per_block);
}
/// Threads for `items`: whole warps, at least one, at most `most`.
inline unsigned threads_for(int64_t items, unsigned most) {
  const int64_t warps = (items + kWarp - 1) / kWarp * kWarp;
  return static_cast<unsigned>(warps < kWarp ? kWarp : (warps > most ? most : warps));
}
/// Whether rows of `width` floats can be read 16 bytes at a time from all these pointers.
inline bool fits_packs(int64_t width, std::initializer_list<const void*> pointers) {
  uintptr_t bits = static_cast<uintptr_t>(width % 4) * sizeof(float);
  for (const void* p : pointers) bits |= reinterpret_cast<uintptr_t>(p);
  return bits % 16 == 0;
}

}  // namespace pgram::kernels
