// Making, splitting and ending communicators, and asking them how they are.
#include <cstdlib>
#include <cstring>

#include "tests/emulation/nccl/deadlock.h"
#include "tests/emulation/nccl/group.h"
#include "tests/emulation/nccl/hub.h"
#include "tests/emulation/runtime/runtime.h"

using namespace pgram::emulation;

namespace {

/// A management call's outcome on its way to the thread that waits.
struct Ticket {
  bool done = false;
  Outcome outcome;
};

void post(ncclComm& c, Kind kind, Bytes data, const std::shared_ptr<Ticket>& ticket) {
  Call call{.kind = kind};
  std::shared_ptr<Link> link;
  {
    std::lock_guard lock(c.mutex);
    call.sequence = c.management_calls++;
    link = c.link;
  }
  link->post(call, std::move(data), [ticket, self = c.shared_from_this()](Outcome outcome) {
    {
      std::lock_guard lock(self->mutex);
      ticket->outcome = std::move(outcome);
      ticket->done = true;
    }
    self->changed.notify_all();
  });
}

bool is_done(ncclComm& c, const Ticket& ticket) {
  std::lock_guard lock(c.mutex);
  return ticket.done;
}

bool is_bad(const ncclConfig_t* config) {
  constexpr unsigned kMagic = 0xcafebeef;
  return config && (config->size != sizeof *config || config->magic != kMagic);
}

/// Joins alone: a group of one unless the thread is in a group.
ncclResult_t manage(Management management) {
  start_group();
  add_to_group(std::move(management));
  return end_group();
}

ncclResult_t initialize(ncclComm_t* out, int ranks, const ncclUniqueId& id, int rank, const ncclConfig_t* config) {
  if (!out) return refuse(ncclInvalidArgument, "no place for the communicator");
  *out = nullptr;
  if (ranks < 1 || rank < 0 || rank >= ranks) {
    return refuse(ncclInvalidArgument, "rank " + std::to_string(rank) + " of " + std::to_string(ranks));
  }
  if (is_bad(config)) return refuse(ncclInvalidArgument, "the config was not initialized with NCCL_CONFIG_INITIALIZER");
  const auto communicator = make_communicator();
  communicator->rank = rank, communicator->ranks = ranks, communicator->device = current_device();
  communicator->blocking = !config || config->blocking != 0;
  communicator->hub.assign(id.internal, strnlen(id.internal, sizeof id.internal));
  watch_communicators();
  const auto ticket = std::make_shared<Ticket>();
  Management management;
  management.communicator = communicator;
  management.begin = [communicator, ticket] {
    if (open_link_of(*communicator)) post(*communicator, Kind::join, to_bytes(JoinData{communicator->device}), ticket);
    return ncclSuccess;  // a link that could not be opened shows as the communicator's error
  };
  management.end = [communicator, ticket] {
    return is_done(*communicator, *ticket) ? std::optional(ncclSuccess) : std::nullopt;
  };
  management.undo = [communicator, out] {
    *out = nullptr;
    retire(*communicator, true);
  };
  *out = communicator.get();
  return manage(std::move(management));
}

/// The caller's part of what was `parent`, at its meeting; nullptr if it has none.
std::shared_ptr<ncclComm> make_part(const ncclComm& parent, const SplitOutcome& outcome, bool blocking) {
  if (!outcome.ranks) return nullptr;
  const auto part = make_communicator();
  part->rank = outcome.rank, part->ranks = outcome.ranks, part->device = parent.device;
  part->blocking = blocking;
  part->hub = parent.hub, part->meeting = outcome.meeting;
  open_link_of(*part);
  if (!blocking && !parent.blocking) part->job = std::make_shared<Job>([] { return std::optional(ncclSuccess); });
  return part;
}

ncclResult_t finalize(ncclComm& communicator) {
  Management management;
  management.communicator = communicator.shared_from_this();
  management.begin = [] { return ncclSuccess; };
  management.undo = [] {};
  management.end = [c = communicator.shared_from_this()]() -> std::optional<ncclResult_t> {
    std::lock_guard lock(c->mutex);
    if (c->unfinished) return std::nullopt;
    c->finalized = true;
    return ncclSuccess;
  };
  return manage(std::move(management));
}

}  // namespace

