// Token and position embeddings, forward and gradient.
#include "cuda_backend/kernels/device.cuh"
#include "cuda_backend/kernels/kernels.h"

namespace pgram::kernels {

constexpr unsigned kTokenThreads = 256;

/// Rows along x, packs of columns along y.
inline dim3 row_grid(int64_t rows, int64_t packs) {
  return dim3(static_cast<unsigned>(rows), blocks_for(packs, threads_for(packs, kTokenThreads)));
}

template <int V>
__device__ __forceinline__ int column_of_thread() {
  return (blockIdx.y * blockDim.x + threadIdx.x) * V;
}

template <int V>
__global__ void __launch_bounds__(kTokenThreads)
    embed_kernel(float* __restrict__ y, const int32_t* __restrict__ tokens, const float* __restrict__ table, int width,
                 TokenRange range) {
  const int column = column_of_thread<V>();
  if (column >= width) return;
  const int64_t t = blockIdx.x, row = tokens[t] - range.first;
  Pack<V> out{};
  if (row >= 0 && row < range.real) out = load<V>(table + row * width + column);
  store<V>(y + t * width + column, out);
}

/// next[t]: the next token that equals token t, n if there is none; begins[t]: whether there is none before it.
__global__ void __launch_bounds__(kTokenThreads)
    token_chains_kernel(int32_t* __restrict__ next, int32_t* __restrict__ begins, const int32_t* __restrict__ tokens,
                        int n) {
  __shared__ int32_t tile[kTokenThreads];
  const int t = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x), lanes = static_cast<int>(blockDim.x);
  const int32_t mine = t < n ? tokens[t] : -1;
  int32_t following = n, first = 1;
  for (int base = 0; base < n; base += lanes) {
    const int mine_in_tile = base + static_cast<int>(threadIdx.x);
    __syncthreads();
    if (mine_in_tile < n) tile[threadIdx.x] = tokens[mine_in_tile];
    __syncthreads();
    const int end = n - base < lanes ? n - base : lanes;
    for (int j = 0; j < end; ++j) {
      if (tile[j] != mine) continue;
      const int other = base + j;
      if (other < t) first = 0;
      if (other > t && other < following) following = other;
    }
  }
  if (t >= n) return;
  next[t] = following;
  begins[t] = first;
}

/// The block of a token's first occurrence adds the gradients of all its occurrences in their order.
template <int V>
__global__ void __launch_bounds__(kTokenThreads)
    embed_dw_kernel(float* __restrict__ dtable, const float* __restrict__ dy, const int32_t* __restrict__ tokens,
                    const int32_t* __restrict__ next, const int32_t* __restrict__ begins, int n, int width,
                    TokenRange range) {
  const int column = column_of_thread<V>();
  const int first = static_cast<int>(blockIdx.x);
  if (column >= width || !begins[first]) return;
  const int64_t row = tokens[first] - range.first;
  if (row < 0 || row >= range.real) return;
  float* out = dtable + row * width + column;
  Pack<V> sum = load<V>(out);
  for (int t = first; t < n; t = next[t]) {
    const Pack<V> d = load<V>(dy + static_cast<int64_t>(t) * width + column);
    for (int j = 0; j < V; ++j) sum.v[j] += d.v[j];
  }
  store<V>(out, sum);
}

template <int V>
__global__ void __launch_bounds__(kTokenThreads)
    positions_kernel(float* __restrict__ y, const float* __restrict__ x, const float* __restrict__ table, int width,
                     int64_t first, int64_t sequence) {
  const int column = column_of_thread<V>();
  if (column >= width) return;
  const int64_t t = blockIdx.x, position = (first + t) % sequence;
  const Pack<V> a = load<V>(x + t * width + column), b = load<V>(table + position * width + column);
  Pack<V> out;
  for (int j = 0; j < V; ++j) out.v[j] = a.v[j] + b.v[j];
  store<V>(y + t * width + column, out);
}

/// One block per position: it occurs once in every sequence.
template <int V>
__global__ void __launch_bounds__(kTokenThreads)
    positions_dw_kernel(float* __restrict__ dtable, const float* __restrict__ dy, int64_t n, int width, int64_t first,
                        int64_t sequence) {
  const int column = column_of_thread<V>();
  const int64_t position = blockIdx.x, t0 = (position + sequence - first % sequence) % sequence;
  if (column >= width || t0 >= n) return;
  float* out = dtable + position * width + column;
  Pack<V> sum = load<V>(out);
  for (int64_t t = t0; t < n; t += sequence) {
    const Pack<V> d = load<V>(dy + t * width + column);
    for (int j = 0; j < V; ++j) sum.v[j] += d.v[j];
  }
  store<V>(out, sum);
}

cudaError_t embed(float* y, const int32_t* tokens, const float* table, int64_t n, int width, TokenRange range,
                  cudaStream_t stream) {
  if (fits_packs(width, {y, table})) {
    return launch<embed_kernel<4>>(row_grid(n, width / 4), threads_for(width / 4, kTokenThreads), stream, y, tokens,
                                   table, width, range);
  }
  return launch<embed_kernel<1>>(row_grid(n, width), threads_for(width, kTokenThreads), stream, y, tokens, table, width,
                                 range);
}

cudaError_t embed_dw(float* dtable, const float* dy, const int32_t* tokens, int64_t n, int width, TokenRange range,
                     int32_t* chains, cudaStream_t stream) {
  const int count = static_cast<int>(n);
  int32_t *next = chains, *begins = chains + n;
  const unsigned threads = threads_for(n, kTokenThreads);
  const cudaError_t error =
      launch<token_chains_kernel>(dim3(blocks_for(n, threads)), threads, stream, next, begins, tokens, count);
  if (error != cudaSuccess) return error;
  if (fits_packs(width, {dtable, dy})) {
    return launch<embed_dw_kernel<4>>(row_grid(n, width / 4), threads_for(width / 4, kTokenThreads), stream, dtable, dy,
                                      tokens, next, begins, count, width, range);
  }
  return launch<embed_dw_kernel<1>>(row_grid(n, width), threads_for(width, kTokenThreads), stream, dtable, dy, tokens,
                                    next, begins, count, width, range);
}

cudaError_t positions(float* y, const float* x, const float* table, int64_t n, int width, int64_t first,
                      int64_t sequence, cudaStream_t stream) {
  if (fits_packs(width, {y, x, table})) {
    return launch<positions_kernel<4>>(row_grid(n, width / 4), threads_for(width / 4, kTokenThreads), stream, y, x,
                                       table, width, first, sequence);
  }
  return launch<positions_kernel<1>>(row_grid(n, width), threads_for(width, kTokenThreads), stream, y, x, table, width,
                                     first, sequence);
}

cudaError_t positions_dw(float* dtable, const float* dy, int64_t n, int width, int64_t first, int64_t sequence,
                         cudaStream_t stream) {
  if (fits_packs(width, {dtable, dy})) {
    return launch<positions_dw_kernel<4>>(row_grid(sequence, width / 4), threads_for(width / 4, kTokenThreads), stream,
                                          dtable, dy, n, width, first, sequence);
  }
  return launch<positions_dw_kernel<1>>(row_grid(sequence, width), threads_for(width, kTokenThreads), stream, dtable,
                                        dy, n, width, first, sequence);
}

}  // namespace pgram::kernels
