// The flags that say how a plan is simulated: engine, network, disturbances.
#pragma once
#include <string>
#include <vector>

#include "cli/command_line.h"
#include "sim/simulate.h"

namespace pgram::cli {

struct SimulationFlags {
  std::string engine = "auto", network = "flow", algorithm, protocol, collective_share, jitter;
  bool unfold = false;
  uint32_t window = SimulationOptions{}.launch_window;
  std::vector<std::string> slow, links;

  void add_to(Command&);
  /// InputError names the flag.
  SimulationOptions options(const Plan&, const Cluster&) const;
};

}  // namespace pgram::cli
