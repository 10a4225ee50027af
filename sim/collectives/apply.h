// Performs a StepProgram on numbers, so that one sees what an algorithm computes.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "sim/collectives/steps.h"

namespace pgram::sim {

using Array = std::vector<int64_t>;

/// `arrays`: one for each member, of equal length, a multiple of program.blocks. Does the messages in the order of
/// `order` (indices into program.transfers; empty: as they stand) and returns what every member has in the end: the
/// array that it had, changed, or the second one (StepProgram::separate_output), in which only the member's own part of
/// an all_to_all is there from the start.
/// RunError where a message comes before one that it must wait for.
std::vector<Array> apply(const StepProgram&, std::vector<Array> arrays, std::span<const uint32_t> order = {});

}  // namespace pgram::sim
