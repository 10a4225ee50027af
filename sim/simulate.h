// The discrete-event simulator: predicts the timeline of a Plan on a Cluster. Two engines, equal where both apply.
#pragma once
#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/cluster/cluster.h"
#include "core/cost/cost.h"
#include "core/plan/plan.h"
#include "core/timeline/timeline.h"

namespace pgram {

enum class Engine : uint8_t {
  automatic,  ///< evaluator where nothing is shared, else event loop
  evaluator,  ///< in order, max-plus; exact where nothing is shared
  events,     ///< global time order, launch windows, shared cores
};

struct SimulationOptions {
  Engine engine = Engine::automatic;
  bool unfold = false;  ///< simulate every rank, even those that provably behave alike
  bool keep_spans = true;
  uint32_t launch_window = 1024;  ///< tasks a rank may have issued and unfinished (event loop only)
  std::vector<std::pair<uint32_t, double>> slow_ranks;  ///< (rank, factor on its compute time)

  /// Law tests and golden sequences: cost of `opaque` ops by kind F, B, I, W, and the latency of every channel.
  struct Laws {
    bool enabled = false;
    std::array<Picoseconds, 4> cost{};
    Picoseconds latency = 0;
  } laws;
};

struct SimulationResult {
  Timeline timeline;  ///< one step; spans empty unless keep_spans
  Picoseconds makespan = 0;
  uint64_t tasks = 0;    ///< simulated (after folding)
  uint32_t classes = 0;  ///< ranks simulated
  Engine engine = Engine::evaluator;
  std::array<uint64_t, kProvenances> provenance{};  ///< compute tasks by where their duration came from
  std::string error;                                ///< a deadlock, named; empty when the step finished
};

/// The Plan must be verified. InputError if the cluster has fewer devices than the plan has ranks, and for options out
/// of range. With Laws the cluster's speeds and size are not looked at. The timeline keeps the Plan alive.
SimulationResult simulate(std::shared_ptr<const Plan>, const Cluster&, const SimulationOptions& = {});
/// The same with a copy of the Plan.
SimulationResult simulate(const Plan&, const Cluster&, const SimulationOptions& = {});

}  // namespace pgram
