// Memory over time, from the lifetimes of buffers.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "core/plan/plan.h"
#include "core/timeline/timeline.h"

namespace pgram::sim {

/// Bytes in use on `rank` over time, as counter 0. `spans`: all spans of the rank in the step. Parameters, gradients,
/// optimizer state, inputs, scratch and misc are held from the start; a slot of saved activations or of an edge from
/// the start of the call that allocates it to the end of the call that frees it. The peak is at most
/// plan.memory_bytes().
std::vector<CounterSample> memory_over_time(const Plan&, uint32_t rank, std::span<const Span> spans);

}  // namespace pgram::sim
