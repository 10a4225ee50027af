// Signal: a counter that only grows, and threads that sleep until it reaches a value. AbortState wakes them all.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <limits>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

namespace pgram {

class Signal;

/// Thrown in whoever waits or issues once a run was aborted.
class Aborted : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// One per backend. The first reason wins; after it every wait throws Aborted.
class AbortState {
 public:
  void abort(const std::string& reason);
  bool aborted() const { return flag_.load(std::memory_order_acquire); }
  std::string reason() const;
  void check() const {
    if (aborted()) throw Aborted(reason());
  }

 private:
  friend class Signal;
  std::atomic<bool> flag_{false};
  mutable std::mutex mutex_;
  std::string reason_;
  std::vector<Signal*> signals_;
};

/// One writer (or writers that agree on an order), any number of waiters. Waiters spin `spins` times before they sleep:
/// 0 where threads outnumber cores, since a spinning thread would then hold the core that its peer needs.
class Signal {
 public:
  Signal(AbortState&, int spins);
  ~Signal();
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;

  uint64_t value() const { return value_.load(std::memory_order_acquire); }
  /// Publishes everything written before it.
  void set(uint64_t value);
  /// Returns once value() >= target. Throws Aborted.
  void wait(uint64_t target);
  /// The same, but an abort does not end it.
  void wait_even_if_aborted(uint64_t target);
  /// False if `milliseconds` passed first.
  bool wait_for(uint64_t target, int milliseconds);

 private:
  friend class AbortState;
  bool spin(uint64_t target) const;

  AbortState& abort_;
  const int spins_;
  std::atomic<uint64_t> value_{0};
  std::atomic<uint64_t> wanted_{std::numeric_limits<uint64_t>::max()};  ///< least target of the sleepers
  std::mutex mutex_;
  std::condition_variable changed_;
};

}  // namespace pgram
