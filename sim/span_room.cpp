#include "sim/span_room.h"

#include <mutex>
#include <new>
#include <utility>

namespace pgram::sim {

/// Larger ones are seldom and not worth holding.
constexpr size_t kMostKept = (64 << 20) / sizeof(Span);

struct SpanRoom::Shelf {
  std::mutex mutex;
  Span* room = nullptr;
  size_t size = 0;

  ~Shelf() { ::operator delete(room); }
  /// The larger one stays.
  void put(Span* other, size_t other_size) {
    if (other_size <= kMostKept) {
      std::lock_guard lock(mutex);
      if (other_size > size) {
        std::swap(room, other);
        size = other_size;
      }
    }
    ::operator delete(other);
  }
};

std::shared_ptr<Span> SpanRoom::take(size_t spans) {
  if (!shelf_) shelf_ = std::make_shared<Shelf>();
  Span* room = nullptr;
  size_t size = spans;
  {
    std::lock_guard lock(shelf_->mutex);
    if (shelf_->size >= spans && shelf_->room != nullptr) {
      room = std::exchange(shelf_->room, nullptr);
      size = std::exchange(shelf_->size, 0);
    }
  }
  if (room == nullptr) room = static_cast<Span*>(::operator new(spans * sizeof(Span)));
  return {room, [shelf = shelf_, size](Span* mine) { shelf->put(mine, size); }};
}

}  // namespace pgram::sim
