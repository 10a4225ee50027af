// Simulating one case: Plan, verification, simulation, and the figures.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "cli/sweep/case.h"
#include "cli/sweep/grid.h"
#include "core/cluster/cluster.h"
#include "core/model/model.h"
#include "core/plan/plan.h"
#include "core/timeline/role_order.h"
#include "sim/simulation_cache.h"

namespace pgram::sweep {

/// Models and clusters by name, each read once, and what simulations leave for those after them. One for each thread.
class Inputs {
 public:
  const Model& model(const std::string& name);
  const Cluster& cluster(const std::string& name);
  /// Known by this name from now on, whatever the library has.
  void keep(const std::string& name, Model model) { models_.insert_or_assign(name, std::move(model)); }
  void keep(const std::string& name, Cluster cluster) { clusters_.insert_or_assign(name, std::move(cluster)); }
  SimulationCache& simulations() { return simulations_; }

 private:
  std::map<std::string, Model> models_;
  std::map<std::string, Cluster> clusters_;
  SimulationCache simulations_;
};

/// A Plan of a case; or why there is none.
struct PlannedCase {
  std::shared_ptr<const Plan> plan;
  std::string unfit, error;
  /// Made by the first case that fits, thread-safe: what does not fit need not be proved.
  struct Verdict {
    std::once_flag once;
    std::string error;
    std::optional<PlanOrder> order;  ///< of a valid plan
  };
  std::shared_ptr<Verdict> verdict;
};
PlannedCase plan_case(const Case&, Inputs&);
/// `planned` is of this case or of another of its PlanGroup. Never throws for what the case itself is.
Outcome run_case(const Case&, const PlannedCase& planned, Inputs&);

}  // namespace pgram::sweep
