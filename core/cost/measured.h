// Look-up in a device's measured tables; private to core/cost.
#pragma once
#include <array>
#include <optional>

#include "core/cost/cost.h"

namespace pgram {

/// Rounded; what is longer than eleven days is eleven days, so that sums stay within 64 bits.
inline Picoseconds bounded_picoseconds(Seconds seconds) {
  constexpr Seconds kLongest = 1e6;
  return to_picoseconds(seconds < kLongest ? seconds : kLongest);
}

struct MeasuredSeconds {
  Seconds seconds = 0;
  Provenance provenance = Provenance::measured;
};

/// Nothing when the table does not have the kernel.
std::optional<MeasuredSeconds> measured_kernel(const Device&, Kernel, const std::array<uint64_t, 4>& shape,
                                               uint32_t busy, uint32_t threads);

struct MeasuredTransferSeconds {
  MeasuredSeconds total;
  Seconds latency = 0;  ///< the part of it that the smallest message takes as well
};
std::optional<MeasuredTransferSeconds> measured_transfer(const Device&, Kernel, uint32_t ranks, Bytes, uint32_t busy);

}  // namespace pgram
