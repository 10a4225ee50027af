// Virtual time: max-plus per stream, from a cost model. Off, nothing here counts.
#pragma once
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "tests/emulation/control.h"

namespace pgram::emulation {

bool virtual_clock_is_on();
/// Raised by reset_virtual_clock(): times of an earlier epoch count as 0.
uint64_t virtual_epoch();
void set_cost_model(CostModel);
void reset_virtual_clock();

/// One use of an NVTX range: a later one of the same name is another task.
struct TaskUse {
  std::string name;
  uint64_t number = 0;
  bool operator==(const TaskUse&) const = default;
};

/// One of several tasks that an operation is of, see Running::part.
struct TaskPart {
  std::string task;
  VirtualTime begin = 0;
};

/// Virtual time of one stream.
///
///   arrival = max(free, times of events waited for)      start = begin_at(), or arrival
///   free    = start + hold                               end   = free + tail
///
/// The next operation begins from `free`, not from `end`: the tail is a latency that does not occupy the stream. An
/// event recorded here has the time of `end`, or of what was waited for if that is later.
class StreamClock {
 public:
  StreamClock(int device, uint64_t stream) : device_(device), stream_(stream) {}

  VirtualTime arrival();
  void run(const TaskUse&, std::optional<VirtualTime> begin);
  /// An operation of several tasks: the stream is held until the last one lets go, and ends when the last one ends.
  void run_parts(std::vector<TaskPart>);
  void wait_until(VirtualTime);
  VirtualTime recorded();
  std::vector<TaskTime> take_times();

 private:
  void begin_epoch();
  void finish_current();

  std::mutex mutex_;
  int device_;
  uint64_t stream_, epoch_ = 0;
  VirtualTime free_ = 0, end_ = 0, waited_ = 0;
  TaskUse last_;
  TaskTime current_;                ///< of last_, if that has a name
  std::vector<TaskTime> finished_;  ///< tasks before that
};

}  // namespace pgram::emulation
