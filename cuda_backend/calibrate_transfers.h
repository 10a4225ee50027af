// Collectives and sends between GPUs, through the backend itself on plans made for it; and copies. Private to
// calibration.
#pragma once
#include <cstdint>
#include <stop_token>
#include <vector>

#include "core/cluster/cluster.h"
#include "cuda_backend/gpu_timer.h"

namespace pgram {

struct TransferCase {
  uint32_t ranks = 2, groups = 1;  ///< so many groups do it at once
  bool sends = false;              ///< else all three collectives
  std::vector<int> devices;        ///< CUDA ordinals, ranks x groups
  std::vector<Bytes> sizes;        ///< multiples of 4 x ranks
};

/// Bytes of device memory that each rank needs for it.
Bytes memory_of(const TransferCase&);

/// Seconds of each operation at each size, from many in a row: the slowest member's, median over steps after one that
/// warms up. Takes about `seconds`; a stop keeps the steps that were done, nothing if none was.
std::vector<MeasuredTransfer> measure_transfers(const TransferCase&, Seconds seconds, const std::stop_token&);

enum class CopyKind { within_device, to_device, to_peer };
/// The operation of a MeasuredTransfer.
const char* name_of(CopyKind);
/// Seconds of one copy of so many bytes from (or within) the timer's device 0, or from pinned host memory to it.
Seconds measure_copy(GpuTimer&, CopyKind, int peer, Bytes, Seconds seconds);

}  // namespace pgram
