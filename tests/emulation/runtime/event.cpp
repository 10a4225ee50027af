// Events, see event.h.
#include "tests/emulation/runtime/event.h"

#include <unordered_map>

#include "tests/emulation/runtime/clock.h"
#include "tests/emulation/runtime/runtime.h"

namespace pgram::emulation {
namespace {

/// Handles are numbers that are used once. Never destroyed: workers outlive main().
struct Table {
  std::mutex mutex;
  std::unordered_map<cudaEvent_t, std::shared_ptr<Event>> live;
  uintptr_t handles = 0;
};
Table& table() {
  static auto& instance = *new Table;
  return instance;
}

}  // namespace

void Recording::finish(VirtualTime time) {
  const std::lock_guard lock(mutex_);
  done_ = true;
  virtual_time_ = time;
  epoch_ = virtual_epoch();
  real_time_ = std::chrono::steady_clock::now();
  changed_.notify_all();
}

bool Recording::is_done() {
  const std::lock_guard lock(mutex_);
  return done_;
}

void Recording::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return done_; });
}

VirtualTime Recording::virtual_time() const {
  return epoch_ == virtual_epoch() ? virtual_time_ : 0;
}

cudaEvent_t create_event(unsigned flags) {
  auto event = std::make_shared<Event>();
  event->device = current_device();
  event->flags = flags;
  Table& all = table();
  const std::lock_guard lock(all.mutex);
  const auto handle = reinterpret_cast<cudaEvent_t>(16 * ++all.handles);
  all.live[handle] = std::move(event);
  return handle;
}

std::shared_ptr<Event> event_of(cudaEvent_t handle, const std::string& who) {
  Table& all = table();
  {
    const std::lock_guard lock(all.mutex);
    const auto found = all.live.find(handle);
    if (found != all.live.end()) return found->second;
  }
  report("destroyed event: " + who + " was given a handle that is no live event");
  return nullptr;
}

bool destroy_event(cudaEvent_t handle) {
  Table& all = table();
  {
    const std::lock_guard lock(all.mutex);
    if (all.live.erase(handle)) return true;
  }
  report("destroyed event: cudaEventDestroy of a handle that is no live event");
  return false;
}

uint64_t live_events() {
  Table& all = table();
  const std::lock_guard lock(all.mutex);
  return all.live.size();
}

}  // namespace pgram::emulation
