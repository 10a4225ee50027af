// The discrete-event simulator: predicts the timeline of a Plan on a Cluster. Two engines, equal where both apply.
#pragma once
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/cluster/cluster.h"
#include "core/cost/collective.h"
#include "core/cost/cost.h"
#include "core/plan/plan.h"
#include "core/timeline/timeline.h"

namespace pgram {

class SimulationCache;

namespace sim {
class PlanIndex;
}

enum class Engine : uint8_t {
  automatic,  ///< evaluator where nothing is shared, else event loop
  evaluator,  ///< in order, max-plus; exact where nothing is shared
  events,     ///< global time order, launch windows, shared cores, links and SMs
};

/// How much of the network is looked at. Where nothing is shared all say the same.
enum class NetworkLevel : uint8_t {
  analytic,  ///< every transfer takes the time that it takes alone
  flow,      ///< transfers of more than 1 KiB are flows over their routes' links, which they share max-min fairly
  step,      ///< so is every message of a collective, each after those it needs; no rank is folded: kMostStepRanks
};

constexpr uint32_t kMostStepRanks = 2048;

/// From `time` on a link of the cluster has `factor` of its bandwidth; 0: it is down, and traffic goes around it.
struct LinkChange {
  Picoseconds time = 0;
  uint32_t link = 0;  ///< of ClusterGraph::links
  double factor = 1;
};

/// Compute tasks take `sigma`-log-normally longer or shorter, each on its own: exp(sigma x), x standard normal and
/// drawn by (seed, rank, call, op) alone.
struct Jitter {
  double sigma = 0;
  uint64_t seed = 1;
};

struct SimulationOptions {
  Engine engine = Engine::automatic;
  /// On CPUs, whose measured transfers have the sharing in them, always analytic.
  NetworkLevel network = NetworkLevel::flow;
  CollectiveOptions collectives;
  /// Share of a device's compute that a collective takes while it is on it, from when its rank is ready until its end;
  /// left out: a channel takes one of the device's SMs (none where their number is not known).
  std::optional<double> collective_share;
  bool unfold = false;        ///< simulate every rank, even those that provably behave alike
  bool task_by_task = false;  ///< every task is an event, even of calls that do again what was seen; the same result
  bool keep_spans = true;
  bool keep_counters = true;      ///< memory over time, of spans that are kept
  uint32_t launch_window = 1024;  ///< tasks a rank may have issued and unfinished (event loop only)
  std::vector<std::pair<uint32_t, double>> slow_ranks;  ///< (rank, factor on its compute time)
  Jitter jitter;
  std::vector<LinkChange> link_changes;

  /// Law tests and golden sequences: cost of `opaque` ops by kind F, B, I, W, and the latency of every channel.
  struct Laws {
    bool enabled = false;
    std::array<Picoseconds, 4> cost{};
    Picoseconds latency = 0;
  } laws;
};

struct SimulationResult {
  Timeline timeline;  ///< one step; spans empty unless keep_spans, counters unless keep_counters too
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
/// The same, faster for layouts like those that the cache has seen.
SimulationResult simulate(std::shared_ptr<const Plan>, const Cluster&, const SimulationOptions&, SimulationCache&);
/// The same with a copy of the Plan.
SimulationResult simulate(const Plan&, const Cluster&, const SimulationOptions& = {});

/// A verified Plan with what simulations need to know of it alone, so that they need not find it out anew. For any
/// number of them, also by several threads at the same time.
std::shared_ptr<const sim::PlanIndex> make_plan_index(std::shared_ptr<const Plan>);
SimulationResult simulate(const sim::PlanIndex&, const Cluster&, const SimulationOptions&, SimulationCache&);

}  // namespace pgram
