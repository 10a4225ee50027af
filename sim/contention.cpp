#include "sim/contention.h"

#include <algorithm>

namespace pgram::sim {

void ContentionLog::begin(Picoseconds now, uint32_t flow, const Task& task, std::span<const LinkUse> uses) {
  flows_[flow].task = task;
  flows_[flow].uses = uses;
  flows_[flow].met.clear();
  for (const LinkUse& use : uses) {
    std::vector<uint32_t>& here = on_link_[use.link];
    if (!here.empty() && here.back() == flow) continue;  // the link is twice in its uses
    for (uint32_t other : here) {
      meet(now, flow, other);
      meet(now, other, flow);
    }
    here.push_back(flow);
  }
}

void ContentionLog::meet(Picoseconds now, uint32_t a, uint32_t b) {
  std::vector<Meeting>& met = flows_[a].met;
  const auto running = [&](const Meeting& m) { return m.flow == b && m.until < 0; };
  if (met.size() < kMostMet && std::ranges::none_of(met, running)) met.push_back({b, flows_[b].task, now, -1});
}

const std::vector<ContentionLog::Loss>& ContentionLog::end(Picoseconds now, uint32_t flow, Picoseconds lost) {
  Flow& own = flows_[flow];
  for (const LinkUse& use : own.uses) std::erase(on_link_[use.link], flow);
  for (Meeting& m : own.met) {
    if (m.until >= 0) continue;
    m.until = now;
    for (Meeting& back : flows_[m.flow].met) {
      if (back.flow == flow && back.until < 0) back.until = now;
    }
  }
  return so_far(now, flow, lost);
}

const std::vector<ContentionLog::Loss>& ContentionLog::so_far(Picoseconds now, uint32_t flow, Picoseconds lost) {
  const std::vector<Meeting>& met = flows_[flow].met;
  const auto time = [&](const Meeting& m) { return (m.until < 0 ? now : m.until) - m.since; };
  Picoseconds together = 0;
  for (const Meeting& m : met) together += time(m);
  losses_.clear();
  Picoseconds left = lost;
  for (size_t i = 0; i < met.size() && lost > 0 && together > 0; ++i) {
    const double share = static_cast<double>(time(met[i])) / static_cast<double>(together);
    const bool last = i + 1 == met.size();
    const Picoseconds part = last ? left : std::min(left, static_cast<Picoseconds>(static_cast<double>(lost) * share));
    if (part > 0) losses_.push_back({met[i].task, part});
    left -= part;
  }
  return losses_;
}

}  // namespace pgram::sim
