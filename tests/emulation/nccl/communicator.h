// One rank's communicator: its place among the others, its state, and who may use it when.
#pragma once
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/emulation/nccl/call.h"
#include "tests/emulation/nccl/link.h"

namespace pgram::emulation {

/// What a non-blocking communicator has been told to do and has not yet done. It is done while somebody polls, never by
/// itself and never at the first poll: so whoever goes on without polling is always found out, not only now and then.
class Job {
 public:
  /// `finish`: nothing while it must go on waiting; else how it ended.
  explicit Job(std::function<std::optional<ncclResult_t>()> finish) : finish_(std::move(finish)) {}
  ncclResult_t poll();

 private:
  std::mutex mutex_;
  std::function<std::optional<ncclResult_t>()> finish_;
  std::optional<ncclResult_t> result_;
  bool polled_ = false;
};

}  // namespace pgram::emulation

/// NVIDIA's header names the type and leaves its inside to the library. Never freed, so that a stale handle is known.
struct ncclComm : std::enable_shared_from_this<ncclComm> {
  using Link = pgram::emulation::Link;

  int rank = 0, ranks = 0, device = 0;
  bool blocking = true;
  std::string hub;  ///< its name, and the meeting's number there
  uint64_t meeting = 0;
  std::shared_ptr<Link> link;  ///< null until it is initialized

  std::mutex mutex;                 ///< for all below
  std::condition_variable changed;  ///< when a call is done, and at errors and abort
  ncclResult_t error = ncclSuccess;
  bool finalized = false;
  bool destroyed = false;  ///< or aborted: the handle is no longer one
  bool left = false;       ///< ... and its calls are taken back, so that who waits for them may go
  std::shared_ptr<pgram::emulation::Job> job;
  uint64_t unfinished = 0;  ///< operations on streams
  std::thread::id in_call, in_group;
  uint64_t management_calls = 0, collectives = 0;  ///< issued so far; also the next one's sequence
  std::map<int, uint64_t> sends, receives;         ///< the same by peer

  std::string name();
  void fail(ncclResult_t);
};

namespace pgram::emulation {

std::shared_ptr<ncclComm> make_communicator();
/// nullptr if there was never such a one.
std::shared_ptr<ncclComm> find_communicator(ncclComm_t);
/// Those that are not destroyed.
std::vector<std::shared_ptr<ncclComm>> live_communicators();
/// Opens the link; false if that cannot be, with the communicator's error set.
bool open_link_of(ncclComm&);
/// Destroyed, or aborted: the handle is no longer one.
void retire(ncclComm&, bool aborted);

/// For ncclGetLastError, of this thread. Returns the result.
ncclResult_t refuse(ncclResult_t, const std::string& why);
const std::string& last_error();

/// First line of every function on a communicator: counts the call, and finds out whether it may be made.
class Use {
 public:
  enum class Needs { ready, no_job, live };  ///< `live`: may be called by any thread at any time

  Use(const char* call, ncclComm_t, Needs);
  ~Use();
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;

  ncclResult_t status() const { return status_; }
  explicit operator bool() const { return status_ == ncclSuccess; }
  ncclComm& operator*() const { return *communicator_; }
  ncclComm* operator->() const { return communicator_.get(); }

 private:
  ncclResult_t enter_communicator(const std::string& call, Needs);

  std::shared_ptr<ncclComm> communicator_;
  ncclResult_t status_ = ncclSuccess;
  bool marked_ = false;
};

}  // namespace pgram::emulation
