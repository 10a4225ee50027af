#include "sim/problem.h"

#include <algorithm>

namespace pgram::sim {

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
