#include "core/plan/verify_clock.h"

#include <algorithm>

namespace pgram {

// Here and not in the header: within the loops of its callers compilers unroll it instead of using vectors.
void take_later(FinishedTasks& into, const FinishedTasks& other) {
  for (size_t s = 0; s < into.size(); ++s) into[s] = std::max(into[s], other[s]);
}

}  // namespace pgram
