// Linear compute scaling, checked: model FLOP/s of the best layout against the number of devices, and what eats the gap
// to the ideal line.
#pragma once
#include <array>
#include <stop_token>
#include <string>
#include <vector>

#include "cli/sweep/best_layout.h"
#include "cli/sweep/case.h"
#include "cli/sweep/memory_scaling.h"

namespace pgram::sweep {

/// What a step's time goes to, the mean over all devices.
enum class TimePart : uint8_t {
  kernels,
  optimizer,
  bubble,
  tensor_parallel,
  data_parallel,
  pipeline_parallel,
  shared_links,
  imbalance,
  other
};
constexpr int kTimeParts = 9;
PartName name_of(TimePart);
using TimeParts = std::array<double, kTimeParts>;

struct ComputePoint {
  uint32_t gpus = 0;
  std::string cluster;  ///< as find_cluster takes it
  std::string unfit;    ///< why there is no layout; empty if there is one
  Layout layout;
  Workload workload;
  size_t legal = 0, simulated = 0;  ///< layouts
  double step_seconds = 0, tokens_per_second = 0, flops_per_second = 0, model_flops_utilisation = 0;
  double memory_bytes = 0, dollars_per_million_tokens = 0;
  TimeParts seconds{};  ///< of a step; they add up to step_seconds
  /// What would be best if memory were no limit (it may be the same). Memory is no part of the time but a reason for
  /// others: devices that hold copies of everything are what is left when tensor and pipeline parallelism have to make
  /// room first.
  ChosenLayout unlimited;

  // Against the ideal line; see draw_ideal_line().
  double ideal_flops_per_second = 0;
  TimeParts lost{};  ///< in devices; they add up to gpus x (1 - flops_per_second / ideal_flops_per_second)

  /// Devices that could be left out if memory were no limit.
  double lost_to_memory() const { return step_seconds > 0 ? gpus * (1 - unlimited.time.seconds / step_seconds) : 0; }
};

/// The best layout for a step of `work` (its micro-batch is searched for).
ComputePoint compute_point(const Model&, const std::string& cluster, const Cluster&, uint32_t gpus,
                           const Workload& work, const LayoutSearch&, const ParallelFor&, std::stop_token = {});

/// The ideal line goes from 0 through the first point that fits. A FLOP takes G T / F device-seconds: devices x step
/// time / model FLOPs of a step. On the line that stays what it is at the first point; elsewhere each part k of the
/// time has become more by G t_k / F - (G t_k / F at the first point), and `lost` is that as a share of G T / F, times
/// G. A part that became less is negative: it won devices back.
void draw_ideal_line(std::vector<ComputePoint>&);

}  // namespace pgram::sweep
