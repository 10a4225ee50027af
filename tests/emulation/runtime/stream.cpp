// Streams, see stream.h.
#include "tests/emulation/runtime/stream.h"

#include <atomic>
#include <thread>
#include <utility>

#include "tests/emulation/runtime/streams.h"

namespace pgram::emulation {
namespace {

std::atomic<uint64_t> progress_count = 0, queue_limit = 0;

}  // namespace

uint64_t progress() {
  return progress_count;
}
void make_progress() {
  ++progress_count;
}

Stream::Stream(int device_, uint32_t index, unsigned flags_, int priority_)
    : device(device_),
      id(uint64_t(device_) << 32 | index),
      flags(flags_),
      priority(priority_),
      clock(device_, uint64_t(device_) << 32 | index) {}

std::string Stream::name() const {
  return "device " + std::to_string(device) + " stream " + std::to_string(uint32_t(id));
}

void set_queue(uint64_t operations) {
  queue_limit = operations;
}

void Stream::submit(Item item) {
  std::unique_lock lock(mutex_);
  if (const uint64_t limit = queue_limit) changed_.wait(lock, [&] { return submitted_ - finished_ < limit; });
  queue_.push_back(std::move(item));
  ++submitted_;
  make_progress();
  if (!std::exchange(started_, true)) std::thread([self = shared_from_this()] { self->work(); }).detach();
  changed_.notify_all();
}

void Stream::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return closed_ || !queue_.empty(); });
    if (queue_.empty()) break;
    const Item item = std::move(queue_.front());
    queue_.pop_front();
    current_ = item.task.name.empty() ? item.name : "task " + item.task.name + " (" + item.name + ")";
    lock.unlock();
    item.run(*this, item);
    lock.lock();
    ++finished_;
    make_progress();
    changed_.notify_all();
  }
  lock.unlock();
  forget_stream(*this);
}

bool Stream::is_idle() {
  const std::lock_guard lock(mutex_);
  return finished_ == submitted_;
}

void Stream::wait_idle() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this, until = submitted_] { return finished_ >= until; });
}

void Stream::close() {
  bool idle = false;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    idle = !started_;
    changed_.notify_all();
  }
  if (idle) forget_stream(*this);
}

void Stream::set_waiting(std::string what) {
  const std::lock_guard lock(mutex_);
  waiting_ = std::move(what);
  make_progress();
}

std::string Stream::waiting(bool& busy) {
  const std::lock_guard lock(mutex_);
  busy = finished_ != submitted_;
  if (!busy || waiting_.empty()) return {};
  return name() + ", " + current_ + ": waits for " + waiting_;
}

}  // namespace pgram::emulation
