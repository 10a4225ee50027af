#include "sim/event_queue.h"

namespace pgram::sim {

Event EventQueue::pop_next(Bucket& bucket) {
  const Event first = bucket.events[left_++];
  if (left_ == bucket.events.size()) {
    bucket.events.clear();
    bucket.least = kNever;
    left_ = 0;
    filled_ &= ~uint64_t{1};
  }
  return first;
}

Event EventQueue::spread(Bucket& bucket) {
  auto event = bucket.events.begin();
  while (event->time != last_) push(*event++);
  const Event first = *event++;
  while (event != bucket.events.end()) push(*event++);
  bucket.events.clear();
  return first;
}

}  // namespace pgram::sim
