// Calls that went as others did: what was learned of one is known of all, without a look at their spans.
#include <algorithm>

#include "core/timeline/step_graph.h"

namespace pgram {

std::span<const AlikeCall> StepGraph::alike_calls(uint32_t rank) const {
  if (patterns_.empty()) return {};
  const auto range = std::ranges::equal_range(timeline_.alike, rank, {}, &AlikeCall::rank);
  return {range.begin(), range.end()};
}

/// From the first call of a pattern.
void StepGraph::learn(Pattern& pattern, uint32_t rank, std::span<const Span> computing) const {
  pattern.is_known = pattern.is_covered = true;
  const RoleOrder& order = this->order(rank);
  const uint32_t call = computing.front().call;
  for (size_t i = 1; i < computing.size() && pattern.is_covered; ++i) {
    const Picoseconds from = computing[i - 1].end, to = computing[i].start;
    if (from == to) continue;
    const uint16_t op = from < to ? lone_collective_before(computing[i], rank, from) : kNoOp;
    pattern.is_covered = op != kNoOp && order.op({call, op}).category == Category::tensor_comm;
    pattern.after_gaps.push_back(static_cast<uint16_t>(i));
    pattern.gaps += to - from;
  }
  const Picoseconds end = computing.back().end;
  pattern.length = end - computing.front().start;
  const auto [place, ops] = order.lane(call, Stream::tensor);
  if (!pattern.is_covered || !ops) return;
  const auto heads = order_.bodies().heads_of(*ops);
  const auto begin =
      std::ranges::find_if(heads, [&](uint64_t head) { return static_cast<uint16_t>(head) > computing.front().op; });
  pattern.first_tensor = static_cast<uint32_t>(begin - heads.begin());
  const Span* span = &spans_[ranks_[rank].first_span[static_cast<size_t>(Stream::tensor)] + place];
  for (span += pattern.first_tensor; pattern.first_tensor + pattern.num_tensor < ops->num_ops && span->end <= end;
       ++span) {
    ++pattern.num_tensor;
    pattern.tensor_time += span->end - span->start;
  }
}

/// `first`: the call's first compute span.
void StepGraph::add_covered(const AlikeCall& call, const Span& first, Compute& compute) {
  const Pattern& pattern = patterns_[call.pattern];
  const auto gap = static_cast<uint32_t>(after_gaps_.size()) - compute.gaps.first;
  covered_gaps_.push_back(
      {gap, static_cast<uint32_t>(pattern.after_gaps.size()), pattern.gaps, call.call, call.pattern});
  for (const uint16_t after : pattern.after_gaps) after_gaps_.push_back(index_of(first) + after);
  compute.idle += pattern.gaps;
}

/// Whether the spans are in the plan's order and end in it, as far as that must be asked; notes which are loose.
bool StepGraph::is_tensor_in_order(uint32_t rank, std::span<const Span> stream, Compute& compute) {
  const RoleOrder& order = this->order(rank);
  Reached reached{0, step().start};
  size_t done = 0;
  const auto go_on = [&](size_t until) {
    const auto loose = stream.subspan(done, until - done);
    if (!loose.empty()) loose_.push_back({index_of(loose.front()), static_cast<uint32_t>(loose.size())});
    return go_on_in_order(order, loose, reached);
  };
  for (const CoveredGaps& covered : covered_gaps(compute)) {
    const Pattern& pattern = patterns_[covered.pattern];
    if (pattern.num_tensor == 0) continue;
    const size_t first = order.lane(covered.call, Stream::tensor).place + pattern.first_tensor;
    if (!go_on(first)) return false;
    done = first + pattern.num_tensor;
    compute.tensor_time += pattern.tensor_time;
  }
  if (!go_on(stream.size())) return false;
  compute.loose.count = static_cast<uint32_t>(loose_.size()) - compute.loose.first;
  return true;
}

}  // namespace pgram
