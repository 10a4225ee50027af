// What one training step takes: energy and money.
#pragma once
#include "core/cluster/cluster.h"
#include "core/timeline/summary.h"

namespace pgram {

/// Figures that the files do not give are 0.
struct StepBill {
  /// Of all devices, the rest of their nodes (where the node file has `node_watts`) and the building (`pue`).
  double joules = 0;
  double watts_per_device = 0;  ///< mean, of a device by itself
  double dollars = 0;           ///< of all ranks' devices
  double joules_per_token = 0, dollars_per_million_tokens = 0;
};

/// A rank takes the device's `compute` watts while its compute stream is busy, `communication` while communication is
/// exposed, else `idle`. Under compute communication is taken to add nothing. Nodes that have a rank count whole.
StepBill step_bill(const Timeline&, const Summary&, const Cluster&);

/// Power while nothing is computed: during a restart, or while a checkpoint is written. 0: not known.
double idle_watts(uint32_t ranks, const Cluster&);

/// Nodes that `ranks` devices are in.
uint32_t nodes_of(uint32_t ranks, const Cluster&);

}  // namespace pgram
