// Future events by time.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/base/units.h"

namespace pgram::sim {

struct Event {
  Picoseconds time = 0;
  uint64_t what = 0;
};

/// A heap of four children per node: half as deep as a binary one, and the four lie in one cache line. Events of equal
/// time leave in an order that depends only on what came before, the same in every run.
class EventQueue {
 public:
  bool empty() const { return heap_.empty(); }
  Picoseconds next_time() const { return heap_.front().time; }

  void push(Event event) {
    size_t hole = heap_.size();
    heap_.push_back(event);
    for (; hole > 0; hole = (hole - 1) / 4) {
      const Event& parent = heap_[(hole - 1) / 4];
      if (parent.time <= event.time) break;
      heap_[hole] = parent;
    }
    heap_[hole] = event;
  }

  Event pop() {
    const Event first = heap_.front(), last = heap_.back();
    heap_.pop_back();
    if (!heap_.empty()) sink(last);
    return first;
  }

 private:
  void sink(Event event) {
    const size_t size = heap_.size();
    size_t hole = 0;
    for (size_t child = 1; child < size; child = 4 * hole + 1) {
      size_t least = child;
      for (size_t i = child + 1, last = std::min(child + 4, size); i < last; ++i) {
        least = heap_[i].time < heap_[least].time ? i : least;
      }
      if (heap_[least].time >= event.time) break;
      heap_[hole] = heap_[least];
      hole = least;
    }
    heap_[hole] = event;
  }

  std::vector<Event> heap_;
};

}  // namespace pgram::sim
