// The planner: Model + Layout + Workload -> Plan, the one execution DAG that simulator and executor consume.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "core/layout/layout.h"
#include "core/model/model.h"
#include "core/plan/memory_bill.h"
#include "core/plan/plan.h"
#include "core/planner/schedule.h"
#include "core/workload/workload.h"

namespace pgram {

/// Degrees validated once, at the edge: InputError with every number in the message. Everything inside may assume.
void validate(const Model&, const Layout&, const Workload&);
/// Whether validate() accepts; makes no message.
bool is_legal(const Model&, const Layout&, const Workload&);
/// Micro-batches per step and data-parallel replica: global_batch / (dp * micro_batch).
uint32_t micro_batches(const Layout&, const Workload&);
/// Layers of each stage: equal shares, the remainder given to the middle stages (the first also holds the embedding,
/// the last the head).
std::vector<uint32_t> partition_layers(uint32_t layers, uint32_t stages);

/// A training step, linked. Validates first.
Plan make_plan(const Model&, const Layout&, const Workload&);
/// The same without its waits, which link() adds: enough for memory_bill().
Plan make_unlinked_plan(const Model&, const Layout&, const Workload&);

/// A Plan of one `opaque` op per stage op of a schedule: law tests, golden sequences, benches.
Plan make_schedule_plan(const Schedule&, PointToPoint = PointToPoint::channels);

}  // namespace pgram
