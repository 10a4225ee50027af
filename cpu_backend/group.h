// Groups of ranks that communicate through shared memory: collectives with a fixed order of summation (so that two runs
// are bit-equal), and channels for point-to-point.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/exec/backend.h"
#include "cpu_backend/signal.h"

namespace pgram {

/// What one member brings to an operation. k-th operation of a member meets the k-th of every other.
struct Arrival {
  const Launch* launch = nullptr;
  Picoseconds time = 0;
};

/// Members of one collective communicator. Each member calls run() from its own stream thread.
class Group {
 public:
  Group(AbortState&, int spins, uint32_t members);
  /// Performs this member's part; returns when its buffers may be reused. `now` is the arrival time of the caller;
  /// the result is when the last member arrived. RunError if the members do not bring the same operation. After Aborted
  /// other members may read the Launch still: it lives as long as their streams run.
  Picoseconds run(uint32_t member, const Launch&, Picoseconds now);

 private:
  /// The round-th meeting of all members.
  void meet(uint32_t member);
  void check_match(uint32_t member) const;
  void all_reduce(uint32_t member, bool maximum);
  void all_gather(uint32_t member);
  void reduce_scatter(uint32_t member);

  const uint32_t size_;
  std::vector<Arrival> arrivals_;
  std::vector<uint64_t> rounds_;      ///< by member; only its own thread touches it
  std::atomic<uint64_t> arrived_{0};  ///< over all rounds
  Signal round_;
  std::vector<float> scratch_;
};

/// A directed channel between two ranks; the receiver copies. Each end begins an operation and then ends it; in between
/// it may do the same on other channels, so that both directions of an exchange are open at once. The Launch lives
/// until the end.
class Channel {
 public:
  Channel(AbortState&, int spins);
  void begin_send(const Launch&, Picoseconds now);
  /// Waits until the receiver has copied. Returns when the later of the two had come.
  Picoseconds end_send(Picoseconds now);
  void begin_receive() { ++received_; }
  /// False if `milliseconds` passed and the sender has not come; 0 asks only.
  bool wait_for_sender(int milliseconds) { return posted_.wait_for(received_, milliseconds); }
  /// Waits for the sender and copies. The same result.
  Picoseconds end_receive(const Launch&, Picoseconds now);

 private:
  Arrival sender_, receiver_;
  uint64_t sent_ = 0, received_ = 0;  ///< each touched by its own end only
  Signal posted_, taken_;
};

}  // namespace pgram
