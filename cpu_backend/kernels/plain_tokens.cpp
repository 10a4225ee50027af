#include <cstring>

#include "core/exec/arguments.h"
#include "cpu_backend/kernels/plain.h"

namespace pgram::plain {

void input(const Launch& launch, const RankInfo&) {
  const uint64_t bytes = launch.operands[0].bytes;
  std::memcpy(integers(launch, 0), launch.host_tokens, bytes);
  std::memcpy(integers(launch, 1), launch.host_tokens + count(launch, 0), bytes);
}

void embed(const Launch& launch, const RankInfo& rank) {
  float* y = floats(launch, 0);
  const int32_t* tokens = integers(launch, 1);
  const float* table = floats(launch, 2);
  const int64_t h = width(launch, 0), n = count(launch, 1);
  const VocabularyShard shard(rows(launch, 2), launch.attributes->vocabulary, rank.tp_rank);
  for (int64_t t = 0; t < n; ++t) {
    const int64_t row = shard.local(tokens[t]);
    for (int64_t i = 0; i < h; ++i) y[t * h + i] = row < 0 ? 0.0f : table[row * h + i];
  }
}

void embed_dw(const Launch& launch, const RankInfo& rank) {
  float* dtable = floats(launch, 0);
  const float* dy = floats(launch, 1);
  const int32_t* tokens = integers(launch, 2);
  const int64_t h = width(launch, 1), n = count(launch, 2);
  const VocabularyShard shard(rows(launch, 0), launch.attributes->vocabulary, rank.tp_rank);
  for (int64_t t = 0; t < n; ++t) {
    const int64_t row = shard.local(tokens[t]);
    if (row < 0) continue;
    for (int64_t i = 0; i < h; ++i) dtable[row * h + i] += dy[t * h + i];
  }
}

void positions(const Launch& launch, const RankInfo& rank) {
  float* y = floats(launch, 0);
  const float *x = floats(launch, 1), *table = floats(launch, 2);
  const int64_t h = width(launch, 0), n = rows(launch, 0), first = first_token(launch, n, rank.tp_rank);
  for (int64_t t = 0; t < n; ++t) {
    const int64_t position = (first + t) % launch.attributes->sequence;
    for (int64_t i = 0; i < h; ++i) y[t * h + i] = x[t * h + i] + table[position * h + i];
  }
}

void positions_dw(const Launch& launch, const RankInfo& rank) {
  float* dtable = floats(launch, 0);
  const float* dy = floats(launch, 1);
  const int64_t h = width(launch, 1), n = rows(launch, 1), first = first_token(launch, n, rank.tp_rank);
  for (int64_t t = 0; t < n; ++t) {
    const int64_t position = (first + t) % launch.attributes->sequence;
    for (int64_t i = 0; i < h; ++i) dtable[position * h + i] += dy[t * h + i];
  }
}

}  // namespace pgram::plain
