#include <cmath>
#include <vector>

#include "core/exec/arguments.h"
#include "core/exec/rope_frequencies.h"
#include "cpu_backend/kernels/fast.h"
#include "cpu_backend/kernels/parallel.h"

namespace pgram::fast {
namespace {

/// cos and sin of every position and pair; made once per thread, since all layers rotate alike.
class RotationTable {
 public:
  /// [sequence][2][rotary_dims / 2]: cosines, then sines.
  const float* of(const Attributes& wanted) {
    if (!table_.empty() && made_for_ == wanted) return table_.data();
    made_for_ = wanted;
    const int64_t half = wanted.rotary_dims / 2;
    table_.resize(wanted.sequence * 2 * half);
    for (int64_t j = 0; j < half; ++j) {
      const double frequency = rope_frequency(wanted, j);
      for (int64_t position = 0; position < wanted.sequence; ++position) {
        table_[position * 2 * half + j] = static_cast<float>(std::cos(static_cast<double>(position) * frequency));
        table_[position * 2 * half + half + j] =
            static_cast<float>(std::sin(static_cast<double>(position) * frequency));
      }
    }
    return table_.data();
  }

 private:
  Attributes made_for_;
  std::vector<float> table_;
};

PGRAM_CLONES void rotate_rows(float* qkv, const float* table, const HeadShape& shape, int64_t half, float direction,
                              int64_t begin, int64_t end) {
  for (int64_t t = begin; t < end; ++t) {
    const float *c = table + t % shape.sequence * 2 * half, *s = c + half;
    for (int64_t at = 0; at < shape.value(0); at += shape.d) {
      float *first = qkv + t * shape.width() + at, *second = first + half;
#pragma omp simd
      for (int64_t j = 0; j < half; ++j) {
        const float a = first[j], b = second[j], sine = direction * s[j];
        first[j] = a * c[j] - b * sine;
        second[j] = b * c[j] + a * sine;
      }
    }
  }
}

void rotate(const Launch& launch, const RankInfo& rank, float direction) {
  static thread_local RotationTable tables;
  const HeadShape shape(*launch.attributes);
  const float* table = tables.of(*launch.attributes);
  parallel_for(
      count(launch, 0) / shape.width(), row_grain(shape.width()), rank.threads, [&](int64_t begin, int64_t end) {
        rotate_rows(floats(launch, 0), table, shape, launch.attributes->rotary_dims / 2, direction, begin, end);
      });
}

}  // namespace

void rope(const Launch& launch, const RankInfo& rank) {
  rotate(launch, rank, 1.0f);
}
void rope_bwd(const Launch& launch, const RankInfo& rank) {
  rotate(launch, rank, -1.0f);
}

}  // namespace pgram::fast
