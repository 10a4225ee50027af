#include "sim/span_room.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>

namespace pgram::sim {

/// Larger ones are seldom and not worth holding.
constexpr size_t kMostKept = (64 << 20) / sizeof(Span);
constexpr size_t kHugePage = 2 << 20;

/// Where it is large in huge pages, if the system has them to give: spans are read and written all over, and there are
/// few of them in an ordinary page.
static Span* make_room(size_t spans) {
  const size_t bytes = spans * sizeof(Span);
  if (bytes < kHugePage / 2) {
    if (void* const room = std::malloc(std::max<size_t>(bytes, 1))) return static_cast<Span*>(room);
    throw std::bad_alloc();
  }
  const size_t rounded = (bytes + kHugePage - 1) / kHugePage * kHugePage;
  void* const room = std::aligned_alloc(kHugePage, rounded);
  if (room == nullptr) throw std::bad_alloc();
  madvise(room, rounded, MADV_HUGEPAGE);
  return static_cast<Span*>(room);
}

struct SpanRoom::Shelf {
  std::mutex mutex;
  Span* room = nullptr;
  size_t size = 0;

  ~Shelf() { std::free(room); }
  /// The larger one stays.
  void put(Span* other, size_t other_size) {
    if (other_size <= kMostKept) {
      std::lock_guard lock(mutex);
      if (other_size > size) {
        std::swap(room, other);
        size = other_size;
      }
    }
    std::free(other);
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
  if (room == nullptr) room = make_room(spans);
  return {room, [shelf = shelf_, size](Span* mine) { shelf->put(mine, size); }};
}

}  // namespace pgram::sim
