// What `pgram goodput` found, as text and JSON.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/cluster/cluster.h"
#include "core/plan/plan.h"
#include "sim/whole_run/failure_sample.h"
#include "sim/whole_run/step_bill.h"

namespace pgram::cli {

/// A run of some days: with failures by chance, or with given ones.
struct GoodputReport {
  std::string model, layout, cluster;
  uint32_t ranks = 0, nodes = 0;
  Seconds wall = 0;
  Seconds node_mtbf = 0;  ///< 0: not asked for, failures are given
  TrainingRun run;        ///< its mtbf is 0 likewise
  Bytes checkpoint_bytes = 0;
  double tokens_per_step = 0;  ///< 0: not known
  StepBill step;
  double idle_watts = 0, dollars_per_gpu_hour = 0;

  /// By chance: means of `runs` runs.
  uint32_t runs = 0;
  struct Row {
    ExpectedDays days;
    double formula = 0;  ///< Daly's complete model
    std::vector<std::string> marks;
  };
  std::vector<Row> rows;  ///< ascending intervals
  size_t chosen = 0;      ///< the row of the best interval, or of the one that was asked for

  /// Given failures: one run.
  struct GivenFailure {
    uint32_t rank = 0, node = 0;
    Recovery recovery;
  };
  std::vector<GivenFailure> given;

  ExpectedDays days;  ///< of the chosen interval, or of the run with given failures
};

std::string to_text(const GoodputReport&);
nlohmann::ordered_json to_json(const GoodputReport&);

}  // namespace pgram::cli
