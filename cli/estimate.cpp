#include "cli/estimate.h"

#include <oneapi/tbb/enumerable_thread_specific.h>
#include <oneapi/tbb/parallel_for.h>

#include <memory>

#include "core/base/errors.h"
#include "core/timeline/summary.h"
#include "sim/simulate.h"
#include "sim/simulation_cache.h"

namespace pgram::cli {

Estimator simulating_estimator(const Cluster& cluster) {
  auto caches = std::make_shared<oneapi::tbb::enumerable_thread_specific<SimulationCache>>();
  return [&cluster, caches](const Plan& plan) {
    // Thousands of layouts are looked at: every transfer as if alone, which the evaluator does exactly.
    SimulationOptions options;
    options.network = NetworkLevel::analytic;
    options.collective_share = 0;
    options.keep_counters = false;
    const std::shared_ptr<const Plan> not_owned(std::shared_ptr<const Plan>(), &plan);  // outlives the timeline
    const SimulationResult result = simulate(not_owned, cluster, options, caches->local());
    if (!result.error.empty()) throw RunError(result.error);
    const Summary summary = summarise(result.timeline);
    Estimate estimate;
    estimate.step_seconds = to_seconds(result.makespan);
    estimate.bubble = summary.bubble_of_total;
    estimate.model_flops_utilisation = summary.model_flops_utilisation;
    double exposed = 0, ranks = 0;
    for (const RankSummary& rank : summary.ranks) {
      for (Picoseconds time : rank.exposed) exposed += to_seconds(time);
      ++ranks;
    }
    if (ranks > 0 && result.makespan > 0) estimate.exposed_comm = exposed / ranks / estimate.step_seconds;
    return estimate;
  };
}

ParallelFor parallel_for_all_cores() {
  return [](size_t n, const std::function<void(size_t)>& f) { oneapi::tbb::parallel_for(size_t{0}, n, f); };
}

}  // namespace pgram::cli
