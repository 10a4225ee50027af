// Collectives among ranks that share one card.
#include "cuda_backend/kernels/collectives.h"
#include "cuda_backend/kernels/device.cuh"

namespace pgram::kernels {

constexpr unsigned kCopyThreads = 256;

template <int V, class Combine>
__device__ __forceinline__ Pack<V> combine_members(const MemberBuffers& x, int members, uint64_t i) {
  Pack<V> sum = load<V>(x.of[0] + i);
  for (int m = 1; m < members; ++m) {
    const Pack<V> other = load<V>(x.of[m] + i);
    for (int v = 0; v < V; ++v) sum.v[v] = Combine()(sum.v[v], other.v[v]);
  }
  return sum;
}

/// Each pack is read of all members before it is written to any, by one thread: in place.
template <int V, class Combine>
__global__ void __launch_bounds__(kCopyThreads) all_reduce_kernel(MemberBuffers x, int members, uint64_t count) {
  const uint64_t i = (uint64_t{blockIdx.x} * blockDim.x + threadIdx.x) * V;
  if (i >= count) return;
  const Pack<V> sum = combine_members<V, Combine>(x, members, i);
  for (int m = 0; m < members; ++m) store<V>(x.of[m] + i, sum);
}

/// blockIdx.y: whose part.
template <int V>
__global__ void __launch_bounds__(kCopyThreads)
    all_gather_kernel(MemberBuffers whole, MemberBuffers part, int members, uint64_t count) {
  const uint64_t i = (uint64_t{blockIdx.x} * blockDim.x + threadIdx.x) * V;
  if (i >= count) return;
  const Pack<V> own = load<V>(part.of[blockIdx.y] + i);
  for (int m = 0; m < members; ++m) store<V>(whole.of[m] + blockIdx.y * count + i, own);
}

template <int V>
__global__ void __launch_bounds__(kCopyThreads)
    reduce_scatter_kernel(MemberBuffers part, MemberBuffers whole, int members, uint64_t count) {
  const uint64_t i = (uint64_t{blockIdx.x} * blockDim.x + threadIdx.x) * V;
  if (i >= count) return;
  store<V>(part.of[blockIdx.y] + i, combine_members<V, Sum>(whole, members, blockIdx.y * count + i));
}

static bool fits(const MemberBuffers& x, int members, uint64_t count) {
  bool all = true;
  for (int m = 0; m < members; ++m) all = all && fits_packs(static_cast<int64_t>(count), {x.of[m]});
  return all;
}

static dim3 grid(uint64_t count, int V, int parts) {
  return dim3(blocks_for(static_cast<int64_t>(count), int64_t{kCopyThreads} * V), static_cast<unsigned>(parts));
}

cudaError_t all_reduce(const MemberBuffers& x, int members, uint64_t count, bool maximum, cudaStream_t stream) {
  if (count == 0) return cudaSuccess;
  if (!fits(x, members, count)) {
    return maximum ? launch<all_reduce_kernel<1, Max>>(grid(count, 1, 1), kCopyThreads, stream, x, members, count)
                   : launch<all_reduce_kernel<1, Sum>>(grid(count, 1, 1), kCopyThreads, stream, x, members, count);
  }
  return maximum ? launch<all_reduce_kernel<4, Max>>(grid(count, 4, 1), kCopyThreads, stream, x, members, count)
                 : launch<all_reduce_kernel<4, Sum>>(grid(count, 4, 1), kCopyThreads, stream, x, members, count);
}

cudaError_t all_gather(const MemberBuffers& whole, const MemberBuffers& part, int members, uint64_t count,
                       cudaStream_t stream) {
  if (count == 0) return cudaSuccess;
  if (!fits(whole, members, count) || !fits(part, members, count)) {
    return launch<all_gather_kernel<1>>(grid(count, 1, members), kCopyThreads, stream, whole, part, members, count);
  }
  return launch<all_gather_kernel<4>>(grid(count, 4, members), kCopyThreads, stream, whole, part, members, count);
}

cudaError_t reduce_scatter(const MemberBuffers& part, const MemberBuffers& whole, int members, uint64_t count,
                           cudaStream_t stream) {
  if (count == 0) return cudaSuccess;
  if (!fits(part, members, count) || !fits(whole, members, count)) {
    return launch<reduce_scatter_kernel<1>>(grid(count, 1, members), kCopyThreads, stream, part, whole, members, count);
  }
  return launch<reduce_scatter_kernel<4>>(grid(count, 4, members), kCopyThreads, stream, part, whole, members, count);
}

}  // namespace pgram::kernels
