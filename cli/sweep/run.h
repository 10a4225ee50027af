// Running a sweep: every case without a row gets one.
#pragma once
#include <functional>
#include <stop_token>

#include "cli/sweep/grid.h"
#include "cli/sweep/results.h"
#include "cli/sweep/work_list.h"

namespace pgram::sweep {

struct RunOptions {
  unsigned threads = 0;  ///< 0: all cores
  Shard shard;
  std::stop_token stop;
  /// Now and then: how much of what this run found to do is done (other processes' part too), and cases of this one.
  std::function<void(double fraction, uint64_t cases)> progress;
};

struct RunReport {
  uint64_t cases = 0;  ///< simulated by this run
  bool stopped = false;
};

/// Other processes may run the same sweep into the same file: each case is given to one of them, and this returns when
/// all are done. Rows are in the file a fraction of a second after they are known. InputError if they cannot be
/// written; what was written stays.
RunReport run_sweep(const Sweep&, const Grid&, Results&, const RunOptions& = {});

/// How long the whole sweep would take from now: a few of its groups simulated, in seconds of one thread.
struct RunEstimate {
  uint64_t sampled_cases = 0;
  double seconds = 0;
};
RunEstimate estimate_run(const Grid&, Shard = {});

}  // namespace pgram::sweep
