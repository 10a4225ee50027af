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

std::string deadlock_text(const Plan& plan, const std::vector<Stuck>& stuck) {
  constexpr size_t kNamed = 6;
  std::string text = "deadlock: ";
  for (size_t i = 0; i < std::min(stuck.size(), kNamed); ++i) {
    const Stuck& s = stuck[i];
    text += (i ? "; " : "") + to_text(plan, s.task) + " waits on " + plan.comms[s.comm].name;
  }
  if (stuck.size() > kNamed) text += "; and " + std::to_string(stuck.size() - kNamed) + " more";
  return text;
}

}  // namespace pgram::sim
