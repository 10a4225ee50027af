// Calibration: measures this machine's kernels and transfers, with the code that runs plans, into a Device.
#pragma once
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/cluster/cluster.h"
#include "core/plan/plan.h"
#include "cpu_backend/kernels/kernels.h"

namespace pgram {

struct CalibrateOptions {
  KernelSet kernels = KernelSet::fast;
  double seconds_budget = 60;  ///< about; what matters most is measured first
  /// Also measure the exact shapes of these plans' kernels, body by body, each in isolation: no plan is run.
  std::vector<const Plan*> plans;
  std::stop_token stop;  ///< ends early with what was found
  std::function<void(double fraction, const std::string& what)> progress;
};

/// One core of this machine as a Device, with tables: kernels alone and on all cores at once, with one thread and with
/// all cores as one team; collectives and sends between cores through the real backend. A kernel's seconds hold what a
/// task costs beyond the kernel, a transfer's the waking of the streams that wait for it.
Device calibrate_cpu(const CalibrateOptions&);

}  // namespace pgram
