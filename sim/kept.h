// What a SimulationCache holds.
#pragma once
#include <cstddef>

#include "sim/folding.h"
#include "sim/link_facts.h"
#include "sim/recent.h"
#include "sim/span_room.h"
#include "sim/wirings.h"

namespace pgram::sim {

struct Kept {
  static constexpr size_t kMost = 256, kMostBytes = 8 << 20;  // 20 KB are a layout of 512 devices
  Recent<Wirings> wirings{kMost, kMostBytes};
  Recent<Folding> foldings{kMost, kMostBytes};
  LinkFacts link_facts;
  SpanRoom spans;
};

}  // namespace pgram::sim
