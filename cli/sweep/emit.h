// A sweep as a file to submit to an engine that runs on many machines: a Slurm array, a Kubernetes Indexed Job, a Ray
// program. Each runs `pgram sweep --shard I/N` N times and `pgram sweep merge` at the end.
#pragma once
#include <cstdint>
#include <string>

#include "cli/sweep/sweep_file.h"

namespace pgram::sweep {

struct Emission {
  std::string engine;       ///< slurm, k8s or ray
  std::string out;          ///< the results file; a shard's own is "OUT.shard3". Empty: named like the sweep
  uint64_t cases = 0;       ///< of the grid
  uint32_t shards = 0;      ///< 0: so many that each takes some minutes
  double core_seconds = 0;  ///< that all cases are expected to take on one core; 0: not known
  std::string image;        ///< of containers, for Kubernetes; empty: a placeholder that a comment names as such
  std::string version;      ///< of this program
};

/// InputError for an engine that is not known, too many shards, and an image for another engine than Kubernetes.
void require_emittable(const Emission&);

/// The whole file, commented. Names are quoted as each language asks. InputError also where a name is no UTF-8 and the
/// language takes nothing else.
std::string emit(const Sweep&, const Emission&);

constexpr uint32_t kMostShards = 10'000;
/// Cores of a shard: few enough for any node, enough that starting up does not matter.
constexpr uint32_t kShardCores = 4;

/// Five minutes each on kShardCores; 16 where the time is not known. Never more shards than cases.
uint32_t default_shards(uint64_t cases, double core_seconds);

}  // namespace pgram::sweep
