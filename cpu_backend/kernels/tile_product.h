// Matrix product of tiles that live in cache, for attention: no packing, no threads, compiled into its caller.
#pragma once
#include <cstdint>
#include <cstring>

#include "cpu_backend/kernels/parallel.h"

namespace pgram {

/// Columns of a tile are processed by so many; wider vectors than the machine's are split by the compiler.
constexpr int64_t kLanes = 16;
using Lanes = float __attribute__((vector_size(kLanes * sizeof(float))));

/// Rows that share the loads of b: 6 sums of 16 floats fill 12 of AVX2's 16 registers.
constexpr int64_t kTileRows = 6;

template <int kRows>
PGRAM_INLINE void tile_rows(int64_t n, int64_t k, const float* a, int64_t row_step, int64_t column_step, const float* b,
                            int64_t ldb, float* c, int64_t ldc, bool accumulate) {
  for (int64_t j = 0; j < n; j += kLanes) {
    Lanes sum[kRows];
#pragma GCC unroll 6
    for (int i = 0; i < kRows; ++i) {
      if (accumulate)
        std::memcpy(&sum[i], c + i * ldc + j, sizeof(Lanes));
      else
        sum[i] = Lanes{};
    }
    const float* column = a;
    for (int64_t p = 0; p < k; ++p, column += column_step) {
      Lanes row;
      std::memcpy(&row, b + p * ldb + j, sizeof(Lanes));
#pragma GCC unroll 6
      for (int i = 0; i < kRows; ++i) sum[i] += column[i * row_step] * row;
    }
#pragma GCC unroll 6
    for (int i = 0; i < kRows; ++i) std::memcpy(c + i * ldc + j, &sum[i], sizeof(Lanes));
  }
}

/// c[m,n] (+)= a[m,k] b[k,n]; a's element (i, p) is a[i * row_step + p * column_step]; n is a multiple of kLanes.
PGRAM_INLINE void tile_product(int64_t m, int64_t n, int64_t k, const float* a, int64_t row_step, int64_t column_step,
                               const float* b, int64_t ldb, float* c, int64_t ldc, bool accumulate) {
  int64_t i = 0;
  for (; i + kTileRows <= m; i += kTileRows)
    tile_rows<kTileRows>(n, k, a + i * row_step, row_step, column_step, b, ldb, c + i * ldc, ldc, accumulate);
  for (; i + 2 <= m; i += 2)
    tile_rows<2>(n, k, a + i * row_step, row_step, column_step, b, ldb, c + i * ldc, ldc, accumulate);
  if (i < m) tile_rows<1>(n, k, a + i * row_step, row_step, column_step, b, ldb, c + i * ldc, ldc, accumulate);
}

}  // namespace pgram
