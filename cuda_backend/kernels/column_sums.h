// How rows are cut into chunks for sums over them, and the second stage of such sums.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>

namespace pgram::kernels {

/// At least 128 rows a chunk, at most 128 chunks.
struct RowChunks {
  int64_t rows, count;
  RowChunks(int64_t rows_per_chunk, int64_t chunks) : rows(rows_per_chunk), count(chunks) {}
  explicit RowChunks(int64_t n) : rows((n + 127) / 128), count(0) {
    if (rows < 128) rows = 128;
    count = (n + rows - 1) / rows;
  }
};

/// out[width] += the sum of partial[partials][width], in order.
cudaError_t add_partials(float* out, const float* partial, int64_t partials, int width, cudaStream_t);

}  // namespace pgram::kernels
