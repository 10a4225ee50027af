// Cross-entropy over a vocabulary that is split over tp: maximum and sums are reduced over the group between the
// kernels (Shoeybi et al. 2019, section 3). Padding columns count nowhere and get a zero gradient.
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/exec/arguments.h"
#include "cpu_backend/kernels/plain.h"

namespace pgram::plain {

void ce_max(const Launch& launch, const RankInfo& rank) {
  float* max = floats(launch, 0);
  const float* logits = floats(launch, 1);
  const int64_t v = width(launch, 1), n = rows(launch, 1);
  const VocabularyShard shard(v, launch.attributes->vocabulary, rank.tp_rank);
  for (int64_t t = 0; t < n; ++t) {
    max[t] = -std::numeric_limits<float>::infinity();
    for (int64_t c = 0; c < shard.real; ++c) max[t] = std::max(max[t], logits[t * v + c]);
  }
}

void ce_sum(const Launch& launch, const RankInfo& rank) {
  float* stats = floats(launch, 0);
  const float *logits = floats(launch, 1), *max = floats(launch, 2);
  const int32_t* targets = integers(launch, 3);
  const int64_t v = width(launch, 1), n = rows(launch, 1);
  const VocabularyShard shard(v, launch.attributes->vocabulary, rank.tp_rank);
  for (int64_t t = 0; t < n; ++t) {
    float sum = 0;
    for (int64_t c = 0; c < shard.real; ++c) sum += std::exp(logits[t * v + c] - max[t]);
    const int64_t target = shard.local(targets[t]);
    stats[2 * t] = sum;
    stats[2 * t + 1] = target < 0 ? 0.0f : logits[t * v + target] - max[t];
  }
}

void ce_loss(const Launch& launch, const RankInfo&) {
  float* loss = floats(launch, 0);
  const float* stats = floats(launch, 1);
  const int64_t n = count(launch, 1) / 2;
  double sum = 0;
  for (int64_t t = 0; t < n; ++t) sum += std::log(double{stats[2 * t]}) - stats[2 * t + 1];
  loss[0] = static_cast<float>(loss[0] + launch.attributes->scale * sum);
}

void ce_bwd(const Launch& launch, const RankInfo& rank) {
  float* dlogits = floats(launch, 0);
  const float *logits = floats(launch, 1), *max = floats(launch, 2), *stats = floats(launch, 3);
  const int32_t* targets = integers(launch, 4);
  const int64_t v = width(launch, 1), n = rows(launch, 1);
  const float scale = launch.attributes->scale;
  const VocabularyShard shard(v, launch.attributes->vocabulary, rank.tp_rank);
  for (int64_t t = 0; t < n; ++t) {
    const int64_t target = shard.local(targets[t]);
    for (int64_t c = 0; c < v; ++c) {
      const float p = c < shard.real ? std::exp(logits[t * v + c] - max[t]) / stats[2 * t] : 0.0f;
      dlogits[t * v + c] = scale * (p - (c == target ? 1.0f : 0.0f));
    }
  }
}

}  // namespace pgram::plain
