// Calls of one communicator that NCCL makes one operation of: put on their stream, and done there.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "tests/emulation/nccl/communicator.h"

namespace pgram::emulation {

struct Issued {
  std::shared_ptr<ncclComm> communicator;
  Call call;
  const void* send = nullptr;
  void* receive = nullptr;
  cudaStream_t stream = nullptr;
  std::string task;  ///< current at the call
};

/// All of one communicator. Several streams: the first one runs it, the others wait before and after, as in NCCL.
ncclResult_t launch(std::vector<Issued>);

}  // namespace pgram::emulation
