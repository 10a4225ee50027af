// What one Task costs on one Device: measured table, interpolation, then a roofline whose efficiencies may be fitted.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "core/base/units.h"
#include "core/cluster/cluster.h"
#include "core/cost/collective.h"
#include "core/plan/plan.h"

namespace pgram {

enum class Provenance : uint8_t { measured, interpolated, fitted, roofline };
constexpr int kProvenances = 4;
const char* name_of(Provenance);

struct Duration {
  Picoseconds time = 0;
  Provenance provenance = Provenance::roofline;
};

/// Duration of one compute op (not communication), launch overhead included, from the first that knows it:
/// - measured: the device's table has this kernel, shape and busy count;
/// - interpolated: it has the kernel. Matrix products and attention take the rate (work per second) of the entries
///   around the shape, weighted by nearness in log space; other kernels lie on straight pieces of log time over log
///   elements. Beyond the table the nearest entry's rate goes on;
/// - fitted: the roofline, where the efficiency of what bounds it was fitted to measurements of this kind of processor
///   (Device::fitted; those of arithmetic are of bf16);
/// - roofline: launch + max(FLOPs / reached peak, bytes / reached bandwidth) (Williams et al. 2009), with bf16's peak
///   where an operand is bf16.
/// `busy`: how many devices of the machine compute at the same time, `threads`: cores of each (both select measured
/// entries; 1 on GPUs).
Duration compute_duration(const Plan&, const Body&, const Op&, const Device&, uint32_t busy = 1, uint32_t threads = 1);

/// Cost of a communication op: `bandwidth` occupies its streams, `latency` follows (point-to-point arrives after it; a
/// collective adds it to its span).
struct TransferDuration {
  Picoseconds bandwidth = 0, latency = 0;
  Provenance provenance = Provenance::roofline;
  /// How, where it was not measured. `channels`: thread blocks, and so SMs, that it takes of every device; 0 where that
  /// is not known.
  Algorithm algorithm = Algorithm::ring;
  Protocol protocol = Protocol::simple;
  uint32_t channels = 0;
  double bytes_per_second = 0;  ///< what `bandwidth` was rounded from; 0 where measured
};

/// A collective over `group` (devices), or a send between the two devices of a channel (source first): what was
/// measured within the node, where the device's tables have it; else what choose_collective takes, NCCL's choice by its
/// own model on the GPUs that NCCL knows. `bytes` are those of the Op: of an all-gather or a reduce-scatter the whole
/// array.
TransferDuration transfer_duration(Kernel, Bytes, const std::vector<uint32_t>& group, const Cluster&,
                                   const CollectiveOptions& = {});

/// The same for several operations of one group. All must live on.
class GroupTransfers {
 public:
  GroupTransfers(const std::vector<uint32_t>& group, const Cluster&, const CollectiveOptions&);
  TransferDuration duration(Kernel, Bytes);

 private:
  const std::vector<uint32_t>& group_;
  const Cluster& cluster_;
  const CollectiveOptions& options_;
  bool measured_ = false;            // the device's tables may have it
  std::optional<GroupCosts> costs_;  // once something was not measured
};

/// nccl-tests' "busbw": what each link carries, to be compared between operations and group sizes. For S bytes in t
/// seconds on n ranks: all-reduce 2(n-1)/n S/t, all-gather and reduce-scatter (n-1)/n S/t, a send or copy S/t.
double bus_bytes_per_second(const MeasuredTransfer&);

}  // namespace pgram
