#include "tests/emulation/nccl/group.h"

#include <algorithm>
#include <chrono>

#include "tests/emulation/runtime/runtime.h"

namespace pgram::emulation {
namespace {

struct Group {
  int depth = 0;
  ncclResult_t error = ncclSuccess;
  std::vector<Issued> calls;
  std::vector<Management> management;
};

thread_local Group group;

using Communicators = std::vector<std::shared_ptr<ncclComm>>;

/// In the order of their first use.
Communicators communicators_of(const Group& g) {
  Communicators all;
  const auto add = [&](const std::shared_ptr<ncclComm>& c) {
    if (std::find(all.begin(), all.end(), c) == all.end()) all.push_back(c);
  };
  for (const Issued& issued : g.calls) add(issued.communicator);
  for (const Management& management : g.management) add(management.communicator);
  return all;
}

ncclResult_t launch_all(const std::vector<Issued>& calls, const Communicators& communicators) {
  for (const auto& communicator : communicators) {
    std::vector<Issued> its;
    for (const Issued& issued : calls) {
      // NCCL leaves out collectives of nothing, but not sends of nothing.
      const bool is_empty = issued.call.count == 0 && !is_point_to_point(issued.call.kind);
      if (issued.communicator == communicator && !is_empty) its.push_back(issued);
    }
    if (its.empty()) continue;
    if (const ncclResult_t result = launch(std::move(its)); result != ncclSuccess) return result;
  }
  return ncclSuccess;
}

ncclResult_t wait_for(const Management& management) {
  ncclComm& c = *management.communicator;
  for (;;) {
    if (const auto result = management.end()) return *result;
    std::unique_lock lock(c.mutex);
    if (c.left) return refuse(ncclInternalError, "the communicator was aborted");
    if (c.error != ncclSuccess) return c.error;
    c.changed.wait_for(lock, std::chrono::milliseconds(1));
  }
}

/// The same for a communicator that does not block: how it ended, or nothing.
std::optional<ncclResult_t> look_at(const Management& management) {
  if (const auto result = management.end()) return result;
  ncclComm& c = *management.communicator;
  std::lock_guard lock(c.mutex);
  return c.error == ncclSuccess ? std::nullopt : std::optional(c.error);
}

void set_job(ncclComm& communicator, std::shared_ptr<Job> job) {
  std::lock_guard lock(communicator.mutex);
  communicator.job = std::move(job);
}

ncclResult_t do_now(const Group& g, const Communicators& communicators) {
  for (const Management& management : g.management) {
    if (const ncclResult_t result = management.begin(); result != ncclSuccess) return result;
  }
  for (const Management& management : g.management) {
    if (const ncclResult_t result = wait_for(management); result != ncclSuccess) return result;
  }
  return launch_all(g.calls, communicators);
}

ncclResult_t undo(const Group& g, ncclResult_t result) {
  for (const Management& management : g.management) management.undo();
  return result;
}

ncclResult_t do_while_polled(const Group& g, const Communicators& communicators) {
  for (const Management& management : g.management) {
    if (const ncclResult_t result = management.begin(); result != ncclSuccess) return result;
    set_job(*management.communicator, std::make_shared<Job>([management] { return look_at(management); }));
  }
  if (g.calls.empty()) return ncclInProgress;
  const auto job = std::make_shared<Job>(
      [calls = g.calls, communicators] { return std::optional(launch_all(calls, communicators)); });
  for (const auto& communicator : communicators) set_job(*communicator, job);
  return ncclInProgress;
}

void forget_group() {
  for (const auto& communicator : communicators_of(group)) {
    std::lock_guard lock(communicator->mutex);
    communicator->in_group = {};
  }
  group = {};
}

}  // namespace

void start_group() {
  ++group.depth;
}

bool in_group() {
  return group.depth > 0;
}

void add_to_group(Issued issued) {
  {
    std::lock_guard lock(issued.communicator->mutex);
    issued.communicator->in_group = std::this_thread::get_id();
  }
  group.calls.push_back(std::move(issued));
}

void add_to_group(Management management) {
  group.management.push_back(std::move(management));
}

ncclResult_t fail_group(ncclResult_t error) {
  if (in_group() && group.error == ncclSuccess) group.error = error;
  return error;
}

void drop_group() {
  const Group g = group;
  forget_group();
  undo(g, ncclSuccess);
}

ncclResult_t end_group() {
  if (group.depth == 0) return refuse(ncclInvalidUsage, "ncclGroupEnd without ncclGroupStart");
  if (--group.depth > 0) return ncclSuccess;
  const Group g = group;
  const Communicators communicators = communicators_of(g);
  forget_group();
  if (g.error != ncclSuccess) return undo(g, g.error);
  if (communicators.empty()) return ncclSuccess;
  if (!g.calls.empty() && !g.management.empty()) {
    return undo(g, refuse(ncclInvalidUsage, "communicators are made and used in one group"));
  }
  const bool blocking = communicators[0]->blocking;
  for (const auto& communicator : communicators) {
    if (communicator->blocking != blocking) {
      return undo(g, refuse(ncclInvalidArgument, "communicators that block and that do not in one group"));
    }
  }
  if (!blocking) return do_while_polled(g, communicators);
  const ncclResult_t result = do_now(g, communicators);
  return result == ncclSuccess ? result : undo(g, result);
}

}  // namespace pgram::emulation

extern "C" {

ncclResult_t ncclGroupStart() {
  if (const int planned = pgram::emulation::enter("ncclGroupStart")) return static_cast<ncclResult_t>(planned);
  pgram::emulation::start_group();
  return ncclSuccess;
}

ncclResult_t ncclGroupEnd() {
  if (const int planned = pgram::emulation::enter("ncclGroupEnd")) {
    pgram::emulation::drop_group();
    return static_cast<ncclResult_t>(planned);
  }
  return pgram::emulation::end_group();
}

}  // extern "C"
