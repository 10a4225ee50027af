// A DAG of computations and messages on hosts and shared links, and its replay.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "sim/network/flow_network.h"

namespace pgram::sim {

struct FluidLink {
  double bytes_per_second = 0, latency = 0;  ///< seconds
};

/// Links from one host to another, in order: places [first, first + count) of FluidProblem::route_links.
struct FluidRoute {
  uint32_t source = 0, target = 0, first = 0, count = 0;
};

struct FluidTask {
  bool is_message = false;
  uint32_t place = 0;              ///< host, or index into `routes`
  double work = 0;                 ///< FLOPs or bytes
  uint32_t first_predecessor = 0;  ///< into FluidProblem::predecessors
  uint32_t num_predecessors = 0;   ///< all of them earlier tasks
};

/// A task starts when the last of its predecessors has ended, or at 0. A message waits for the latency of its route and
/// then is a flow over its links, which all flows share max-min fairly; a route that crosses a link twice counts twice
/// there. A host is shared like a link.
struct FluidProblem {
  std::vector<double> hosts;  ///< FLOP/s
  std::vector<FluidLink> links;
  std::vector<uint32_t> route_links;
  std::vector<FluidRoute> routes;
  std::vector<FluidTask> tasks;
  std::vector<uint32_t> predecessors;
};

struct FluidTimes {
  std::vector<double> start, finish;  ///< seconds, per task; a message's start is before its latency; NaN: not reached
  double makespan = 0;
  size_t num_finished = 0;  ///< all tasks, unless the replay was stopped
  FlowNetwork::Statistics statistics;
};

/// `go_on` is told now and then how many tasks have ended, and stops the replay by false.
FluidTimes replay(const FluidProblem&, const std::function<bool(size_t num_finished)>& go_on = {});

/// The text format of `pgram fluid`: one record a line, files one after another ("H flops", "L bytes/s seconds",
/// "R source target link...", "C id host flops predecessor...", "M id source target bytes predecessor..."; '#' begins a
/// comment). InputError with file and line.
FluidProblem read_fluid_problem(std::span<const std::string> paths);

}  // namespace pgram::sim
