// Virtual time, see clock.h.
#include "tests/emulation/runtime/clock.h"

#include <algorithm>
#include <atomic>
#include <utility>

namespace pgram::emulation {
namespace {

struct Model {
  std::mutex mutex;
  CostModel costs;
  std::atomic<bool> on = false;
  std::atomic<uint64_t> epoch = 0;
};
Model& model() {
  static auto& instance = *new Model;
  return instance;
}

Cost cost_of(const std::string& task, int device) {
  const std::lock_guard lock(model().mutex);
  return model().costs ? model().costs(task, device) : Cost{};
}

}  // namespace

bool virtual_clock_is_on() {
  return model().on;
}
uint64_t virtual_epoch() {
  return model().epoch;
}

void set_cost_model(CostModel costs) {
  const std::lock_guard lock(model().mutex);
  model().costs = std::move(costs);
  model().on = bool(model().costs);
}

void reset_virtual_clock() {
  set_cost_model({});
  ++model().epoch;
}

void StreamClock::begin_epoch() {
  if (epoch_ == virtual_epoch()) return;
  epoch_ = virtual_epoch();
  free_ = end_ = waited_ = 0;
  last_ = {};
  finished_.clear();
}

VirtualTime StreamClock::arrival() {
  const std::lock_guard lock(mutex_);
  begin_epoch();
  return std::max(free_, waited_);
}

void StreamClock::run(const TaskUse& task, std::optional<VirtualTime> begin) {
  if (!virtual_clock_is_on()) return;
  const std::lock_guard lock(mutex_);
  begin_epoch();
  const VirtualTime arrival = std::max(free_, waited_), start = begin.value_or(arrival);
  const bool first = !task.name.empty() && task != last_;
  const Cost cost = first ? cost_of(task.name, device_) : Cost{};
  free_ = start + cost.hold;
  if (first) {
    finish_current();
    last_ = task;
    end_ = free_ + cost.tail;
    current_ = {task.name, device_, stream_, arrival, start, end_};
  } else {  // more of the same task, or bookkeeping outside of any: what was to end later still does
    end_ = std::max(end_, free_);
    if (!task.name.empty()) current_.end = end_;
  }
}

void StreamClock::run_parts(std::vector<TaskPart> parts) {
  if (!virtual_clock_is_on()) return;
  std::sort(parts.begin(), parts.end(), [](const TaskPart& a, const TaskPart& b) { return a.task < b.task; });
  const std::lock_guard lock(mutex_);
  begin_epoch();
  finish_current();
  const VirtualTime arrival = std::max(free_, waited_);
  free_ = end_ = arrival;
  for (const TaskPart& part : parts) {
    const Cost cost = cost_of(part.task, device_);
    const VirtualTime free = part.begin + cost.hold, end = free + cost.tail;
    finished_.push_back({part.task, device_, stream_, arrival, part.begin, end});
    free_ = std::max(free_, free);
    end_ = std::max(end_, end);
  }
}

void StreamClock::finish_current() {
  if (!last_.name.empty()) finished_.push_back(current_);
  last_ = {};
}

void StreamClock::wait_until(VirtualTime time) {
  const std::lock_guard lock(mutex_);
  begin_epoch();
  waited_ = std::max(waited_, time);
}

VirtualTime StreamClock::recorded() {
  const std::lock_guard lock(mutex_);
  begin_epoch();
  return std::max(end_, waited_);
}

std::vector<TaskTime> StreamClock::take_times() {
  const std::lock_guard lock(mutex_);
  begin_epoch();
  finish_current();
  return std::exchange(finished_, {});
}

}  // namespace pgram::emulation
