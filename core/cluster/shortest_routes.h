// Shortest routes over a graph of devices, switches and links.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "core/cluster/cluster.h"

namespace pgram {

/// Which of several equally good links (ascending, at least two) traffic to `device` takes from `vertex`: an index into
/// `links`. Must depend on nothing but its arguments.
using NextLinkRule = std::function<size_t(uint32_t vertex, uint32_t device, std::span<const uint32_t> links)>;

/// Shortest by latency (whole picoseconds), then by the number of links, then the widest (`bytes_per_second /
/// shared_by`); found by Dijkstra's algorithm (Boost.Graph). Traffic inside a node does not pass a NIC where there is
/// another way.
class ShortestRoutes {
 public:
  static constexpr uint32_t kNoLink = ~0u;

  explicit ShortestRoutes(const ClusterGraph&);
  ~ShortestRoutes();
  ShortestRoutes(const ShortestRoutes&) = delete;
  ShortestRoutes& operator=(const ShortestRoutes&) = delete;

  /// For every vertex the next link on its way to `device`; kNoLink at the device itself and where there is no way.
  /// `down`: links (ascending) not to use.
  std::vector<uint32_t> next_links(uint32_t device, const NextLinkRule&, std::span<const uint32_t> down = {}) const;

  /// Follows `next` (of next_links for `to`). False where there is no way.
  bool follow(const std::vector<uint32_t>& next, uint32_t from, uint32_t to, std::vector<uint32_t>& links) const;

 private:
  struct Graph;
  std::unique_ptr<const Graph> graph_;
  std::vector<uint32_t> ends_;  ///< the vertex that a link leads to
};

/// What a route is worth.
Path path_along(const ClusterGraph&, std::span<const uint32_t> links);

}  // namespace pgram
