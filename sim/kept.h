// What a SimulationCache holds.
#pragma once
#include <cstddef>
#include <memory>

#include "sim/folding.h"
#include "sim/link_facts.h"
#include "sim/recent.h"
#include "sim/shared_links.h"
#include "sim/span_room.h"
#include "sim/wirings.h"

namespace pgram::sim {

/// The key keeps the folding too.
struct LinksOfFolding {
  std::shared_ptr<const Folding> folding;
  SharedLinks links;
  size_t bytes() const { return folding->bytes() + links.bytes(); }
};

struct Kept {
  static constexpr size_t kMost = 256, kMostBytes = 8 << 20;  // 20 KB are a layout of 512 devices
  Recent<Wirings> wirings{kMost, kMostBytes};
  Recent<Folding> foldings{kMost, kMostBytes};
  Recent<LinksOfFolding> links{kMost, kMostBytes};
  LinkFacts link_facts;
  SpanRoom spans;
};

}  // namespace pgram::sim
