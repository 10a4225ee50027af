// What compute and tensor streams did. Of calls that went as others did, what was learned of one is known of all,
// without a look at their spans.
#include <algorithm>

#include "core/timeline/step_graph.h"

namespace pgram {

std::span<const AlikeCall> StepGraph::alike_calls(uint32_t rank) const {
  if (patterns_.empty()) return {};
  const auto range = std::ranges::equal_range(timeline_.alike, rank, {}, &AlikeCall::rank);
  return {range.begin(), range.end()};
}

/// The first of its body that a task waits for, if it is a tensor collective of ranks of one role. Null if it is not.
inline const BodyOrders::OpOrder* StepGraph::tensor_collective_before(const RankTasks& tasks, const Span& span) const {
  const auto waits = order_.bodies().waits_of(tasks.op(span));
  if (waits.empty()) return nullptr;
  const BodyOrders::OpOrder& op = tasks.order->op({span.call, waits.front()});
  const bool is_one = op.in_role && op.category == Category::tensor_comm && is_communication(op.kernel);
  return is_one ? &op : nullptr;
}

/// The span of that, where it explains() the start of the task, waited for nobody and had all links for itself. Null
/// where it is not so. Only where the spans are in the plan's order, all ranks of the role are alike or the task is in
/// an AlikeCall, and the task before on the stream has ended earlier.
inline const Span* StepGraph::lone_before(const RankTasks& tasks, const Span& span,
                                          const BodyOrders::OpOrder& collective) const {
  const Span& before = *tasks.in_order(span.call, collective);
  return before.end >= span.start && !before.waits() && !is_contended(index_of(before)) ? &before : nullptr;
}

/// From the first call of a pattern; `first`: its first compute span.
void StepGraph::learn(Pattern& pattern, const AlikeCall& call, const Span& first) const {
  pattern.is_known = true;
  const RankTasks& tasks = this->tasks(call.rank);
  const BodyOrders::Lane* const computes = tasks.order->lane(call.call, Stream::compute).ops;
  const auto on_compute = tasks.on(Stream::compute);
  if (!computes || computes->num_ops > on_compute.data() + on_compute.size() - &first) return;
  pattern.num_compute = computes->num_ops;
  pattern.awaited = tensor_collective_before(tasks, first);
  pattern.category = computes->category;
  Picoseconds now = first.start;
  const Span* span = &first;
  for (const uint64_t head : order_.bodies().heads_of(*computes)) {
    if (span->call != call.call || span->head() != head || span->start < now) return;
    if (span->start > now) {
      const BodyOrders::OpOrder* const collective = tensor_collective_before(tasks, *span);
      const Span* const before = collective ? lone_before(tasks, *span, *collective) : nullptr;
      if (!before || before->start > now) return;
      pattern.gaps += span->start - now;
    }
    now = span++->end;
  }
  pattern.is_covered = true;
  pattern.length = now - first.start;
  const auto [place, ops] = tasks.order->lane(call.call, Stream::tensor);
  if (!ops) return;
  const auto heads = order_.bodies().heads_of(*ops);
  const auto begin = std::ranges::find_if(heads, [&](uint64_t head) { return static_cast<uint16_t>(head) > first.op; });
  pattern.tensor_lane = tasks.order->op({call.call, static_cast<uint16_t>(heads.front())}).lane;
  pattern.first_tensor = static_cast<uint32_t>(begin - heads.begin());
  span = tasks.on(Stream::tensor).data() + place + pattern.first_tensor;
  for (; pattern.first_tensor + pattern.num_tensor < ops->num_ops && span->end <= now; ++span) {
    ++pattern.num_tensor;
    pattern.tensor_time += span->end - span->start;
  }
}

/// Between `now` and the next span, which must end later than `now`. `before`: the lone collective before that, or
/// null.
inline bool StepGraph::note_gap(const Span& next, Picoseconds now, const Span* before, Compute& compute) {
  if (next.end < now) return false;
  if (next.start < now) {
    compute.disjoint = false;
    return true;
  }
  if (before) compute.covered += next.start - std::max(before->start, now);
  if (!before || before->start > now) gaps_.push_back({now, before ? before : &next});
  return true;
}

/// Whether the spans on compute and tensor streams are their tasks in the plan's order, end in it and, those that
/// compute, do not wait, as far as that must be asked; notes what the compute stream did, and which tensor spans are
/// loose. No communication must be on the compute stream.
bool StepGraph::calls_in_order(uint32_t rank, Compute& compute) {
  const RankTasks& tasks = this->tasks(rank);
  for (Pattern& pattern : patterns_) pattern.calls = 0;
  const auto on_compute = tasks.on(Stream::compute), on_tensor = tasks.on(Stream::tensor);
  const Span* loose = on_tensor.data();  // all before it is done
  Reached reached{0, step().start};
  const auto add_loose = [&](const Span* until) {
    if (loose == until) return true;
    const auto& spans = loose_.emplace_back(loose, until);
    return timeline_.in_plan_order || go_on_in_order(rank, Stream::tensor, spans, reached);
  };
  const auto alike = alike_calls(rank);
  const AlikeCall *next_alike = alike.data(), *const last_alike = next_alike + alike.size();
  const Picoseconds last_start = all_alike(tasks.role) ? step().end : step().start;  // after a lone collective
  const auto lone = [&](const Span& next, const BodyOrders::OpOrder* collective) {
    return collective && next.start <= last_start ? lone_before(tasks, next, *collective) : nullptr;
  };
  Picoseconds now = step().start;
  for (const Span *at = on_compute.data(), *const end = at + on_compute.size(); at < end;) {
    const uint32_t call = at->call;
    if (next_alike != last_alike && next_alike->call == call) {  // as each of them computes
      Pattern& pattern = patterns_[next_alike->pattern];
      if (!pattern.is_known) learn(pattern, *next_alike, *at);
      ++next_alike;
      if (pattern.is_covered) {
        if (at->start != now && !note_gap(*at, now, lone(*at, pattern.awaited), compute)) return false;
        ++pattern.calls;
        now = at->start + pattern.length;
        at += pattern.num_compute;
        if (pattern.num_tensor == 0) continue;
        const Span* const first =
            on_tensor.data() + tasks.order->place(call, pattern.tensor_lane) + pattern.first_tensor;
        if (!add_loose(first)) return false;
        loose = first + pattern.num_tensor;
        continue;
      }
    }
    const auto [place, ops] = tasks.order->lane(call, Stream::compute);
    if (!ops || place != at - on_compute.data() || ops->num_ops > end - at) return false;
    Picoseconds& busy = compute.busy[static_cast<size_t>(ops->category)];
    for (const uint64_t head : order_.bodies().heads_of(*ops)) {
      if (at->call != call || at->head() != head) return false;
      if (at->start != now && !note_gap(*at, now, lone(*at, tensor_collective_before(tasks, *at)), compute))
        return false;
      busy += at->end - at->start;
      now = at++->end;
    }
  }
  compute.disjoint &= now <= step().end;
  for (const Pattern& pattern : patterns_) {
    compute.covered_calls += pattern.calls;
    compute.covered += pattern.calls * pattern.gaps;
    compute.busy[static_cast<size_t>(pattern.category)] += pattern.calls * (pattern.length - pattern.gaps);
    compute.tensor_time += pattern.calls * pattern.tensor_time;
  }
  return add_loose(on_tensor.data() + on_tensor.size());
}

}  // namespace pgram
