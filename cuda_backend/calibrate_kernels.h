// Micro-benchmarks of compute tasks on a GPU, through dispatch(); private to calibration.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/exec/prepared_plan.h"
#include "cuda_backend/gpu_timer.h"
#include "cuda_backend/handles.h"

namespace pgram {

struct TaskCase {
  const PreparedPlan* prepared = nullptr;
  uint16_t body = 0, op = 0;

  const Plan& plan() const { return prepared->plan; }
  const Body& in_body() const { return plan().bodies[body]; }
  const Op& the_op() const { return in_body().ops[op]; }
};

/// "calibrate matmul 128 512 256": what profilers call the task.
std::string name_of(const TaskCase&);

/// Runs compute tasks of plans, each alone, on operands made for it. Of the current device.
class KernelBench {
 public:
  explicit KernelBench(GpuTimer&);

  /// Whether its operands, a slot of each, lie in the device's free memory.
  bool fits(const TaskCase&) const;
  /// Calls take turns with as many slots of each operand's record as a program's pool has, `most_bytes` of it at most:
  /// so a call finds in the caches about what it would find there in a step.
  Seconds measure(const TaskCase&, uint64_t most_bytes, Seconds seconds);
  /// What a task costs that has next to nothing to do.
  Seconds measure_queue(const TaskCase&, uint32_t calls);

 private:
  class Operands;
  void make_workspace(const Plan&);
  GpuTimer::Issue issue_of(const TaskCase&, Operands&);

  GpuTimer& timer_;
  BlasHandle blas_;
  DeviceMemory blas_workspace_, workspace_;
  uint64_t workspace_bytes_ = 0;
};

}  // namespace pgram
