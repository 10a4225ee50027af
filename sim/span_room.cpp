#include "sim/span_room.h"

#include <atomic>
#include <new>

namespace pgram::sim {

/// Larger ones are seldom and not worth holding.
constexpr size_t kMostKept = (64 << 20) / sizeof(Span);

static std::shared_ptr<Span> make_room(size_t spans) {
  return {static_cast<Span*>(::operator new(spans * sizeof(Span))), [](Span* room) { ::operator delete(room); }};
}

std::shared_ptr<Span> SpanRoom::take(size_t spans) {
  if (spans > kMostKept) return make_room(spans);
  const bool is_free = room_.use_count() == 1;          // no timeline has it
  std::atomic_thread_fence(std::memory_order_acquire);  // whichever thread ended the last one
  if (!is_free || size_ < spans) {
    room_.reset();
    room_ = make_room(spans);
    size_ = spans;
  }
  return room_;
}

}  // namespace pgram::sim
