// One case of a sweep: what is simulated, and every figure that comes out of it.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/layout/layout.h"
#include "core/workload/workload.h"

namespace pgram::sweep {

/// What does not go as planned, in the words of the flags of `pgram simulate`.
struct Disturbance {
  std::string name = "none";
  std::vector<std::string> slow, links;  ///< as --slow, --link
  std::string jitter;                    ///< as --jitter
  bool operator==(const Disturbance&) const = default;
};

struct Case {
  uint64_t number = 0;         ///< its place in the grid, from 0
  std::string model, cluster;  ///< as find_model and find_cluster take them
  uint32_t devices = 0, devices_per_node = 0;
  Layout layout;
  Workload workload;
  std::string network = "flow";  ///< analytic, flow or step
  Disturbance disturbance;
  bool operator==(const Case&) const = default;
};

/// A column of inputs in the results file, in CSV, in `--where` and in a sweep's filters: text or a whole number.
struct InputColumn {
  const char* name;
  const char* help;
  bool of_group;  ///< the same in all cases of a PlanGroup
  std::string (*text)(const Case&) = nullptr;
  uint64_t (*number)(const Case&) = nullptr;  ///< where it is no text
};
std::span<const InputColumn> input_columns();

/// Everything that a case says, all of it numbers. Those of time are of one step. Shares are of the step, the mean over
/// all ranks' compute streams; those from `forward` to `other_idle` add up to 1.
struct Figures {
  double step_seconds = 0, tokens_per_second = 0, model_flops_per_second = 0, model_flops_utilisation = 0;
  double memory_bytes = 0, memory_headroom = 0;  ///< of the fullest rank; headroom: what its device has left, bytes
  double forward = 0, backward = 0, optimizer = 0, other_compute = 0;    ///< busy
  double tensor_parallel = 0, data_parallel = 0, pipeline_parallel = 0;  ///< exposed communication
  double shared_links = 0;                                               ///< longer because links are shared
  double fill = 0, steady = 0, drain = 0;                                ///< pipeline bubbles
  double imbalance = 0;                                                  ///< waits for a collective's slowest
  double other_idle = 0;
  // 0 where the files of device and cluster do not say it.
  double joules = 0, watts_per_device = 0;             ///< of a step; mean, of a device by itself
  double dollars = 0, dollars_per_million_tokens = 0;  ///< of a step, failures left out
  double goodput = 0;                                  ///< time not lost to failures and checkpoints
  double checkpoint_interval_seconds = 0;              ///< the best one
};

/// A column: name in the results file, in CSV and in `--by`, its unit, and what it is in a few words.
struct FigureColumn {
  const char* name;
  const char* unit;
  const char* help;
  double Figures::*value;
  bool more_is_better = false;
  bool zero_is_unknown = false;  ///< the files of device and cluster do not give it: "-", an empty cell, the last place
  bool is_known(const Figures& figures) const { return !zero_is_unknown || figures.*value != 0; }
};
std::span<const FigureColumn> figure_columns();

struct Outcome {
  std::string unfit;  ///< why the case cannot be used (degrees, memory); empty if it can
  std::string error;  ///< it should have worked and did not
  Figures figures;    ///< zeros where it is unfit or failed; the memory figures are there if it was planned
};

}  // namespace pgram::sweep
