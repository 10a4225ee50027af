// What tests of scaling share: the memory of a plan's fullest rank, and every legal layout.
#pragma once
#include <vector>

#include "core/plan/memory_bill.h"
#include "core/planner/planner.h"
#include "core/planner/search.h"

namespace pgram::sweep::test {

inline uint64_t fullest(const Model& model, const Layout& layout, const Workload& work) {
  const std::vector<MemoryBill> bills = memory_bill(make_plan(model, layout, work));
  return bills[fullest_role(bills)].total;
}

/// All legal layouts of `devices` with micro-batches of 1 and 2.
inline std::vector<Candidate> layouts_of(const Model& model, const Workload& work, uint32_t devices) {
  SearchSpace space;
  space.devices = devices;
  space.devices_per_node = 8;
  space.micro_batch_sizes = {1, 2};
  return legal_layouts(model, work, space);
}

}  // namespace pgram::sweep::test
