#include "tests/emulation/nccl/communicator.h"

#include "tests/emulation/runtime/runtime.h"

namespace pgram::emulation {
namespace {

struct Registry {
  std::mutex mutex;
  std::map<ncclComm_t, std::shared_ptr<ncclComm>> all;
};

Registry& registry() {
  static auto& communicators = *new Registry;
  return communicators;
}

thread_local std::string last_error_text;

}  // namespace

ncclResult_t Job::poll() {
  std::lock_guard lock(mutex_);
  if (result_) return *result_;
  if (polled_) result_ = finish_();
  polled_ = true;
  return result_.value_or(ncclInProgress);
}

std::shared_ptr<ncclComm> make_communicator() {
  auto communicator = std::make_shared<ncclComm>();
  std::lock_guard lock(registry().mutex);
  registry().all[communicator.get()] = communicator;
  count_live(0, 1);
  return communicator;
}

std::shared_ptr<ncclComm> find_communicator(ncclComm_t handle) {
  std::lock_guard lock(registry().mutex);
  const auto found = registry().all.find(handle);
  return found == registry().all.end() ? nullptr : found->second;
}

std::vector<std::shared_ptr<ncclComm>> live_communicators() {
  std::vector<std::shared_ptr<ncclComm>> live;
  std::lock_guard lock(registry().mutex);
  for (const auto& [handle, communicator] : registry().all) {
    std::lock_guard its(communicator->mutex);
    if (!communicator->destroyed) live.push_back(communicator);
  }
  return live;
}

bool open_link_of(ncclComm& communicator) {
  const auto listener = [weak = communicator.weak_from_this()](ncclResult_t error) {
    if (const auto alive = weak.lock()) alive->fail(error);
  };
  auto link = open_link(communicator.hub, communicator.meeting, communicator.rank, communicator.ranks, listener);
  if (!link) communicator.fail(ncclRemoteError);
  std::lock_guard lock(communicator.mutex);
  communicator.link = std::move(link);
  return bool(communicator.link);
}

void retire(ncclComm& communicator, bool aborted) {
  std::shared_ptr<Link> link;
  {
    std::lock_guard lock(communicator.mutex);
    if (communicator.destroyed) return;
    communicator.destroyed = true;
    communicator.job = nullptr;
    link = std::move(communicator.link);
  }
  // First, for a worker that goes on could bring others to meet what is still there.
  if (link) link->leave(aborted);
  {
    std::lock_guard lock(communicator.mutex);
    communicator.left = true;
  }
  communicator.changed.notify_all();
  count_live(0, -1);
}

ncclResult_t refuse(ncclResult_t result, const std::string& why) {
  last_error_text = why;
  return result;
}

const std::string& last_error() {
  return last_error_text;
}

Use::Use(const char* call, ncclComm_t handle, Needs needs) {
  if (const int planned = enter(call)) {
    status_ = refuse(static_cast<ncclResult_t>(planned), std::string("planned failure of ") + call);
    return;
  }
  communicator_ = find_communicator(handle);
  status_ = communicator_ ? enter_communicator(call, needs)
                          : refuse(ncclInvalidArgument, std::string(call) + " was given no communicator");
}

ncclResult_t Use::enter_communicator(const std::string& call, Needs needs) {
  const std::string name = communicator_->name();
  std::unique_lock lock(communicator_->mutex);
  if (communicator_->destroyed) {
    report("use after destroy: " + call + " on " + name + ", which was destroyed or aborted");
    return refuse(ncclInvalidArgument, call + " on a communicator that was destroyed");
  }
  if (needs == Needs::live) return ncclSuccess;
  const auto me = std::this_thread::get_id();
  const auto is_other = [&](std::thread::id user) { return user != std::thread::id() && user != me; };
  if (is_other(communicator_->in_call) || is_other(communicator_->in_group)) {
    report("two threads at once: " + call + " on " + name + " while another thread uses it");
    return refuse(ncclInvalidUsage, "two threads use one communicator at once");
  }
  communicator_->in_call = me;
  marked_ = true;
  if (communicator_->job) {
    return refuse(ncclInvalidArgument, call + " before ncclCommGetAsyncError gave ncclSuccess for what went before");
  }
  if (needs == Needs::no_job) return ncclSuccess;
  if (communicator_->finalized) return refuse(ncclInvalidUsage, call + " on a communicator that was finalized");
  return communicator_->error;
}

Use::~Use() {
  if (!marked_) return;
  std::lock_guard lock(communicator_->mutex);
  communicator_->in_call = {};
}

}  // namespace pgram::emulation

std::string ncclComm::name() {
  std::lock_guard lock(mutex);
  return (link ? link->name() : "a communicator") + " (rank " + std::to_string(rank) + " of " + std::to_string(ranks) +
         ")";
}

void ncclComm::fail(ncclResult_t what) {
  {
    std::lock_guard lock(mutex);
    if (error == ncclSuccess) error = what;
  }
  changed.notify_all();
}
