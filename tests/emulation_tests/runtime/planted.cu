// See planted.h.
#include "cuda_backend/kernels/launch.h"
#include "tests/emulation_tests/runtime/planted.h"

namespace pgram::planted {

using kernels::launch;

constexpr unsigned kFullWarp = 0xffffffffu;

__global__ void add_kernel(float* x, int n, float value) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) x[i] += value;
}

__global__ void bump_kernel(Slots slots) {
  if (static_cast<int>(threadIdx.x) < slots.count) *slots.address[threadIdx.x] += 1;
}

__global__ void sums_kernel(float* out, const float* x) {
  __shared__ float of_warp[4];
  float sum = x[256 * blockIdx.x + threadIdx.x] + x[256 * blockIdx.x + 128 + threadIdx.x];
  for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_down_sync(kFullWarp, sum, offset);
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x == 0) out[blockIdx.x] = of_warp[0] + of_warp[1] + of_warp[2] + of_warp[3];
}

__global__ void neighbours_kernel(float* out, const float* x) {
  const unsigned i = threadIdx.x;
  const unsigned positive = __ballot_sync(kFullWarp, x[i] > 0);
  out[i] = __shfl_xor_sync(kFullWarp, x[i], 1) + static_cast<float>(__popc(positive));
}

__global__ void write_behind_kernel(float* x, int n) {
  x[n] = 1;
}

__global__ void two_barriers_kernel(float* x) {
  if (threadIdx.x < 16) {
    __syncthreads();
    x[0] = 1;
  } else {
    x[1] = 2;
    __syncthreads();
  }
}

__global__ void deserted_barrier_kernel(float* x) {
  if (threadIdx.x >= 32) return;
  x[threadIdx.x] = 1;
  __syncthreads();
  x[threadIdx.x] = 2;
}

__global__ void deserted_shuffle_kernel(float* x) {
  if (threadIdx.x < 16) x[threadIdx.x] = __shfl_xor_sync(kFullWarp, x[threadIdx.x], 16);
  __syncthreads();
}

template <bool with_barrier>
__global__ void rotate_kernel(float* x) {
  __shared__ float held[64];
  held[threadIdx.x] = x[threadIdx.x];
  if (with_barrier) __syncthreads();
  const float next = held[(threadIdx.x + 1) % 64];
  __syncthreads();
  x[threadIdx.x] = next;
}

cudaError_t add(float* x, int n, float value, cudaStream_t stream) {
  return launch<add_kernel>(dim3((n + 63) / 64), dim3(64), stream, x, n, value);
}
cudaError_t bump(const Slots& slots, cudaStream_t stream) {
  return launch<bump_kernel>(dim3(1), dim3(32), stream, slots);
}
cudaError_t sums(float* out, const float* x, int blocks, cudaStream_t stream) {
  return launch<sums_kernel>(dim3(blocks), dim3(128), stream, out, x);
}
cudaError_t neighbours(float* out, const float* x, cudaStream_t stream) {
  return launch<neighbours_kernel>(dim3(1), dim3(64), stream, out, x);
}
cudaError_t write_behind(float* x, int n, cudaStream_t stream) {
  return launch<write_behind_kernel>(dim3(1), dim3(1), stream, x, n);
}
cudaError_t two_barriers(float* x, cudaStream_t stream) {
  return launch<two_barriers_kernel>(dim3(1), dim3(32), stream, x);
}
cudaError_t deserted_barrier(float* x, cudaStream_t stream) {
  return launch<deserted_barrier_kernel>(dim3(1), dim3(64), stream, x);
}
cudaError_t deserted_shuffle(float* x, cudaStream_t stream) {
  return launch<deserted_shuffle_kernel>(dim3(1), dim3(32), stream, x);
}
cudaError_t rotate(float* x, bool with_barrier, cudaStream_t stream) {
  return with_barrier ? launch<rotate_kernel<true>>(dim3(1), dim3(64), stream, x)
                      : launch<rotate_kernel<false>>(dim3(1), dim3(64), stream, x);
}

}  // namespace pgram::planted
