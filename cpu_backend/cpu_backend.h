// The CPU backend: every rank is a group of threads of this process, one per stream, with shared-memory communication.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/exec/backend.h"
#include "cpu_backend/kernels/kernels.h"

namespace pgram {

struct CpuOptions {
  KernelSet kernels = KernelSet::fast;
  int threads_per_rank = 1;   ///< OpenMP threads of a rank's compute stream
  bool pin = false;           ///< rank r computes on cores r * threads_per_rank ..., where the machine has them
  int deadlock_seconds = 20;  ///< so long nothing moves and no kernel runs: the plan deadlocks, the run fails
  /// Tests: called on its stream's thread as a task begins, after its start is stamped; what it throws
  /// fails the task.
  std::function<void(const Launch&)> before_task;
};

/// Streams of a rank progress independently: a communication stream that waits for its peer does not hold the compute
/// stream. Summation order is fixed, so two runs of one Plan are bit-equal. The Plan outlives the backend.
///
/// Restriction: float32 and int32 fields only; opaque tasks take no time.
class CpuBackend : public Backend {
 public:
  /// InputError if the options make no sense.
  CpuBackend(const Plan&, const CpuOptions&);
  ~CpuBackend() override;

  std::string name() const override;
  std::vector<uint32_t> local_ranks() const override;
  std::unique_ptr<RankDevice> open(uint32_t rank) override;
  Picoseconds now() const override;
  void abort(const std::string& reason) override;

 private:
  struct Shared;
  std::unique_ptr<Shared> shared_;
  friend class CpuRank;
};

}  // namespace pgram
