// Who held a flow back: flows that were on its links while it was.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "core/base/units.h"
#include "core/plan/plan.h"
#include "sim/network/flow_network.h"

namespace pgram::sim {

/// Flows come and go; when one has ended, what it lost is divided among those that it met, by how long it met them.
class ContentionLog {
 public:
  struct Loss {
    Task task;
    Picoseconds lost = 0;
  };

  ContentionLog(size_t flows, size_t links) : flows_(flows), on_link_(links) {}

  /// `task`: the first of the flow's tasks. `uses` must live until the end.
  void begin(Picoseconds now, uint32_t flow, const Task& task, std::span<const LinkUse> uses);
  /// By whom the flow was held back so far, if it would have been done `lost` earlier alone. Valid until the next call.
  const std::vector<Loss>& so_far(Picoseconds now, uint32_t flow, Picoseconds lost);
  /// By whom the flow, which ended `lost` later than it would have alone, was held back. Valid until the next call.
  const std::vector<Loss>& end(Picoseconds now, uint32_t flow, Picoseconds lost);

 private:
  struct Meeting {
    uint32_t flow = 0;
    Task task;
    Picoseconds since = 0, until = -1;  // -1: both run
  };
  struct Flow {
    Task task;
    std::span<const LinkUse> uses;
    std::vector<Meeting> met;
  };
  /// Of many partners the first say enough.
  static constexpr size_t kMostMet = 8;

  void meet(Picoseconds now, uint32_t a, uint32_t b);

  std::vector<Flow> flows_;
  std::vector<std::vector<uint32_t>> on_link_;
  std::vector<Loss> losses_;
};

}  // namespace pgram::sim
