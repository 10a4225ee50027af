// The Pareto front of step time, memory headroom and cost: the cases that no other beats.
#pragma once
#include <cstddef>
#include <vector>

#include "cli/sweep_report/study.h"

namespace pgram::sweep_report {

/// All three are better when smaller; infinite where not known.
struct Objectives {
  double step = 0, cost = 0, less_headroom = 0;
  bool operator==(const Objectives&) const = default;
};
Objectives objectives_of(const Row&);

/// Whether a is nowhere worse than b and somewhere better.
bool dominates(const Objectives& a, const Objectives& b);

struct FrontMember {
  size_t index = 0;   ///< of the case; of equal ones the first
  size_t equals = 0;  ///< others with the very same figures
};
/// Exact, in O(n log n); by step time, then cost, then headroom.
std::vector<FrontMember> pareto_front(const std::vector<Objectives>&);

}  // namespace pgram::sweep_report
