#include "sim/event_queue.h"

namespace pgram::sim {

Event EventQueue::spread(Bucket& bucket) {
  auto event = bucket.events.begin();
  while (event->time != last_) push(*event++);
  const Event first = *event++;
  while (event != bucket.events.end()) push(*event++);
  bucket.events.clear();
  return first;
}

}  // namespace pgram::sim
