#include "core/plan/link_clock.h"

namespace pgram {

// Here and not in the header: within the loops of its callers compilers unroll it instead of using vectors.
void join(LinkClock& into, const LinkClock& other) {
  for (int s = 0; s < kClockLanes; ++s) into[s] = std::max(into[s], other[s]);
}

}  // namespace pgram
