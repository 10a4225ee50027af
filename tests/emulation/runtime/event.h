// Events: each record is a recording of its own, which those wait for that were told to before the next one.
#pragma once
#include <cuda_runtime.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "tests/emulation/control.h"

namespace pgram::emulation {

/// One cudaEventRecord: done when its stream has come to it.
class Recording {
 public:
  explicit Recording(std::string who) : who_(std::move(who)) {}

  void finish(VirtualTime);
  bool is_done();
  void wait();
  /// "event recorded by ..."
  const std::string& who() const { return who_; }
  /// 0 if it is of an earlier epoch of the virtual clock. Done only.
  VirtualTime virtual_time() const;
  std::chrono::steady_clock::time_point real_time() const { return real_time_; }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string who_;
  bool done_ = false;
  VirtualTime virtual_time_ = 0;
  uint64_t epoch_ = 0;
  std::chrono::steady_clock::time_point real_time_;
};

struct Event {
  int device = 0;
  unsigned flags = 0;
  std::mutex mutex;
  std::shared_ptr<Recording> latest;  ///< nullptr: never recorded
  std::shared_ptr<Recording> take_latest() {
    const std::lock_guard lock(mutex);
    return latest;
  }
};

cudaEvent_t create_event(unsigned flags);
/// nullptr, with a report, for a handle that is none, or no longer.
std::shared_ptr<Event> event_of(cudaEvent_t, const std::string& who);
bool destroy_event(cudaEvent_t);
uint64_t live_events();

}  // namespace pgram::emulation
