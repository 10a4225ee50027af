// A sweep under mpirun: all ranks take groups of cases from one shared list; each writes a file of its own, and rank 0
// joins them.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "cli/mpi/launch.h"
#include "cli/mpi/plugin.h"
#include "cli/sweep/run.h"

namespace pgram::sweep {

class PartsLock;

/// This process as one of several. At most one in a process.
class Ranks {
 public:
  /// InputError where there is no MPI for them, or not the one that started them: never does each of N processes do
  /// everything, believing to be alone.
  explicit Ranks(const Launch&);
  ~Ranks();
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;

  uint32_t rank() const { return rank_; }

  /// All ranks do `what` before anything is run, such as reading the sweep. False, in all but rank 0: it failed there,
  /// where this throws. Where it fails in another rank only, that one says why and ends the job.
  bool prepare(const std::function<void()>& what);

  /// In rank 0, as a part of `prepare`: the results file, with the rows of parts that a job left that was cut off.
  void open(const Sweep&, const Grid&, const std::string& out, Shard);

  /// After `prepare`. The report of rank 0 is of all. Where a rank fails, it says why and ends the job; what was
  /// written stays in the parts.
  RunReport run(const Sweep&, const Grid&, const std::string& out, const RunOptions&);

 private:
  [[noreturn]] void fail(const std::exception_ptr&) const;
  RunReport run_or_throw(const Sweep&, const Grid&, const std::string& out, const RunOptions&);

  Launch launch_;
  const MpiApi* mpi_ = nullptr;
  uint32_t rank_ = 0, size_ = 1;
  std::unique_ptr<PartsLock> lock_;  ///< rank 0's
  std::string work_;                 ///< rank 0's Work as bytes
};

}  // namespace pgram::sweep
