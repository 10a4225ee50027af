// The links that transfers share, as the event loop sees them: classes of links, and what each meeting place uses.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "sim/fold.h"
#include "sim/network/flow_network.h"
#include "sim/simulate.h"
#include "sim/traffic.h"

namespace pgram::sim {

/// Classes of links, and who uses them in which share, whatever the lanes carry.
struct LinkClasses {
  struct Change {
    Picoseconds time = 0;
    uint32_t link = 0;    ///< class
    double capacity = 0;  ///< bytes per picosecond
    bool begins_epoch = false;
  };
  struct Use {
    double share = 0;
    uint32_t link = 0;  ///< class; ascending
    uint32_t meeting = 0, colour = 0;
    uint16_t lane = 0, epoch = 0;  ///< as of Traffic
  };
  std::vector<double> capacities;  ///< bytes per picosecond, per class of links
  std::vector<Change> changes;     ///< by time
  std::vector<Use> uses;
  size_t meetings = 0, epochs = 0;

  LinkClasses() = default;
  LinkClasses(const PlanIndex&, const Costs&, const Traffic&, const Quotient&, std::span<const LinkChange> changes);
  size_t bytes() const;
};

struct SharedLinks {
  using Change = LinkClasses::Change;
  std::vector<double> capacities;  ///< bytes per picosecond, per class of links
  std::vector<Change> changes;     ///< by time

  /// What a flow of this meeting place uses; empty if it shares nothing.
  std::span<const LinkUse> uses(uint32_t epoch, uint32_t meeting, uint32_t lane) const {
    if (lane >= lanes_) return {};
    const size_t at = (size_t{epoch} * meetings_ + meeting) * lanes_ + lane;
    return std::span(uses_).subspan(first_[at], first_[at + 1] - first_[at]);
  }

  SharedLinks() = default;
  /// Looks at lanes and their volumes.
  SharedLinks(const LinkClasses&, const Costs&);
  size_t bytes() const;

 private:
  size_t meetings_ = 0, lanes_ = 0;
  std::vector<LinkUse> uses_;
  std::vector<uint32_t> first_;  // by epoch, meeting and lane
};

}  // namespace pgram::sim
