// Tiled attention with online softmax (Dao et al. 2022, FlashAttention): scores exist for one tile of kQueries x kKeys
// at a time. Keys and values of a head are packed once (transposed, columns padded to whole vectors).
#include <cmath>
#include <cstring>
#include <limits>

#include "core/exec/arguments.h"
#include "cpu_backend/kernels/fast.h"
#include "cpu_backend/kernels/parallel.h"
#include "cpu_backend/kernels/tile_product.h"
#include "cpu_backend/kernels/vector_math.h"

namespace pgram::fast {
namespace {

constexpr int64_t kQueries = 48, kKeys = 64;  // 48 = 8 * kTileRows

constexpr int64_t round_up(int64_t n, int64_t to) {
  return (n + to - 1) / to * to;
}

/// Sizes of one (sequence, key head): d and s padded, strides of the tensors.
struct Tiles {
  int64_t s, d, padded_s, padded_d, qkv_stride, out_stride, lse_stride;
  float scale;
  explicit Tiles(const HeadShape& shape)
      : s(shape.sequence),
        d(shape.d),
        padded_s(round_up(s, kKeys)),
        padded_d(round_up(d, kLanes)),
        qkv_stride(shape.width()),
        out_stride(shape.heads * d),
        lse_stride(shape.heads),
        scale(1.0f / std::sqrt(static_cast<float>(d))) {}
};

/// to[d][padded_s] = from[s][d] transposed, zeros behind s.
PGRAM_INLINE void pack_transposed(float* to, const float* from, const Tiles& z) {
  for (int64_t s0 = 0; s0 < z.padded_s; s0 += kLanes)
    for (int64_t i = 0; i < z.d; ++i)
      for (int64_t s = s0; s < s0 + kLanes; ++s) to[i * z.padded_s + s] = s < z.s ? from[s * z.qkv_stride + i] : 0.0f;
}

/// to[rows][padded_d] = from[rows][d], zeros behind d.
PGRAM_INLINE void pack_rows(float* to, const float* from, int64_t stride, int64_t rows, const Tiles& z) {
  for (int64_t r = 0; r < rows; ++r) {
    std::memcpy(to + r * z.padded_d, from + r * stride, z.d * sizeof(float));
    for (int64_t i = z.d; i < z.padded_d; ++i) to[r * z.padded_d + i] = 0.0f;
  }
}

/// One row of scores becomes exp(score * scale - new maximum), zeros behind `valid`; returns the factor by which
/// everything summed before must shrink. max and sum are the row's running values.
PGRAM_INLINE float softmax_row(float* scores, int64_t valid, int64_t columns, float scale, float& max, float& sum) {
  float top = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : top)
  for (int64_t j = 0; j < valid; ++j) top = scores[j] > top ? scores[j] : top;
  const float old = max;
  max = std::max(old, top * scale);
  const float shift = max;
  float added = 0;
#pragma omp simd reduction(+ : added)
  for (int64_t j = 0; j < valid; ++j) {
    const float p = vector_exp(scores[j] * scale - shift);
    scores[j] = p;
    added += p;
  }
  for (int64_t j = valid; j < columns; ++j) scores[j] = 0.0f;
  const float keep = vector_exp(old - shift);
  sum = sum * keep + added;
  return keep;
}

size_t forward_scratch(const Tiles& z) {
  return z.d * z.padded_s + z.s * z.padded_d + kQueries * kKeys + kQueries * z.padded_d;
}

/// o[s][d] and lse[s] of one head; q, k, v point at the head in the first token of the sequence.
PGRAM_CLONES void forward_head(float* o, float* lse, const float* q, const float* k, const float* v, const Tiles& z,
                               float* scratch) {
  float *keys = scratch, *values = keys + z.d * z.padded_s, *scores = values + z.s * z.padded_d,
        *sums = scores + kQueries * kKeys;
  pack_transposed(keys, k, z);
  pack_rows(values, v, z.qkv_stride, z.s, z);
  for (int64_t q0 = 0; q0 < z.s; q0 += kQueries) {
    const int64_t queries = std::min(kQueries, z.s - q0), end = q0 + queries;
    float max[kQueries], sum[kQueries];
    std::fill(max, max + queries, -std::numeric_limits<float>::infinity());
    std::fill(sum, sum + queries, 0.0f);
    std::fill(sums, sums + queries * z.padded_d, 0.0f);
    for (int64_t k0 = 0; k0 < end; k0 += kKeys) {
      const int64_t columns = std::min(kKeys, end - k0);
      tile_product(queries, round_up(columns, kLanes), z.d, q + q0 * z.qkv_stride, z.qkv_stride, 1, keys + k0,
                   z.padded_s, scores, kKeys, false);
      for (int64_t i = 0; i < queries; ++i) {
        const int64_t valid = std::clamp<int64_t>(q0 + i + 1 - k0, 0, columns);
        const float keep = softmax_row(scores + i * kKeys, valid, columns, z.scale, max[i], sum[i]);
        float* row = sums + i * z.padded_d;
        if (keep != 1.0f)
          for (int64_t e = 0; e < z.padded_d; ++e) row[e] *= keep;
      }
      tile_product(queries, z.padded_d, columns, scores, kKeys, 1, values + k0 * z.padded_d, z.padded_d, sums,
                   z.padded_d, true);
    }
    for (int64_t i = 0; i < queries; ++i) {
      const float factor = 1.0f / sum[i];
      for (int64_t e = 0; e < z.d; ++e) o[(q0 + i) * z.out_stride + e] = sums[i * z.padded_d + e] * factor;
      lse[(q0 + i) * z.lse_stride] = max[i] + std::log(sum[i]);
    }
  }
}

/// Pointers into one key head's scratch, for all query heads that share it.
struct BackwardScratch {
  float *keys_t, *values_t, *keys, *dkeys, *dvalues, *q, *d_out, *p, *ds, *dq;
  BackwardScratch(float* base, const Tiles& z) {
    const auto take = [&](int64_t n) {
      float* at = base;
      base += n;
      return at;
    };
    keys_t = take(z.d * z.padded_s);
    values_t = take(z.d * z.padded_s);
    keys = take(z.padded_s * z.padded_d);
    dkeys = take(z.padded_s * z.padded_d);
    dvalues = take(z.padded_s * z.padded_d);
    q = take(kQueries * z.padded_d);
    d_out = take(kQueries * z.padded_d);
    dq = take(kQueries * z.padded_d);
    p = take(kQueries * kKeys);
    ds = take(kQueries * kKeys);
  }
  static size_t size(const Tiles& z) {
    return 2 * z.d * z.padded_s + 3 * z.padded_s * z.padded_d + 3 * kQueries * z.padded_d + 2 * kQueries * kKeys;
  }
};

PGRAM_CLONES void backward_begin(const float* k, const float* v, const Tiles& z, const BackwardScratch& w) {
  pack_transposed(w.keys_t, k, z);
  pack_transposed(w.values_t, v, z);
  pack_rows(w.keys, k, z.qkv_stride, z.s, z);
  std::fill(w.dkeys, w.dkeys + z.padded_s * z.padded_d, 0.0f);
  std::fill(w.dvalues, w.dvalues + z.padded_s * z.padded_d, 0.0f);
}

/// Row of probabilities and of score gradients: p = exp(score * scale - lse), ds = scale * p * (dp - row).
PGRAM_INLINE void gradient_row(float* p, float* ds, int64_t valid, int64_t columns, float scale, float lse, float row) {
#pragma omp simd
  for (int64_t j = 0; j < valid; ++j) {
    const float probability = vector_exp(p[j] * scale - lse);
    p[j] = probability;
    ds[j] = scale * probability * (ds[j] - row);
  }
  for (int64_t j = valid; j < columns; ++j) p[j] = ds[j] = 0.0f;
}

/// Writes one query head's dq and adds its share to the key head's dkeys and dvalues.
PGRAM_CLONES void backward_head(float* dq, const float* d_out, const float* q, const float* out, const float* lse,
                                const Tiles& z, const BackwardScratch& w) {
  for (int64_t q0 = 0; q0 < z.s; q0 += kQueries) {
    const int64_t queries = std::min(kQueries, z.s - q0), end = q0 + queries;
    pack_rows(w.q, q + q0 * z.qkv_stride, z.qkv_stride, queries, z);
    pack_rows(w.d_out, d_out + q0 * z.out_stride, z.out_stride, queries, z);
    std::fill(w.dq, w.dq + queries * z.padded_d, 0.0f);
    float row[kQueries];
    for (int64_t i = 0; i < queries; ++i) {
      const float *a = d_out + (q0 + i) * z.out_stride, *b = out + (q0 + i) * z.out_stride;
      float dot = 0;
#pragma omp simd reduction(+ : dot)
      for (int64_t e = 0; e < z.d; ++e) dot += a[e] * b[e];
      row[i] = dot;
    }
    for (int64_t k0 = 0; k0 < end; k0 += kKeys) {
      const int64_t columns = std::min(kKeys, end - k0), padded = round_up(columns, kLanes), at = k0 * z.padded_d;
      tile_product(queries, padded, z.d, w.q, z.padded_d, 1, w.keys_t + k0, z.padded_s, w.p, kKeys, false);
      tile_product(queries, padded, z.d, w.d_out, z.padded_d, 1, w.values_t + k0, z.padded_s, w.ds, kKeys, false);
      for (int64_t i = 0; i < queries; ++i)
        gradient_row(w.p + i * kKeys, w.ds + i * kKeys, std::clamp<int64_t>(q0 + i + 1 - k0, 0, columns), columns,
                     z.scale, lse[(q0 + i) * z.lse_stride], row[i]);
      tile_product(queries, z.padded_d, columns, w.ds, kKeys, 1, w.keys + at, z.padded_d, w.dq, z.padded_d, true);
      tile_product(columns, z.padded_d, queries, w.ds, 1, kKeys, w.q, z.padded_d, w.dkeys + at, z.padded_d, true);
      tile_product(columns, z.padded_d, queries, w.p, 1, kKeys, w.d_out, z.padded_d, w.dvalues + at, z.padded_d, true);
    }
    for (int64_t i = 0; i < queries; ++i)
      std::memcpy(dq + (q0 + i) * z.qkv_stride, w.dq + i * z.padded_d, z.d * sizeof(float));
  }
}

}  // namespace

