// Communication between ranks that share one card: copies and sums in its memory, in place of NCCL, which refuses two
// ranks on one device.
#pragma once
#include <memory>

#include "core/plan/plan.h"
#include "cuda_backend/communication.h"

namespace pgram {

/// Ranks are threads of this process with the same device set. The members of a group meet on the host when they issue
/// their k-th task on it; the last one to come puts the work on its stream, between events of all their streams. So a
/// rank's issuing thread waits for the others' at each communication task, never for the device; `timeout` seconds of
/// that are a RunError which names the ranks that did not come. Sums are in rank order: bit-equal repeats.
/// InputError for more ranks than one card's kernels take.
std::unique_ptr<Connections> shared_gpu_connections(const Plan&, double timeout);

}  // namespace pgram
