// Simulating one case: Plan, verification, simulation, and the figures.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "cli/sweep/case.h"
#include "cli/sweep/grid.h"
#include "core/cluster/cluster.h"
#include "core/model/model.h"
#include "core/plan/known_plans.h"
#include "core/plan/memory_bill.h"
#include "core/plan/plan.h"
#include "core/timeline/role_order.h"
#include "sim/simulate.h"
#include "sim/simulation_cache.h"

namespace pgram::sweep {

/// Models and clusters by name, each read once, and what simulations leave for those after them. One for each thread.
class Inputs {
 public:
  /// `plans`: what several threads know together.
  explicit Inputs(std::shared_ptr<KnownPlans> plans = std::make_shared<KnownPlans>()) : plans_(std::move(plans)) {}

  const Model& model(const std::string& name);
  const Cluster& cluster(const std::string& name);
  /// Known by this name from now on, whatever the library has.
  void keep(const std::string& name, Model model) { models_.insert_or_assign(name, std::move(model)); }
  void keep(const std::string& name, Cluster cluster) { clusters_.insert_or_assign(name, std::move(cluster)); }
  SimulationCache& simulations() { return simulations_; }
  KnownPlans& plans() { return *plans_; }

 private:
  std::map<std::string, Model> models_;
  std::map<std::string, Cluster> clusters_;
  SimulationCache simulations_;
  std::shared_ptr<KnownPlans> plans_;
};

/// A Plan of a case; or why there is none.
struct PlannedCase {
  std::shared_ptr<const Plan> plan;  ///< without its waits until the verdict
  MemoryBill memory;                 ///< of the fullest role
  std::string unfit, error;
  /// Made by the first case that fits, thread-safe: what does not fit need neither be linked nor proved.
  struct Verdict {
    std::once_flag once;
    std::shared_ptr<Plan> plan;  ///< to be linked
    std::string error;
    // Of a valid plan:
    std::optional<PlanOrder> order;               ///< for its timelines
    std::shared_ptr<const sim::PlanIndex> index;  ///< for its simulations
  };
  std::shared_ptr<Verdict> verdict;
};
PlannedCase plan_case(const Case&, Inputs&);
/// `planned` is of this case or of another of its PlanGroup. Never throws for what the case itself is.
Outcome run_case(const Case&, const PlannedCase& planned, Inputs&);

}  // namespace pgram::sweep
