// Costs: durations of compute ops per (body, op) and of transfers per (communicator, kind of group).
#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "core/cluster/cluster.h"
#include "core/cost/cost.h"
#include "sim/groups.h"
#include "sim/simulate.h"

namespace pgram::sim {

/// One op on one kind of rank.
struct OpCost {
  Picoseconds hold = 0;  ///< how long it holds its stream
  Picoseconds tail = 0;  ///< its end comes this much after its stream is free: the latency of a receive
  Picoseconds work = 0;  ///< the part of `hold` that keeps a processor busy where processors are shared
};

/// Whether tasks may want more processors at once than there are.
struct CoreDemand {
  uint32_t cores = 0;       ///< that all ranks share; 0: nothing is shared
  bool by_compute = false;  ///< the ranks' compute alone wants more: only the event loop is right
};
/// Communication of ranks that are threads of this machine takes the cores from compute too.
CoreDemand core_demand(const Plan&, const Cluster&);

/// Costs before ranks are folded. Groups of one communicator that cost the same have the same colour.
class Costs {
 public:
  Costs(const Plan&, const Usage&, const Groups&, const Cluster&, const SimulationOptions&);

  /// Colour of a group, below 2^16; kNone for groups that no rank uses.
  uint32_t colour(uint32_t group) const { return colour_[group]; }
  /// Costs of all ops (indexed by Usage::first_op) of ranks like `rank`, whose compute is slower by `factor`.
  std::vector<OpCost> table(uint32_t rank, double factor) const;
  /// Compute ops of one pass over a body, by where their duration came from.
  const std::array<uint32_t, kProvenances>& provenance(uint16_t body) const { return provenance_[body]; }

 private:
  void find_transfers();
  void colour_groups(const Cluster&);
  uint32_t colour_of(uint16_t comm, const std::vector<uint32_t>& members, const Cluster&);
  void compute(const Cluster&);

  const Plan& plan_;
  const Usage& usage_;
  const Groups& groups_;
  const SimulationOptions& options_;

  std::vector<Picoseconds> compute_;  // per op of all bodies; 0 for communication
  std::vector<std::array<uint32_t, kProvenances>> provenance_;

  struct Transfer {
    Kernel kernel;
    Bytes bytes;
    auto operator<=>(const Transfer&) const = default;
  };
  std::vector<std::vector<Transfer>> transfers_;     // per communicator: what its ops move, each once
  std::vector<uint16_t> transfer_of_;                // per op of all bodies: index into its communicator's transfers
  std::vector<std::vector<OpCost>> colour_costs_;    // per colour: cost of each of its communicator's transfers
  std::vector<std::vector<uint32_t>> comm_colours_;  // per communicator: its colours
  std::vector<uint32_t> colour_;                     // per group
};

}  // namespace pgram::sim
