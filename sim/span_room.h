// Room for spans.
#pragma once
#include <cstddef>
#include <memory>

#include "core/timeline/timeline.h"

namespace pgram::sim {

/// The room of a timeline that is gone, whichever thread ended it, is there for the next one.
class SpanRoom {
 public:
  /// Not initialised.
  std::shared_ptr<Span> take(size_t spans);

 private:
  struct Shelf;
  std::shared_ptr<Shelf> shelf_;  // outlives the timelines that have its room
};

}  // namespace pgram::sim
