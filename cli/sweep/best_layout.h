// The best layout of a model on a cluster: all legal ones, of which only those are simulated that could win.
#pragma once
#include <optional>
#include <stop_token>
#include <vector>

#include "cli/sweep/step_times.h"
#include "core/planner/search.h"

namespace pgram::sweep {

struct LayoutSearch {
  std::vector<uint32_t> micro_batch_sizes{1, 2, 4};
  NetworkLevel network = NetworkLevel::flow;  ///< of the last word; the first one is always analytic
  size_t finalists = 8;                       ///< the best ones by the analytic network, which `network` then judges
};

struct ChosenLayout {
  Layout layout;
  Workload workload;  ///< with its micro-batch
  StepTime time;
};

struct BestLayouts {
  std::optional<ChosenLayout> best;       ///< that fits into memory
  std::optional<ChosenLayout> unlimited;  ///< if memory were no limit; as fast as `best` or faster
  size_t legal = 0, simulated = 0;        ///< layouts with their micro-batch
};

/// Uses `devices` of the cluster's, all of them. A layout is left out only if it does not fit or if its LeastTime is
/// more than a time that was found; which ones are simulated does not depend on threads.
BestLayouts best_layouts(const Model&, const Cluster&, uint32_t devices, const Workload&, const LayoutSearch&,
                         const ParallelFor&, std::stop_token = {});

}  // namespace pgram::sweep
