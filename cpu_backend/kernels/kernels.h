// The CPU's kernels: every op of the kernel table that is not communication, fp32. What each computes, and the order
// of its operands: core/plan/kernel.h.
#pragma once
#include <cstdint>

#include "core/exec/backend.h"

namespace pgram {

/// plain: one obvious loop per formula, one thread; the oracle of the fast set.
/// fast: oneDNN matrix products, tiled attention, vectorised loops, `threads` threads.
/// In the preset "gpu", which has no oneDNN, both are the plain one.
/// Both give bit-equal results in every repeat with the same number of threads.
enum class KernelSet : uint8_t { plain, fast };

/// Where the rank stands: which shard of the vocabulary and of the tokens its tensors are.
struct RankInfo {
  uint32_t tp_rank = 0, tp_size = 1;
  int threads = 1;
};

/// Runs one kernel on the calling thread (and `threads` - 1 helpers), returning when it is done.
/// Sequences lie one behind the other: a tensor of n tokens holds micro-batch x sequence rows. `positions` and
/// `positions_dw` with Attributes::heads = 1 hold this rank's share of that list (sequence parallelism) instead:
/// tokens [tp_rank * n, (tp_rank + 1) * n).
/// RunError for kernels that have no data or belong to the communication streams.
void run_kernel(KernelSet, const Launch&, const RankInfo&);

}  // namespace pgram
