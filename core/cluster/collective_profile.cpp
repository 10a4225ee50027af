#include "core/cluster/collective_profile.h"

#include <algorithm>
#include <array>

namespace pgram {

/// Speeds that NCCL's search tries for channels within a node (2.28 graph/search.cc), GB/s.
static double highest_step(double bytes_per_second, CollectiveProfile::Architecture architecture) {
  static constexpr std::array<double, 11> kHopper{60, 50, 40, 30, 24, 20, 15, 12, 11, 6, 3};
  static constexpr std::array<double, 12> kBlackwell{90, 80, 70, 60, 50, 45, 40, 30, 24, 20, 19, 18};
  const auto pick = [&](const auto& steps) {
    for (const double step : steps)
      if (step * 1e9 <= bytes_per_second) return step * 1e9;
    return bytes_per_second;
  };
  return architecture == CollectiveProfile::Architecture::blackwell ? pick(kBlackwell) : pick(kHopper);
}

ChannelSearch CollectiveProfile::channels(uint32_t nodes, uint32_t members) const {
  ChannelSearch found = nodes > 1 ? *several_nodes : one_node;
  if (members >= devices_per_node) return found;
  if (members <= 2) {
    found.nvls = {};
  } else if (found.nvls.channels > 0) {
    const double total = found.nvls.channels * found.nvls.intra_bytes_per_second;
    found.nvls.intra_bytes_per_second = highest_step(total / members, architecture);
    found.nvls.channels = members;
  }
  if (nodes == 1) return found;
  for (ChannelSet* set : {&found.ring, &found.tree}) {
    if (set->channels > 0) set->channels = std::max(1u, set->channels * members / devices_per_node);
  }
  return found;
}

}  // namespace pgram
