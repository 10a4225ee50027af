// Busy and exposed time of a rank by sorting all stretches and taking them apart: the oracle of summarise().
#pragma once
#include <algorithm>
#include <array>
#include <span>
#include <utility>
#include <vector>

#include "core/timeline/lookup.h"
#include "core/timeline/summary.h"

namespace pgram::test {

inline RankSummary slow_rank_summary(const TaskLookup& lookup, const Step& step, std::span<const Span> spans,
                                     uint32_t rank) {
  using Stretches = std::vector<std::pair<Picoseconds, Picoseconds>>;
  RankSummary summary;
  summary.rank = rank;
  std::array<Stretches, kCategories + 1> by_category;  // communication; the last: compute
  Picoseconds busy_until = step.start;
  std::vector<Picoseconds> cuts{step.start, step.end};
  for (const Span& span : spans) {
    const size_t category = static_cast<size_t>(lookup.category(span));
    summary.time[category] += span.end - span.start;
    const Picoseconds from = std::max(span.start + span.wait(), step.start), to = std::min(span.end, step.end);
    if (from >= to) continue;
    const bool computes = span.stream == static_cast<uint8_t>(Stream::compute);
    if (computes && to > busy_until) {
      summary.busy_with[category] += to - std::max(from, busy_until);
      busy_until = to;
    }
    if (!computes && !is_communication(lookup.op(span).kernel)) continue;
    by_category[computes ? kCategories : category].push_back({from, to});
    cuts.insert(cuts.end(), {from, to});
  }
  std::ranges::sort(cuts);
  std::array<size_t, kCategories + 1> next{};
  for (Stretches& stretches : by_category) std::ranges::sort(stretches);
  std::array<Picoseconds, kCategories + 1> until;  // the latest end of what has begun
  until.fill(step.start);
  Picoseconds first = step.end, last = step.start;
  for (size_t cut = 0; cut + 1 < cuts.size(); ++cut) {
    const Picoseconds from = cuts[cut], to = cuts[cut + 1];
    for (size_t c = 0; c <= kCategories; ++c) {
      for (; next[c] < by_category[c].size() && by_category[c][next[c]].first <= from; ++next[c])
        until[c] = std::max(until[c], by_category[c][next[c]].second);
    }
    if (until[kCategories] > from) {
      summary.busy += to - from;
      first = std::min(first, from);
      last = std::max(last, to);
      continue;
    }
    for (size_t c = 0; c < kCategories; ++c) {  // the first category that is under way counts
      if (until[c] <= from) continue;
      summary.exposed[c] += to - from;
      break;
    }
  }
  summary.idle = step.end - step.start - summary.busy;
  if (summary.busy > 0) summary.span_idle = last - first - summary.busy;
  return summary;
}

}  // namespace pgram::test
