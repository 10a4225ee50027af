// Bottlenecks: which links can hold transfers back, from the most that each can be asked for.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "sim/link_facts.h"
#include "sim/simulate.h"

namespace pgram::sim {

/// What transfers want of a link.
struct Asked {
  double most = 0;  ///< bytes per picosecond
  uint32_t uses = 0;
};

/// A link that may hold transfers back. Times and bytes as everywhere in here: picoseconds.
struct SharedLink {
  uint32_t link = 0;     ///< of the Topology
  double capacity = 0;   ///< bytes per picosecond, before any change
  uint64_t changes = 0;  ///< a hash of what will happen to it
};

/// Ascending. `asked` of each link; `every_link`: all of them, be they used or not.
std::vector<SharedLink> find_bottlenecks(std::span<const Asked> asked, uint32_t devices,
                                         std::span<const LinkChange> changes, bool every_link, LinkFacts&);

}  // namespace pgram::sim
