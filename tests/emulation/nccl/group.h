// ncclGroupStart and ncclGroupEnd, and what a single call is: a group of one.
#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "tests/emulation/nccl/execute.h"

namespace pgram::emulation {

/// Making, splitting or finalizing a communicator: begun by `begin`, over when `end` says how.
struct Management {
  std::shared_ptr<ncclComm> communicator;  ///< which waits, or is in progress
  std::function<ncclResult_t()> begin;
  std::function<std::optional<ncclResult_t>()> end;  ///< nothing: not yet
  std::function<void()> undo;                        ///< when a group that blocks fails
};

/// Nothing is done before the outermost end_group() of the thread.
void start_group();
ncclResult_t end_group();
bool in_group();
/// As if the thread had never begun one.
void drop_group();
/// Between start_group and end_group: what is to be done, or an error that makes nothing of the group be done.
void add_to_group(Issued);
void add_to_group(Management);
ncclResult_t fail_group(ncclResult_t);

}  // namespace pgram::emulation
