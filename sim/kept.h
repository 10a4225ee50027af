// What a SimulationCache holds.
#pragma once
#include <cstddef>

#include "sim/folding.h"
#include "sim/recent.h"
#include "sim/span_room.h"
#include "sim/wirings.h"

namespace pgram::sim {

struct Kept {
  static constexpr size_t kMostBytes = 8 << 20;  // hundreds of layouts of a thousand devices
  Recent<Wirings> wirings{kMostBytes};
  Recent<Folding> foldings{kMostBytes};
  SpanRoom spans;
};

}  // namespace pgram::sim
