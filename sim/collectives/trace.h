// A collective's steps as a Timeline, for the window and for export: every message as a task of a Plan.
#pragma once
#include "core/timeline/timeline.h"
#include "sim/collectives/timing.h"

namespace pgram::sim {

/// A rank for each member, in the order of the group, and after them one for each switch that sums up. Its tasks are
/// sends and receives, named "step 3: chunk 2 from rank 1, the sum of 4": a chunk is a block, numbered as it lies in
/// the array, and the sum is of as many members' data as the receiver then has in it. Sums arrive on one stream and
/// copies on another; what comes from several ranks at once has more. The counter "complete chunks" is what a rank has
/// of the result. The Plan is verified; its sizes are whole numbers of 4-byte elements and so differ from the exact
/// ones by up to 4 bytes a block. InputError where a collective has more messages than a person would look at
/// (`kMostTraced`).
Timeline step_timeline(const StepProgram&, const StepTimes&, Protocol, Bytes, const Cluster&);

constexpr uint64_t kMostTraced = 20'000;
constexpr uint32_t kMostTracedBlocks = 4096;

}  // namespace pgram::sim
