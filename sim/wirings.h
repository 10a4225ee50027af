// Wirings: which groups of a communicator are wired alike.
#pragma once
#include <cstdint>
#include <vector>

#include "core/cluster/cluster.h"
#include "sim/plan_index.h"
#include "sim/recent.h"

namespace pgram::sim {

/// Groups of one communicator have one wiring if a ring over their members crosses the same, hop by hop: then all that
/// they do costs the same.
struct Wirings {
  struct Wiring {
    uint16_t comm = 0;
    uint64_t hash = 0;              ///< of what the ring crosses
    std::vector<uint32_t> members;  ///< of the first such group; of a channel the source first, else ascending
  };
  std::vector<Wiring> kinds;       ///< by their first group
  std::vector<uint32_t> of_group;  ///< index into `kinds`

  size_t bytes() const;
};

/// What of a path counts: nothing, its device's share of the narrowest link, or all of that.
enum class PathsSeen : uint8_t { none, shared, alone };

Wirings find_wirings(const PlanIndex&, const Cluster&, PathsSeen);
/// All that these look at.
Key wirings_key(const PlanIndex&, const Cluster&, PathsSeen);

}  // namespace pgram::sim
