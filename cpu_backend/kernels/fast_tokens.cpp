#include <cstring>

#include "core/exec/arguments.h"
#include "cpu_backend/kernels/fast.h"
#include "cpu_backend/kernels/parallel.h"

namespace pgram::fast {
namespace {

PGRAM_CLONES void add_to(float* __restrict y, const float* __restrict x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] += x[i];
}

PGRAM_CLONES void sum(float* y, const float* a, const float* b, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = a[i] + b[i];
}

}  // namespace

void embed(const Launch& launch, const RankInfo& rank) {
  float* y = floats(launch, 0);
  const int32_t* tokens = integers(launch, 1);
  const float* table = floats(launch, 2);
  const int64_t h = width(launch, 0);
  const VocabularyShard shard(rows(launch, 2), launch.attributes->vocabulary, rank.tp_rank);
  parallel_for(count(launch, 1), row_grain(h), rank.threads, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const int64_t row = shard.local(tokens[t]);
      if (row < 0)
        std::memset(y + t * h, 0, h * sizeof(float));
      else
        std::memcpy(y + t * h, table + row * h, h * sizeof(float));
    }
  });
}

// A row may occur several times: threads share the columns, so that each sum has one order.
void embed_dw(const Launch& launch, const RankInfo& rank) {
  float* dtable = floats(launch, 0);
  const float* dy = floats(launch, 1);
  const int32_t* tokens = integers(launch, 2);
  const int64_t h = width(launch, 1), n = count(launch, 2);
  const VocabularyShard shard(rows(launch, 0), launch.attributes->vocabulary, rank.tp_rank);
  parallel_for(h, 64, rank.threads, [&](int64_t begin, int64_t end) {
    for (int64_t t = 0; t < n; ++t) {
      const int64_t row = shard.local(tokens[t]);
      if (row >= 0) add_to(dtable + row * h + begin, dy + t * h + begin, end - begin);
    }
  });
}

void positions(const Launch& launch, const RankInfo& rank) {
  float* y = floats(launch, 0);
  const float *x = floats(launch, 1), *table = floats(launch, 2);
  const int64_t h = width(launch, 0), n = rows(launch, 0), first = first_token(launch, n, rank.tp_rank);
  parallel_for(n, row_grain(h), rank.threads, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t)
      sum(y + t * h, x + t * h, table + (first + t) % launch.attributes->sequence * h, h);
  });
}

void positions_dw(const Launch& launch, const RankInfo& rank) {
  float* dtable = floats(launch, 0);
  const float* dy = floats(launch, 1);
  const int64_t h = width(launch, 1), n = rows(launch, 1), first = first_token(launch, n, rank.tp_rank);
  parallel_for(h, 64, rank.threads, [&](int64_t begin, int64_t end) {
    for (int64_t t = 0; t < n; ++t)
      add_to(dtable + (first + t) % launch.attributes->sequence * h + begin, dy + t * h + begin, end - begin);
  });
}

}  // namespace pgram::fast