extern "C" {

ncclResult_t ncclGetVersion(int* version) {
  if (const int planned = enter("ncclGetVersion")) return static_cast<ncclResult_t>(planned);
  if (!version) return refuse(ncclInvalidArgument, "no place for the version");
  const char* pretended = std::getenv("PGRAM_EMULATION_NCCL_VERSION");
  *version = pretended ? std::atoi(pretended) : NCCL_VERSION_CODE;
  return ncclSuccess;
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  if (const int planned = enter("ncclGetUniqueId")) return static_cast<ncclResult_t>(planned);
  if (!id) return refuse(ncclInvalidArgument, "no place for the unique id");
  const std::string name = Hub::create();
  if (name.empty()) return refuse(ncclSystemError, "no socket to listen at");
  std::memset(id, 0, sizeof *id);
  std::memcpy(id->internal, name.data(), name.size());
  return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* out, int ranks, ncclUniqueId id, int rank, ncclConfig_t* config) {
  if (const int planned = enter("ncclCommInitRankConfig")) return fail_group(static_cast<ncclResult_t>(planned));
  const ncclResult_t result = initialize(out, ranks, id, rank, config);
  return result == ncclInProgress ? result : fail_group(result);
}

ncclResult_t ncclCommInitRank(ncclComm_t* out, int ranks, ncclUniqueId id, int rank) {
  if (const int planned = enter("ncclCommInitRank")) return fail_group(static_cast<ncclResult_t>(planned));
  return fail_group(initialize(out, ranks, id, rank, nullptr));
}

ncclResult_t ncclCommInitAll(ncclComm_t* out, int count, const int* devices) {
  if (const int planned = enter("ncclCommInitAll")) return static_cast<ncclResult_t>(planned);
  int known = 0;
  if (cudaGetDeviceCount(&known) != cudaSuccess) return refuse(ncclUnhandledCudaError, "no devices");
  for (int i = 0; i < count; ++i) {
    if (const int device = devices ? devices[i] : i; device < 0 || device >= known) {
      return refuse(ncclInvalidArgument, "there is no device " + std::to_string(device));
    }
  }
  const std::string name = Hub::create();
  if (name.empty()) return refuse(ncclSystemError, "no socket to listen at");
  ncclUniqueId id{};
  std::memcpy(id.internal, name.data(), name.size());
  start_group();
  for (int i = 0; i < count; ++i) {
    const OnDevice on_device(devices ? devices[i] : i);
    if (const ncclResult_t result = initialize(out + i, count, id, i, nullptr); result != ncclSuccess)
      fail_group(result);
  }
  return end_group();
}

ncclResult_t ncclCommSplit(ncclComm_t handle, int color, int key, ncclComm_t* out, ncclConfig_t* config) {
  const Use use("ncclCommSplit", handle, Use::Needs::ready);
  if (!use) return fail_group(use.status());
  if (!out) return fail_group(refuse(ncclInvalidArgument, "no place for the communicator"));
  *out = nullptr;
  if (is_bad(config) || (color < 0 && color != NCCL_SPLIT_NOCOLOR)) {
    return fail_group(refuse(ncclInvalidArgument, "ncclCommSplit with a bad config or color"));
  }
  const bool says = config && config->blocking != NCCL_CONFIG_UNDEF_INT;
  const bool blocking = says ? config->blocking != 0 : use->blocking;
  const auto parent = use->shared_from_this();
  const auto ticket = std::make_shared<Ticket>();
  Management management;
  management.communicator = parent;
  management.begin = [parent, ticket, color, key] {
    post(*parent, Kind::split, to_bytes(SplitData{color, key}), ticket);
    return ncclSuccess;
  };
  management.end = [parent, ticket, out, blocking]() -> std::optional<ncclResult_t> {
    if (!is_done(*parent, *ticket)) return std::nullopt;
    *out = make_part(*parent, from_bytes<SplitOutcome>(ticket->outcome.data), blocking).get();
    return ncclSuccess;
  };
  management.undo = [] {};  // *out is null until it is made
  return manage(std::move(management));
}

ncclResult_t ncclCommFinalize(ncclComm_t handle) {
  const Use use("ncclCommFinalize", handle, Use::Needs::ready);
  return use ? finalize(*use) : use.status();
}

ncclResult_t ncclCommDestroy(ncclComm_t handle) {
  const Use use("ncclCommDestroy", handle, Use::Needs::no_job);
  if (!use) return use.status();
  uint64_t unfinished;
  {
    std::lock_guard lock(use->mutex);
    unfinished = use->unfinished;
  }
  if (unfinished) {
    report("destroyed too early: " + use->name() + " has " + std::to_string(unfinished) +
           " operations that are not done");
  }
  retire(*use, false);
  return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t handle) {
  const Use use("ncclCommAbort", handle, Use::Needs::live);
  if (!use) return use.status();
  retire(*use, true);
  return ncclSuccess;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t handle, ncclResult_t* result) {
  const Use use("ncclCommGetAsyncError", handle, Use::Needs::live);
  if (!use) return use.status();
  if (!result) return refuse(ncclInvalidArgument, "no place for the error");
  std::shared_ptr<Job> job;
  {
    std::lock_guard lock(use->mutex);
    *result = use->error;
    job = use->job;
  }
  if (*result != ncclSuccess || !job) return ncclSuccess;
  *result = job->poll();
  if (*result == ncclInProgress) return ncclSuccess;
  if (*result != ncclSuccess) use->fail(*result);
  std::lock_guard lock(use->mutex);
  if (use->job == job) use->job = nullptr;
  return ncclSuccess;
}

ncclResult_t ncclCommCount(const ncclComm_t handle, int* count) {
  const Use use("ncclCommCount", handle, Use::Needs::ready);
  if (use) *count = use->ranks;
  return use.status();
}

ncclResult_t ncclCommUserRank(const ncclComm_t handle, int* rank) {
  const Use use("ncclCommUserRank", handle, Use::Needs::ready);
  if (use) *rank = use->rank;
  return use.status();
}

ncclResult_t ncclCommCuDevice(const ncclComm_t handle, int* device) {
  const Use use("ncclCommCuDevice", handle, Use::Needs::ready);
  if (use) *device = use->device;
  return use.status();
}

const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSuccess:
      return "no error";
    case ncclUnhandledCudaError:
      return "unhandled cuda error (run with NCCL_DEBUG=INFO for details)";
    case ncclSystemError:
      return "unhandled system error (run with NCCL_DEBUG=INFO for details)";
    case ncclInternalError:
      return "internal error - please report this issue to the NCCL developers";
    case ncclInvalidArgument:
      return "invalid argument (run with NCCL_DEBUG=WARN for details)";
    case ncclInvalidUsage:
      return "invalid usage (run with NCCL_DEBUG=WARN for details)";
    case ncclRemoteError:
      return "remote process exited or there was a network error";
    case ncclInProgress:
      return "NCCL operation in progress";
    default:
      return "unknown result code";
  }
}

const char* ncclGetLastError(ncclComm_t) {
  return last_error().c_str();
}

}  // extern "C"
