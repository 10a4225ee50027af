// What one Task costs on one Device: measured table, interpolation, then a roofline with fitted efficiencies.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "core/base/units.h"
#include "core/cluster/cluster.h"
#include "core/plan/plan.h"

namespace pgram {

enum class Provenance : uint8_t { measured, interpolated, roofline };
constexpr int kProvenances = 3;
const char* name_of(Provenance);

struct Duration {
  Picoseconds time = 0;
  Provenance provenance = Provenance::roofline;
};

/// Duration of one compute op (not communication), launch overhead included.
/// `busy`: how many devices of the machine compute at the same time (selects measured entries; 1 on GPUs).
Duration compute_duration(const Plan&, const Body&, const Op&, const Device&, uint32_t busy = 1);

/// Alpha-beta cost of a communication op: `bandwidth` occupies its streams, `latency` follows (point-to-point arrives
/// after it; a collective adds it to its span).
struct TransferDuration {
  Picoseconds bandwidth = 0, latency = 0;
  Provenance provenance = Provenance::roofline;
};

/// A collective over `group` (devices), or a send between the two devices of a channel, by closed form over the links
/// that the group crosses: ring for all-reduce (2(q-1) steps), all-gather and reduce-scatter (q-1 steps)
/// (reference: Thakur et al. 2005). On a CPU cluster: the device's measured transfers where present.
TransferDuration transfer_duration(Kernel, Bytes, const std::vector<uint32_t>& group, const Cluster&);

}  // namespace pgram
