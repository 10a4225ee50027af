// Future events by time.
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <limits>
#include <memory>
#include <utility>

#include "core/base/units.h"

namespace pgram::sim {

struct Event {
  Picoseconds time = 0;
  uint64_t what = 0;
};

/// For events that are never before the last one that left: a radix heap (Ahuja, Mehlhorn, Orlin and Tarjan 1990). An
/// event lies by the highest bit in which its time differs from that one's, so that events of equal time, of which
/// alike ranks make many, are never compared, and others seldom. Events of equal time leave in the order in which they
/// came.
class EventQueue {
 public:
  bool empty() const { return filled_ == 0; }
  Picoseconds next_time() const { return buckets_[std::countr_zero(filled_)].least; }

  void push(Event event) {
    // The highest bit of the difference, counted from 1; 0 where there is none.
    const int place = 63 - std::countl_zero(static_cast<uint64_t>(event.time ^ last_) << 1 | 1);
    Bucket& bucket = buckets_[place];
    if (bucket.size == bucket.room) [[unlikely]]
      return push_beyond(bucket, event);
    bucket.least = std::min(bucket.least, event.time);
    bucket.events[bucket.size++] = event;
    filled_ |= uint64_t{1} << place;
  }

  Event pop() {
    if (filled_ & 1) return pop_next();
    Bucket& bucket = buckets_[std::countr_zero(filled_)];
    filled_ &= filled_ - 1;
    last_ = std::exchange(bucket.least, kNever);
    if (bucket.size > 1) return spread(bucket);
    bucket.size = 0;
    return bucket.events[0];
  }

 private:
  struct alignas(32) Bucket {
    Picoseconds least = kNever;
    std::unique_ptr<Event[]> events;
    uint32_t size = 0, room = 0;
  };
  static constexpr Picoseconds kNever = std::numeric_limits<Picoseconds>::max();

  /// Of several at `last_`.
  Event pop_next() {
    Bucket& bucket = buckets_[0];
    const Event first = bucket.events[left_++];
    if (left_ == bucket.size) {
      bucket.size = 0;
      bucket.least = kNever;
      left_ = 0;
      filled_ &= ~uint64_t{1};
    }
    return first;
  }
  /// Makes room first. Apart from push(), which is small without it.
  void push_beyond(Bucket&, Event);
  /// The first of the earliest events leaves, and those beside it go to the buckets before theirs.
  Event spread(Bucket&);

  std::array<Bucket, 64> buckets_;  // the first: those at `last_`, but for one that has left
  uint64_t filled_ = 0;             // buckets, as bits
  uint32_t left_ = 0;               // so many of the first bucket
  Picoseconds last_ = 0;
};

}  // namespace pgram::sim
