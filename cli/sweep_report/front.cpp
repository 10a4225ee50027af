#include "cli/sweep_report/front.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <numeric>
#include <tuple>

#include "cli/sweep_report/choice.h"

namespace pgram::sweep_report {

Objectives objectives_of(const Row& row) {
  return {row.outcome.figures.step_seconds, cost_of(row), -row.outcome.figures.memory_headroom};
}

bool dominates(const Objectives& a, const Objectives& b) {
  return a.step <= b.step && a.cost <= b.cost && a.less_headroom <= b.less_headroom && a != b;
}

std::vector<FrontMember> pareto_front(const std::vector<Objectives>& all) {
  std::vector<size_t> order(all.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const auto key = [&](size_t i) { return std::tuple(all[i].step, all[i].cost, all[i].less_headroom, i); };
    return key(a) < key(b);
  });
  // Whatever beats a case comes before it. Of the cases so far only cost and headroom matter, and of these only the
  // stairs: the higher the cost, the less is `less_headroom`.
  std::map<double, double> stairs;
  std::vector<FrontMember> front;
  for (const size_t i : order) {
    const Objectives& candidate = all[i];
    if (!front.empty() && all[front.back().index] == candidate) {
      ++front.back().equals;
      continue;
    }
    auto above = stairs.upper_bound(candidate.cost);
    if (above != stairs.begin() && std::prev(above)->second <= candidate.less_headroom) continue;
    while (above != stairs.end() && above->second >= candidate.less_headroom) above = stairs.erase(above);
    stairs[candidate.cost] = candidate.less_headroom;
    front.push_back({i, 0});
  }
  return front;
}

}  // namespace pgram::sweep_report
