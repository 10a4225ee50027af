// Room for spans.
#pragma once
#include <cstddef>
#include <memory>

#include "core/timeline/timeline.h"

namespace pgram::sim {

/// Takes the room of a timeline that is gone for the next one. For one thread.
class SpanRoom {
 public:
  /// Not initialised.
  std::shared_ptr<Span> take(size_t spans);

 private:
  std::shared_ptr<Span> room_;
  size_t size_ = 0;
};

}  // namespace pgram::sim
