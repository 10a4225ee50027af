#include "sim/cost_tables.h"

namespace pgram::sim {

CostTables::CostTables(const PlanIndex& index, const Costs& costs, std::span<const uint32_t> ranks,
                       const std::vector<double>& factor, bool transfers)
    : ops_(index.usage().first_op.back()), num_comms_(index.plan().comms.size()) {
  const Plan& plan = index.plan();
  const Usage& usage = index.usage();
  table_of_.reserve(ranks.size());
  const Groups& groups = index.groups();
  std::vector<uint32_t> own;
  for (const uint32_t rank : ranks) {
    own.clear();
    for (const uint32_t group : groups.of(rank)) own.push_back(costs.transfers_of(costs.colour(group)));
    table_of_.push_back(find_table(usage.comms[groups.role(rank)], own, factor.empty() ? 1.0 : factor[rank]));
  }
  costs_.make(tables_.size() * ops_);
  if (transfers) transfers_.make(tables_.size() * ops_);
  for (Table& table : tables_) table.once.assign(plan.bodies.size(), -1);
  for (uint32_t c = 0; c < ranks.size(); ++c) {
    Table& table = tables_[table_of_[c]];
    const size_t first = table_of_[c] * ops_;
    for (const uint16_t body : usage.bodies[groups.role(ranks[c])]) {
      if (table.once[body] >= 0) continue;
      costs.fill(body, table.factor, table.transfers, costs_.data() + first,
                 transfers ? transfers_.data() + first : nullptr);
      double& once = table.once[body] = 0;
      for (size_t op = first + usage.first_op[body]; op < first + usage.first_op[body + 1]; ++op) {
        once += static_cast<double>(costs_.data()[op].hold) + static_cast<double>(costs_.data()[op].tail);
      }
    }
  }
}

/// One that has nothing else for these communicators, or a new one.
uint32_t CostTables::find_table(std::span<const uint16_t> comms, std::span<const uint32_t> transfers, double factor) {
  const auto fits = [&](const Table& table) {
    for (size_t i = 0; i < comms.size(); ++i) {
      const uint32_t known = table.transfers[comms[i]];
      if (known != kNone && known != transfers[i]) return false;
    }
    return table.factor == factor;
  };
  uint32_t found = 0;
  while (found < tables_.size() && !fits(tables_[found])) ++found;
  if (found == tables_.size()) tables_.push_back({factor, std::vector<uint32_t>(num_comms_, kNone), {}});
  for (size_t i = 0; i < comms.size(); ++i) tables_[found].transfers[comms[i]] = transfers[i];
  return found;
}

}  // namespace pgram::sim