void attention(const Launch& launch, const RankInfo& rank) {
  const HeadShape shape(*launch.attributes);
  const Tiles z(shape);
  const int64_t sequences = count(launch, 2) / shape.width() / z.s;
  parallel_for(sequences * shape.heads, 1, rank.threads, [&](int64_t begin, int64_t end) {
    static thread_local Scratch memory;
    float* scratch = memory.floats(forward_scratch(z));
    for (int64_t task = begin; task < end; ++task) {
      const int64_t token = task / shape.heads * z.s, head = task % shape.heads, kv_head = head / shape.group();
      const float* qkv = floats(launch, 2) + token * z.qkv_stride;
      forward_head(floats(launch, 0) + token * z.out_stride + head * z.d,
                   floats(launch, 1) + token * z.lse_stride + head, qkv + head * z.d, qkv + shape.key(kv_head),
                   qkv + shape.value(kv_head), z, scratch);
    }
  });
}

// A key head's gradients are summed over its query heads by one thread.
void attention_bwd(const Launch& launch, const RankInfo& rank) {
  const HeadShape shape(*launch.attributes);
  const Tiles z(shape);
  const int64_t sequences = count(launch, 2) / shape.width() / z.s;
  parallel_for(sequences * shape.kv_heads, 1, rank.threads, [&](int64_t begin, int64_t end) {
    static thread_local Scratch memory;
    const BackwardScratch scratch(memory.floats(BackwardScratch::size(z)), z);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t token = task / shape.kv_heads * z.s, kv_head = task % shape.kv_heads;
      float* dqkv = floats(launch, 0) + token * z.qkv_stride;
      const float* qkv = floats(launch, 2) + token * z.qkv_stride;
      backward_begin(qkv + shape.key(kv_head), qkv + shape.value(kv_head), z, scratch);
      for (int64_t head = kv_head * shape.group(); head < (kv_head + 1) * shape.group(); ++head) {
        const int64_t at = token * z.out_stride + head * z.d;
        backward_head(dqkv + head * z.d, floats(launch, 1) + at, qkv + head * z.d, floats(launch, 3) + at,
                      floats(launch, 4) + token * z.lse_stride + head, z, scratch);
      }
      for (int64_t s = 0; s < z.s; ++s) {
        std::memcpy(dqkv + s * z.qkv_stride + shape.key(kv_head), scratch.dkeys + s * z.padded_d, z.d * sizeof(float));
        std::memcpy(dqkv + s * z.qkv_stride + shape.value(kv_head), scratch.dvalues + s * z.padded_d,
                    z.d * sizeof(float));
      }
    }
  });
}

}  // namespace pgram::fast
