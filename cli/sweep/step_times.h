// How long a step takes, for searches that look at many layouts: short steps are simulated and long ones follow from
// them, and what cannot win is known before anything is simulated.
#pragma once
#include <map>
#include <tuple>

#include "core/cluster/cluster.h"
#include "core/model/model.h"
#include "core/planner/planner.h"
#include "sim/simulate.h"

namespace pgram::sweep {

/// Two numbers of micro-batches from which any larger one follows: 1F1B repeats itself once every stage has its fill,
/// so that each further micro-batch adds the same. Both are `micro_batches` where that is small enough to be simulated.
struct Repetition {
  uint32_t first = 0, second = 0;
  double periods = 0;  ///< of second - first micro-batches, that are missing after `second`
};
Repetition repetition(const Layout&, uint32_t micro_batches, uint32_t simulated_in_full);
/// The same step with another number of micro-batches.
Workload with_micro_batches(const Layout&, Workload, uint32_t micro_batches);

struct StepTime {
  double seconds = 0;
  uint64_t memory_bytes = 0;  ///< of the fullest rank
};
/// Simulates at most pp + 16 micro-batches. Collectives take no SMs at the analytic level.
StepTime step_time(const Model&, const Cluster&, const Layout&, const Workload&, NetworkLevel);

/// A time that no step can be shorter than: kernels take what they take alone, and stages wait for each other as data
/// demands. Communication counts as nothing. For one cluster; kernels are simulated once for each shape and kept.
class LeastTime {
 public:
  LeastTime(const Model&, const Cluster&);
  double seconds(const Layout&, const Workload&);

 private:
  struct Kernels {
    double layer = 0, rest = 0;  ///< forward and backward of a layer / of embedding and head, for a micro-batch
  };
  const Kernels& kernels(const Layout&, const Workload&);

  const Model& model_;
  const Cluster& cluster_;
  std::map<std::tuple<uint32_t, bool, uint32_t>, Kernels> kept_;
};

}  // namespace pgram::sweep
