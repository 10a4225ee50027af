// Collectives that others measured (collectives.json.gz), mapped to the clusters of the library.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "core/base/units.h"
#include "core/cost/collective.h"

namespace pgram::cli {

struct MeasuredCollective {
  std::string id, source;
  std::string cluster;  ///< as find_cluster takes it: "dgx-h100:2"
  uint32_t nodes = 1, ranks = 0;
  std::string operation;  ///< the collective, and what kept NCCL from choosing freely: "all_reduce int8"
  Collective collective = Collective::all_reduce;
  Bytes bytes = 0;
  Seconds seconds = 0;
  char trust = 'C';  ///< A primary and unambiguous, B with a caveat, C partly inferred

  /// The same number of devices, the first ones, of every node.
  std::vector<uint32_t> group(const Cluster&) const;
};

struct MeasuredCollectives {
  std::vector<MeasuredCollective> rows;
  std::map<std::string, uint32_t> left_out;  ///< reason -> rows
  uint32_t total = 0;
};

/// The file that lies beside the project (../shared/reference/measured); InputError where it does not.
std::string find_measured_collectives();
/// JSON, plain or compressed by gzip. InputError names file and row where a row is not what it should be.
MeasuredCollectives read_measured_collectives(const std::string& path);

}  // namespace pgram::cli
