// Tiny trainings on GPUs, or on the stand-in for them.
#pragma once
#include <string>

#include "cuda_backend/cuda_backend.h"
#include "tests/cpu_backend/parity.h"
#include "tests/cpu_backend/training.h"
#include "tests/emulation/find_control.h"

namespace pgram::testing {

/// Nothing that a tiny task does takes longer.
inline CudaOptions tiny_cuda() {
  CudaOptions options;
  options.task_timeout = options.start_timeout = 30;
  return options;
}

/// On a machine with fewer GPUs than the plan has ranks all share the first one.
inline CudaOptions options_for(const Plan& plan, CudaOptions options) {
  if (plan.mesh.ranks() > static_cast<uint32_t>(count_devices())) options.share_gpu = true;
  return options;
}

inline RunResult train_on_gpu(const Plan& plan, const RunOptions& options, const CudaOptions& cuda = tiny_cuda()) {
  CudaBackend backend(plan, options_for(plan, cuda));
  return run(plan, backend, options);
}

/// The stand-in, for tests that make no sense without it.
inline const emulation::Control& stand_in() {
  static const emulation::Control* control = emulation::find_control();
  return *control;
}
inline bool on_real_gpu() {
  return emulation::find_control() == nullptr;
}

}  // namespace pgram::testing
