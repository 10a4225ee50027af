#include "cli/sweep/emit.h"

#include <algorithm>
#include <cmath>

#include "cli/sweep/emit_engines.h"
#include "cli/sweep/emit_text.h"
#include "core/base/errors.h"

namespace pgram::sweep {

uint32_t default_shards(uint64_t cases, double core_seconds) {
  constexpr double kShardSeconds = 300;
  double shards = 16;
  if (core_seconds > 0) shards = std::ceil(core_seconds / kShardCores / kShardSeconds);
  const uint64_t most = std::clamp<uint64_t>(cases, 1, kMostShards);
  return static_cast<uint32_t>(std::min<double>(std::max(shards, 1.0), static_cast<double>(most)));
}

void require_emittable(const Emission& emission) {
  if (emission.engine != "slurm" && emission.engine != "k8s" && emission.engine != "ray")
    throw InputError("--emit", "expected slurm, k8s or ray, got '" + emission.engine + "'");
  if (emission.shards > kMostShards) throw InputError("--shards", "expected at most " + std::to_string(kMostShards));
  if (!emission.image.empty() && emission.engine != "k8s")
    throw InputError("--image", "is for --emit k8s, whose pods are containers");
}

std::string emit(const Sweep& sweep, const Emission& wanted) {
  require_emittable(wanted);
  Emission emission = wanted;
  if (emission.out.empty()) emission.out = plain_name(sweep.name, 63) + ".db";
  if (!emission.shards) emission.shards = default_shards(emission.cases, emission.core_seconds);
  if (emission.engine == "slurm") return emit_slurm(sweep, emission);
  if (emission.engine == "k8s") return emit_kubernetes(sweep, emission);
  return emit_ray(sweep, emission);
}

}  // namespace pgram::sweep
