// Cost tables: what every op costs, once for all classes of ranks that it costs the same.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "sim/costs.h"
#include "sim/plan_index.h"
#include "sim/room.h"

namespace pgram::sim {

/// Roles share most Bodies, and what a communicator costs is most often the same for all that use it. So classes have
/// one table, unless one of their communicators costs otherwise or their compute is slower; each fills in what its role
/// uses.
class CostTables {
 public:
  /// `ranks`: one of each class. `factor`: slow factor per rank, empty if all are 1. `transfers`: they are asked for.
  CostTables(const PlanIndex&, const Costs&, std::span<const uint32_t> ranks, const std::vector<double>& factor,
             bool transfers);

  /// Per op of all Bodies (see Usage::first_op); those that the class's role does not use need not be written.
  const OpCost* costs(uint32_t of_class) const { return costs_.data() + size_t{table_of_[of_class]} * ops_; }
  const TransferCost* transfers(uint32_t of_class) const {
    return transfers_.data() + size_t{table_of_[of_class]} * ops_;
  }
  /// How long one pass over a Body that the class uses holds its streams, with what comes after, in picoseconds.
  double once(uint32_t of_class, uint16_t body) const { return tables_[table_of_[of_class]].once[body]; }

 private:
  struct Table {
    double factor = 1;
    std::vector<uint32_t> transfers;  // of each communicator; kNone: nobody uses it yet
    std::vector<double> once;         // of each Body; below 0: not filled in
  };

  uint32_t find_table(std::span<const uint16_t> comms, std::span<const uint32_t> transfers, double factor);

  size_t ops_, num_comms_;
  std::vector<Table> tables_;
  std::vector<uint32_t> table_of_;
  Room<OpCost> costs_;
  Room<TransferCost> transfers_;
};

}  // namespace pgram::sim
