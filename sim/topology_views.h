// A cluster's network seen otherwise: with links down, or with every link for oneself.
#pragma once
#include <memory>
#include <vector>

#include "core/cluster/cluster.h"

namespace pgram::sim {

/// Passes everything on.
class TopologyView : public Topology {
 public:
  explicit TopologyView(std::shared_ptr<const Topology> whole) : whole_(std::move(whole)) {}

  uint32_t num_links() const override { return whole_->num_links(); }
  LinkSpeed link(uint32_t i) const override { return whole_->link(i); }
  LinkEnds ends(uint32_t i) const override { return whole_->ends(i); }
  void route(uint32_t from, uint32_t to, std::vector<uint32_t>& links) const override {
    whole_->route(from, to, links);
  }
  bool route_around(uint32_t from, uint32_t to, std::span<const uint32_t> down,
                    std::vector<uint32_t>& links) const override {
    return whole_->route_around(from, to, down, links);
  }
  Path path(uint32_t from, uint32_t to) const override { return whole_->path(from, to); }
  const ClusterGraph& graph() const override { return whole_->graph(); }

 protected:
  std::shared_ptr<const Topology> whole_;
};

/// Nobody else sends: a path is as wide as its narrowest link.
class AloneView final : public TopologyView {
 public:
  using TopologyView::TopologyView;
  Path path(uint32_t from, uint32_t to) const override {
    Path path = whole_->path(from, to);
    path.bytes_per_second = path.alone_bytes_per_second;
    return path;
  }
};

/// Some links are down (ascending): routes that would use them go around. InputError where there is no way.
class DetourView final : public TopologyView {
 public:
  DetourView(std::shared_ptr<const Topology> whole, std::vector<uint32_t> down)
      : TopologyView(std::move(whole)), down_(std::move(down)) {}
  void route(uint32_t from, uint32_t to, std::vector<uint32_t>& links) const override;

 private:
  std::vector<uint32_t> down_;
};

}  // namespace pgram::sim
