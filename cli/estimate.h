// The simulator as the search's judge, and the threads it runs on.
#pragma once
#include "core/cluster/cluster.h"
#include "core/planner/search.h"

namespace pgram::cli {
Estimator simulating_estimator(const Cluster&);
ParallelFor parallel_for_all_cores();
}  // namespace pgram::cli
