// Communication by NCCL: a communicator for every group of the Plan.
#pragma once
#include <memory>
#include <string>

#include "core/plan/plan.h"
#include "cuda_backend/communication.h"

namespace pgram {

class Processes;

struct NcclOptions {
  double start_timeout = 120;  ///< seconds until all communicators are there
  double task_timeout = 120;   ///< seconds that issuing one task may take: its first use connects the members
  double abort_timeout = 10;   ///< seconds in which all communicators must be aborted, or destroyed
};

/// "2.28.9" of the library that is loaded.
std::string nccl_version();

/// Called by all processes, which agree on NCCL's version and get its unique id from process 0. Then every process
/// opens the ranks that it runs. A communicator of all ranks is made first and split into the Plan's in the Plan's
/// order; each belongs to one stream. The Plan outlives what is made here.
std::unique_ptr<Connections> nccl_connections(const Plan&, Processes&, const NcclOptions&);

/// True when a communicator could not be aborted or destroyed in time: NCCL still holds threads or kernels, and the
/// process may only _exit(), for CUDA's own tearing down could wait for them for ever.
bool nccl_hangs();

}  // namespace pgram
