// Memory over time, from the lifetimes of buffers.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "core/plan/memory_bill.h"
#include "core/plan/plan.h"
#include "core/timeline/timeline.h"

namespace pgram::sim {

/// Bytes in use on `rank` over time, as counter 0. `spans`: all spans of the rank in the step. Parameters, gradients,
/// optimizer state, inputs, scratch and misc are held from the start; a slot of saved activations or of an edge from
/// the start of the call that allocates it to the end of the call that frees it. The peak is at most
/// plan.memory_bytes().
std::vector<CounterSample> memory_over_time(const Plan&, uint32_t rank, std::span<const Span> spans);

/// What is held at the first moment at which a rank holds most.
struct MemoryPeak {
  uint32_t rank = 0;
  Picoseconds time = 0;
  MemoryBill held;
  struct Part {
    uint16_t record = 0;
    uint32_t slots = 0;  ///< in use at that moment
    uint64_t bytes = 0;
  };
  std::vector<Part> parts;  ///< of every pool that holds anything, the largest first
};
MemoryPeak memory_at_peak(const Plan&, uint32_t rank, std::span<const Span> spans);

}  // namespace pgram::sim
