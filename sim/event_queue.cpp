#include "sim/event_queue.h"

namespace pgram::sim {

void EventQueue::push_beyond(Bucket& bucket, Event event) {
  bucket.room = std::max(4u, 2 * bucket.room);
  auto events = std::make_unique_for_overwrite<Event[]>(bucket.room);
  std::copy_n(bucket.events.get(), bucket.size, events.get());
  bucket.events = std::move(events);
  push(event);
}

Event EventQueue::spread(Bucket& bucket) {
  const Event *event = bucket.events.get(), *const end = event + std::exchange(bucket.size, 0u);
  while (event->time != last_) push(*event++);
  const Event first = *event++;
  while (event != end) push(*event++);
  return first;
}

}  // namespace pgram::sim
