#include "sim/problem.h"

#include <algorithm>
#include <array>

namespace pgram::sim {

bool ends_in_order(const Plan& plan, const Usage& usage) {
  for (const std::vector<uint16_t>& bodies : usage.bodies) {  // of each role
    std::array<const Op*, kStreams> some{};                   // of each stream
    std::array<bool, kStreams> receives{};
    for (uint16_t b : bodies) {
      if (plan.bodies[b].grouped) return false;
      for (const Op& op : plan.bodies[b].ops) {
        const size_t stream = static_cast<size_t>(op.stream);
        receives[stream] = receives[stream] || op.kernel == Kernel::recv;
        if (!some[stream]) some[stream] = &op;
        const Op& first = *some[stream];
        const bool alike = first.kernel == op.kernel && first.comm == op.comm && first.bytes == op.bytes;
        if (receives[stream] && !alike) return false;
      }
    }
  }
  return true;
}

}  // namespace pgram::sim
