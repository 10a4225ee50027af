#include "cpu_backend/signal.h"

#include <algorithm>
#include <chrono>

namespace pgram {
namespace {

constexpr uint64_t kNobody = std::numeric_limits<uint64_t>::max();

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

void AbortState::abort(const std::string& reason) {
  std::lock_guard lock(mutex_);
  if (flag_.load(std::memory_order_relaxed)) return;
  reason_ = reason;
  flag_.store(true, std::memory_order_release);
  for (Signal* signal : signals_) {
    // The lock orders this after a sleeper's check of the flag, so that no wake-up is lost.
    std::lock_guard sleeping(signal->mutex_);
    signal->changed_.notify_all();
  }
}

std::string AbortState::reason() const {
  std::lock_guard lock(mutex_);
  return reason_;
}

Signal::Signal(AbortState& abort, int spins) : abort_(abort), spins_(spins) {
  std::lock_guard lock(abort_.mutex_);
  abort_.signals_.push_back(this);
}

Signal::~Signal() {
  std::lock_guard lock(abort_.mutex_);
  std::erase(abort_.signals_, this);
}

void Signal::set(uint64_t value) {
  // Sequentially consistent with the sleeper's "announce wanted_, then look at value_": one of the two sees the other.
  value_.store(value);
  if (wanted_.load() > value) return;
  {
    std::lock_guard lock(mutex_);
    wanted_.store(kNobody);
  }
  changed_.notify_all();  // without the lock, so that the woken need not wait for it
}

bool Signal::spin(uint64_t target) const {
  for (int i = 0; i <= spins_; ++i) {
    if (value() >= target) return true;
    relax();
  }
  return false;
}

void Signal::wait(uint64_t target) {
  if (spin(target)) return;
  std::unique_lock lock(mutex_);
  while (true) {
    wanted_.store(std::min(wanted_.load(), target));
    if (value_.load() >= target) return;
    if (abort_.aborted()) break;
    changed_.wait(lock);
  }
  lock.unlock();
  abort_.check();
}

void Signal::wait_even_if_aborted(uint64_t target) {
  if (spin(target)) return;
  std::unique_lock lock(mutex_);
  while (true) {
    wanted_.store(std::min(wanted_.load(), target));
    if (value_.load() >= target) return;
    changed_.wait(lock);
  }
}

bool Signal::wait_for(uint64_t target, int milliseconds) {
  if (spin(target)) return true;
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
  std::unique_lock lock(mutex_);
  while (true) {
    wanted_.store(std::min(wanted_.load(), target));
    if (value_.load() >= target) return true;
    if (abort_.aborted()) break;
    if (changed_.wait_until(lock, end) == std::cv_status::timeout) return value_.load() >= target;
  }
  lock.unlock();
  abort_.check();
  return false;
}

}  // namespace pgram
