// Operation: what running a cluster costs and how often it breaks; keys of node and cluster files.
#pragma once
#include <optional>

#include "core/base/units.h"

namespace pgram {

class YamlFields;

/// How often a node takes the whole run down, and what it costs to come back.
struct Failures {
  Seconds node_mtbf = 0;                   ///< mean time between failures of one node
  Seconds restart = 0;                     ///< to find the failure, replace the node and start again
  double checkpoint_bytes_per_second = 0;  ///< what one node writes to storage or reads, while all of them do
};

/// 0 or nothing: not known.
struct Operation {
  double node_watts = 0;  ///< of a node besides its devices: processors, memory, switches, NICs, fans
  double pue = 1;         ///< power of the building over that of its machines (power usage effectiveness)
  double dollars_per_gpu_hour = 0;
  std::optional<Failures> failures;
};

/// node_watts, which a node says.
void read_node_operation(YamlFields&, Operation&);
/// The other keys, which a cluster says. InputError names file, line and field.
void read_cluster_operation(YamlFields&, Operation&);

}  // namespace pgram
