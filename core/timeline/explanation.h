// Why a step takes as long as it does, in short: idle time by reason and the critical path by kind of work.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "core/timeline/critical_path.h"
#include "core/timeline/idle.h"

namespace pgram {

struct Explanation {
  IdleSummary idle;
  CriticalPath path;
};
/// Of the median step. A timeline that kept no spans has an empty explanation.
Explanation explain(const Timeline&);

/// What there is of it, as rows of label and share of the step. Those of the path add up to one.
using ShareRows = std::vector<std::pair<std::string, double>>;
ShareRows idle_rows(const Timeline&, const Explanation&);
ShareRows path_rows(const Timeline&, const Explanation&);

std::string explanation_to_text(const Timeline&, const Explanation&);
/// Sums of every rank that has spans of its own, their mean, and the path with all its segments.
std::string explanation_to_json(const Timeline&, const Explanation&);

/// Two explanations side by side, under the names of their columns.
std::string explanations_to_text(const Timeline& a, const Timeline& b, const std::string& name_a,
                                 const std::string& name_b);

}  // namespace pgram
