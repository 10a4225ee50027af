// `pgram scale`: the two promises of a data center as one computer, checked. Twice the devices train twice the model,
// and compute twice as much.
#pragma once
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "cli/sweep/compute_scaling.h"
#include "cli/sweep/memory_scaling.h"

namespace pgram::sweep {

struct ScaleQuestion {
  std::string model;    ///< as find_model takes it
  std::string cluster;  ///< as find_cluster takes it, without a number of nodes: "dgx-h100", "dgx-h100@2", or a path
  std::vector<uint32_t> gpus;  ///< ascending
  Workload workload;           ///< global_batch: of strong scaling, and of weak scaling at the largest number of GPUs
  LayoutSearch search;
};

struct ScaleAnswer {
  std::vector<MemoryPoint> memory;
  std::vector<ComputePoint> strong;  ///< the same global batch everywhere
  std::vector<ComputePoint> weak;    ///< the same number of sequences per GPU everywhere
  bool stopped = false;              ///< what was asked for later is missing
};

/// "8:16384": the powers of two between the bounds, and the bounds; or one number. InputError else.
std::vector<uint32_t> parse_gpus(const std::string&);
/// The cluster with at least so many devices, by its name with the number of nodes. InputError where there is none.
std::string cluster_with(const std::string& cluster, uint32_t gpus);
/// Sequences of a step of weak scaling; at least 1, and divisible as the GPUs are where there are so many.
uint32_t weak_batch(const ScaleQuestion&, uint32_t gpus);

/// `progress`: share that is done. The same answer for any ParallelFor; stopped, it has the points that were done.
ScaleAnswer answer(const ScaleQuestion&, const ParallelFor&, const std::function<void(double)>& progress,
                   std::stop_token = {});

}  // namespace pgram::sweep
