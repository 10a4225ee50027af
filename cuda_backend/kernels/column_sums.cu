// Gradients of biases and gains: sums over the tokens, column by column, in two stages. First chunks of rows are summed
// side by side into partial sums, then those are summed in order onto the gradient.
#include "cuda_backend/kernels/column_sums.h"
#include "cuda_backend/kernels/device.cuh"
#include "cuda_backend/kernels/kernels.h"

namespace pgram::kernels {

/// What is summed: dy, dy * x * rstd, or dy * xhat and dy.
enum class Term { plain, rms, layer };

constexpr int kSumRows = 8;  // rows that a block reads at a time

/// out[chunk][column] (+)= sum of the chunk's rows; `second` is the sum of dy beside it (Term::layer).
template <int V, Term term>
__global__ void __launch_bounds__(kWarp* kSumRows)
    column_sums_kernel(float* __restrict__ out, float* __restrict__ second, const float* __restrict__ dy,
                       const float* __restrict__ x, const float* __restrict__ stats, int64_t rows, int width,
                       int64_t rows_per_chunk, bool accumulate) {
  __shared__ __align__(16) float sums[kSumRows][kWarp * V];
  __shared__ __align__(16) float second_sums[term == Term::layer ? kSumRows : 1][kWarp * V];
  const int column = (blockIdx.x * kWarp + threadIdx.x) * V;
  const int64_t first = blockIdx.y * rows_per_chunk;
  const int64_t last = first + rows_per_chunk < rows ? first + rows_per_chunk : rows;
  Pack<V> sum{}, other{};
  if (column < width) {
    for (int64_t row = first + threadIdx.y; row < last; row += kSumRows) {
      const Pack<V> d = load<V>(dy + row * width + column);
      Pack<V> a{};
      if constexpr (term != Term::plain) a = load<V>(x + row * width + column);
      for (int j = 0; j < V; ++j) {
        if constexpr (term == Term::plain) sum.v[j] += d.v[j];
        if constexpr (term == Term::rms) sum.v[j] += d.v[j] * a.v[j] * stats[row];
        if constexpr (term == Term::layer) {
          sum.v[j] += d.v[j] * (a.v[j] - stats[2 * row]) * stats[2 * row + 1];
          other.v[j] += d.v[j];
        }
      }
    }
  }
  store<V>(&sums[threadIdx.y][threadIdx.x * V], sum);
  if constexpr (term == Term::layer) store<V>(&second_sums[threadIdx.y][threadIdx.x * V], other);
  __syncthreads();
  if (threadIdx.y != 0 || column >= width) return;
  const int64_t at = static_cast<int64_t>(blockIdx.y) * width + column;
  for (int j = 0; j < V; ++j) {
    float total = 0, second_total = 0;
    for (int y = 0; y < kSumRows; ++y) {
      total += sums[y][threadIdx.x * V + j];
      if constexpr (term == Term::layer) second_total += second_sums[y][threadIdx.x * V + j];
    }
    sum.v[j] = total;
    other.v[j] = second_total;
  }
  if (accumulate) {
    const Pack<V> before = load<V>(out + at);
    for (int j = 0; j < V; ++j) sum.v[j] += before.v[j];
    if constexpr (term == Term::layer) {
      const Pack<V> second_before = load<V>(second + at);
      for (int j = 0; j < V; ++j) other.v[j] += second_before.v[j];
    }
  }
  store<V>(out + at, sum);
  if constexpr (term == Term::layer) store<V>(second + at, other);
}

template <Term term>
cudaError_t column_sums(float* out, float* second, const float* dy, const float* x, const float* stats, int64_t rows,
                        int width, const RowChunks& chunks, bool accumulate, cudaStream_t stream) {
  const dim3 block(kWarp, kSumRows);
  const bool packs = fits_packs(width, {out, second, dy, x});
  const dim3 grid(blocks_for(width, packs ? kWarp * 4 : kWarp), static_cast<unsigned>(chunks.count));
  return packs ? launch<column_sums_kernel<4, term>>(grid, block, stream, out, second, dy, x, stats, rows, width,
                                                     chunks.rows, accumulate)
               : launch<column_sums_kernel<1, term>>(grid, block, stream, out, second, dy, x, stats, rows, width,
                                                     chunks.rows, accumulate);
}

cudaError_t add_partials(float* out, const float* partial, int64_t partials, int width, cudaStream_t stream) {
  return column_sums<Term::plain>(out, nullptr, partial, nullptr, nullptr, partials, width, {partials, 1}, true,
                                  stream);
}

int64_t column_partials(int64_t n, int width, int outputs) {
  return RowChunks(n).count * width * outputs;
}

/// Both stages; one is enough where all rows are one chunk.
template <Term term>
cudaError_t add_column_sums(float* out, float* second, const float* dy, const float* x, const float* stats, int64_t n,
                            int width, float* partial, cudaStream_t stream) {
  const RowChunks chunks(n);
  if (chunks.count == 1) return column_sums<term>(out, second, dy, x, stats, n, width, chunks, true, stream);
  float* second_partial = second ? partial + chunks.count * width : nullptr;
  const cudaError_t error = column_sums<term>(partial, second_partial, dy, x, stats, n, width, chunks, false, stream);
  if (error != cudaSuccess) return error;
  const cudaError_t added = add_partials(out, partial, chunks.count, width, stream);
  if (added != cudaSuccess || !second) return added;
  return add_partials(second, second_partial, chunks.count, width, stream);
}

cudaError_t bias_dw(float* db, const float* dy, int64_t n, int width, float* partial, cudaStream_t stream) {
  return add_column_sums<Term::plain>(db, nullptr, dy, nullptr, nullptr, n, width, partial, stream);
}
cudaError_t rms_norm_dw(float* dg, const float* dy, const float* x, const float* rstd, int64_t n, int width,
                        float* partial, cudaStream_t stream) {
  return add_column_sums<Term::rms>(dg, nullptr, dy, x, rstd, n, width, partial, stream);
}
cudaError_t layer_norm_dw(float* dg, float* db, const float* dy, const float* x, const float* stats, int64_t n,
                          int width, float* partial, cudaStream_t stream) {
  return add_column_sums<Term::layer>(dg, db, dy, x, stats, n, width, partial, stream);
}

}  // namespace pgram::kernels
