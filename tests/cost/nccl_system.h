// All devices of a cluster of the library as one communicator, for tests of collectives' costs.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "core/cost/collective.h"

namespace pgram::test {

constexpr Bytes kKiB = 1024, kMiB = 1024 * kKiB, kGiB = 1024 * kMiB;
using enum Algorithm;
constexpr Protocol LL = Protocol::ll, LL128 = Protocol::ll128, Simple = Protocol::simple;

inline std::vector<uint32_t> range(uint32_t count, uint32_t first = 0, uint32_t stride = 1) {
  std::vector<uint32_t> group(count);
  for (uint32_t i = 0; i < count; ++i) group[i] = first + i * stride;
  return group;
}

/// All devices of a cluster.
struct System {
  explicit System(const std::string& name) : cluster(find_cluster(name)), group(range(cluster.devices)) {}
  std::optional<CollectiveCost> cost(Collective collective, Algorithm algorithm, Protocol protocol, Bytes bytes) const {
    return collective_cost(collective, algorithm, protocol, bytes, group, cluster);
  }
  CollectiveCost choose(Collective collective, Bytes bytes) const {
    return choose_collective(collective, bytes, group, cluster);
  }
  Cluster cluster;
  std::vector<uint32_t> group;
};

}  // namespace pgram::test
