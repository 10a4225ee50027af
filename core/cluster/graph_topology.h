// Topology of any graph: ring, torus, mesh, fat-tree, dragonfly, or what a file says.
#pragma once
#include <atomic>
#include <memory>

#include "core/cluster/shortest_routes.h"

namespace pgram {

/// A table of next links holds an entry per vertex for each device that was ever sent to: with all of them 1 GiB at
/// most.
constexpr uint64_t kMaxRouteEntries = uint64_t{1} << 28;

/// Routes are found when a device is first sent to, by one search for all senders, and kept. Of equally good next links
/// the rule takes one; it knows the shape, so that routes spread evenly and alike devices see alike routes.
class GraphTopology final : public Topology {
 public:
  /// The graph has been checked: bandwidths above 0, every device reaches every other, and devices times vertices are
  /// at most kMaxRouteEntries.
  GraphTopology(ClusterGraph, uint32_t devices, NextLinkRule);
  ~GraphTopology() override;

  uint32_t num_links() const override { return static_cast<uint32_t>(graph_.links.size()); }
  LinkSpeed link(uint32_t) const override;
  void route(uint32_t from, uint32_t to, std::vector<uint32_t>& links) const override;
  bool route_around(uint32_t from, uint32_t to, std::span<const uint32_t> down,
                    std::vector<uint32_t>& links) const override;
  Path path(uint32_t from, uint32_t to) const override;
  const ClusterGraph& graph() const override { return graph_; }

 private:
  using Next = std::vector<uint32_t>;
  const Next& next_links(uint32_t to) const;

  ClusterGraph graph_;
  uint32_t devices_;
  NextLinkRule rule_;
  ShortestRoutes routes_;
  std::unique_ptr<std::atomic<const Next*>[]> next_;  ///< by device, null until it is first sent to
};

/// Two devices of which the first has no way to the second.
struct Unreachable {
  bool found = false;
  uint32_t from = 0, to = 0;
};
Unreachable find_unreachable(const ClusterGraph&, uint32_t devices);

}  // namespace pgram
