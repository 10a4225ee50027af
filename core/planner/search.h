// Layout search: every legal DP x TP x PP x micro-batch, judged by a function Plan -> Estimate that the caller hands in
// (cli and gui hand the simulator; a planner that included it would close a cycle).
#pragma once
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/planner/planner.h"

namespace pgram {

struct Estimate {
  double step_seconds = 0;
  double bubble = 0;        ///< of total: all idle time of the compute streams, exposed communication included
  double exposed_comm = 0;  ///< share of the step
  double model_flops_utilisation = 0;
};

struct Candidate {
  Layout layout;
  Workload workload;          ///< micro_batch varies
  std::string unfit;          ///< why it cannot be used; empty if it can
  uint64_t memory_bytes = 0;  ///< of the fullest rank
  Estimate estimate;          ///< valid when unfit is empty
};

struct SearchSpace {
  uint32_t devices = 0, devices_per_node = 0;
  uint64_t memory_bytes = 0;  ///< per device
  std::vector<uint32_t> micro_batch_sizes{1, 2, 4};
  bool sequence_parallel = true;  ///< try .sp where tp > 1
  std::vector<std::string> schedules{"1f1b"};
  PointToPoint p2p = PointToPoint::channels;  ///< where pp > 1
};

using Estimator = std::function<Estimate(const Plan&)>;
/// Runs f(0..n-1), possibly in parallel; the caller brings the threads.
using ParallelFor = std::function<void(size_t n, const std::function<void(size_t)>& f)>;

/// Ranked: fit ones by step time first, then unfit ones with their reason. Same result for any ParallelFor.
std::vector<Candidate> search_layouts(const Model&, const Workload&, const SearchSpace&, const Estimator&,
                                      const ParallelFor&, std::stop_token = {});

/// Every way to use all of the space's devices that validate() accepts, in the order tried; nothing is planned, so
/// memory and estimate are not known yet. InputError for a space that is none, or too large.
std::vector<Candidate> legal_layouts(const Model&, const Workload&, const SearchSpace&);

/// The candidate of the textbook rule: tensor parallel inside the node (largest legal tp <= devices per node), then the
/// smallest pp that fits, the rest data parallel. Index into the ranked list, or -1.
int rule_of_thumb(const std::vector<Candidate>&, const SearchSpace&);
/// One sentence: why the first wins over the runner-up of another shape.
std::string why_first(const std::vector<Candidate>&);

}  // namespace pgram
