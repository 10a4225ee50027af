// GpuTimer: how long a task takes on a GPU, by events around several launches of it; private to calibration.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>

#include "core/base/units.h"
#include "cuda_backend/handles.h"

namespace pgram {

/// Of the current device, with a stream of its own.
class GpuTimer {
 public:
  explicit GpuTimer(std::stop_token);

  cudaStream_t stream() const { return stream_.get(); }
  /// Puts one task on the stream; `call` counts up, so that calls may take turns with their memory.
  using Issue = std::function<void(uint32_t call)>;
  /// Median of rounds, after a warm-up: for about `seconds`, but a few rounds at least. A stop ends it after a round.
  Seconds per_call(const std::string& name, const Issue&, Seconds seconds);
  /// The same with so many calls in a row, for what is too short to be timed alone.
  Seconds per_call_in_queue(const std::string& name, const Issue&, uint32_t calls);

 private:
  Seconds median_round(const std::string& name, const Issue&, uint32_t calls, Seconds seconds);
  Seconds round(const std::string& name, const Issue&, uint32_t calls);
  void occupy(uint32_t calls);
  Seconds elapsed() const;

  const std::stop_token stop_;
  CudaStream stream_;
  CudaEvent begin_, end_, between_;
  DeviceMemory filler_;
  uint64_t filler_bytes_ = 0;
  Seconds filler_seconds_ = 0;
  uint32_t calls_ = 0;
};

}  // namespace pgram
