// Communication tasks on a GPU: NCCL, or copies within one card that several ranks share.
#pragma once
#include <cuda_runtime.h>

#include <memory>
#include <string>

#include "core/exec/backend.h"
#include "core/plan/plan.h"

namespace pgram {

/// One rank's end of all its communicators. Called by the rank's issuing thread only, except abort().
class Communication {
 public:
  virtual ~Communication() = default;
  /// Puts a communication task on the stream. Tasks between group_begin and group_end of a grouped Body are issued
  /// as one NCCL group, so that both directions of an exchange progress together.
  virtual void issue(const Launch&, cudaStream_t) = 0;
  /// Looked at while waiting: RunError for an asynchronous error of any communicator.
  virtual void poll() = 0;
  /// Makes what is issued and blocked end soon. From any thread, more than once.
  virtual void abort() noexcept = 0;
};

/// Where the ranks of this process meet each other and those of other processes.
class Connections {
 public:
  virtual ~Connections() = default;
  /// A rank's end. Called once by each rank's own thread with its device set; blocks until all ranks of the Plan have
  /// called it. RunError when they do not come in time or the run fails meanwhile.
  virtual std::unique_ptr<Communication> open(uint32_t rank) = 0;
  /// Ends every open() that still waits. From any thread.
  virtual void abort() noexcept = 0;
};

}  // namespace pgram
