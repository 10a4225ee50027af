// Future events by time.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "core/base/units.h"

namespace pgram::sim {

struct Event {
  Picoseconds time = std::numeric_limits<Picoseconds>::max();
  uint64_t what = 0;
};

/// A heap of four children per node: half as deep as a binary one, and the four lie in one cache line. Events of equal
/// time leave in an order that depends only on what came before, the same in every run.
class EventQueue {
 public:
  bool empty() const { return end_ == kRoot; }
  const Event& next() const { return at(kRoot); }

  void push(Event event) {
    if (end_ + 4 > 4 * lines_.size()) lines_.resize(2 * lines_.size());
    size_t hole = end_++;
    for (; hole > kRoot; hole = parent(hole)) {
      const Event& above = at(parent(hole));
      if (above.time <= event.time) break;
      at(hole) = above;
    }
    at(hole) = event;
  }

  Event pop() {
    const Event first = at(kRoot), last = at(--end_);
    at(end_) = Event();
    if (!empty()) sink(last);
    return first;
  }

 private:
  /// Last in its line, so that siblings fill the lines after it: 4 to 7, 8 to 11 ...
  static constexpr size_t kRoot = 3;
  struct alignas(64) Line {
    std::array<Event, 4> events;
  };
  static size_t parent(size_t i) { return i / 4 + 2; }
  static size_t first_child(size_t i) { return 4 * (i - 2); }
  Event& at(size_t i) { return lines_[i / 4].events[i % 4]; }
  const Event& at(size_t i) const { return lines_[i / 4].events[i % 4]; }

  /// Places past the end are later than all events, so that there are always four children, compared in pairs: which is
  /// the least is no pattern that a processor could guess.
  void sink(Event event) {
    size_t hole = kRoot;
    for (size_t child = first_child(hole); child < end_; child = first_child(hole)) {
      const std::array<Event, 4>& four = lines_[child / 4].events;
      const size_t a = four[1].time < four[0].time ? 1 : 0, b = four[3].time < four[2].time ? 3 : 2;
      const size_t least = four[b].time < four[a].time ? b : a;
      if (four[least].time >= event.time) break;
      at(hole) = four[least];
      hole = child + least;
    }
    at(hole) = event;
  }

  std::vector<Line> lines_ = std::vector<Line>(16);
  size_t end_ = kRoot;
};

}  // namespace pgram::sim
