#include "core/timeline/summary.h"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <ranges>

#include "core/base/errors.h"
#include "core/timeline/lookup.h"
#include "core/timeline/step_graph.h"
#include "core/timeline/text_table.h"

namespace pgram {
namespace {

struct Stretch {
  Picoseconds start = 0, end = 0;
};

/// The idle time of a rank, of which stretches are taken. It is kept in two parts, before and after the last one, so
/// that one which comes soon after, or a little before, costs no search.
class IdleTime {
 public:
  void clear() {
    before_.clear();
    after_.clear();
  }
  /// Before all that there is.
  void add_before(Picoseconds start, Picoseconds end) {
    if (start < end) after_.push_back({start, end});
  }
  /// How much there was of it.
  Picoseconds take(Picoseconds start, Picoseconds end) {
    while (!before_.empty() && before_.back().end > start) move(before_, after_);
    while (!after_.empty() && after_.back().end <= start) move(after_, before_);
    Picoseconds taken = 0;
    while (!after_.empty() && after_.back().start < end) {
      Stretch& next = after_.back();
      taken += std::min(next.end, end) - std::max(next.start, start);
      if (next.start < start) before_.push_back({next.start, start});
      if (next.end > end) {
        next.start = end;
        break;
      }
      after_.pop_back();
    }
    return taken;
  }

 private:
  using Stretches = std::vector<Stretch>;
  static void move(Stretches& from, Stretches& to) {
    to.push_back(from.back());
    from.pop_back();
  }

  Stretches before_, after_;  // the latest of those before, the first of those after at the back
};

/// What a sum needs to know of an op, looked up once per body.
struct OpKind {
  uint8_t category = 0;
  bool communicates = false;
};

class OpKinds {
 public:
  explicit OpKinds(const Plan& plan) : plan_(plan) {
    for (const Body& body : plan.bodies) {
      first_.push_back(kinds_.size());
      for (const Op& op : body.ops)
        kinds_.push_back({static_cast<uint8_t>(category_of(body, op)), is_communication(op.kernel)});
    }
  }
  /// Of the ops of a call.
  const OpKind* of(const Call& call) const { return kinds_.data() + first_[call.body]; }
  const Call* calls(uint32_t rank) const { return plan_.programs[plan_.role(rank)].calls.data(); }

 private:
  const Plan& plan_;
  std::vector<size_t> first_;  // by body
  std::vector<OpKind> kinds_;
};

using Times = std::array<Picoseconds, kCategories>;

/// Of one rank after the other, as the room for their stretches is used again.
class RankSummariser {
 public:
  /// The graph may be null.
  RankSummariser(const Timeline& timeline, const Step& step, const StepGraph* graph)
      : step_(step), graph_(graph), kinds_(*timeline.plan) {}

  RankSummary run(std::span<const Span> spans, uint32_t rank) {
    RankSummary summary;
    summary.rank = rank;
    calls_ = kinds_.calls(rank);
    idle_.clear();
    for (std::vector<Stretch>& stretches : communication_) stretches.clear();
    std::span<const Span> computing;
    if (!spans.empty() && spans.front().stream == static_cast<uint8_t>(Stream::compute)) {
      computing = of_first_stream(spans);
      spans = spans.subspan(computing.size());
    }
    const StepGraph::Compute* known = graph_ ? graph_->compute(rank) : nullptr;
    if (known && !known->disjoint) known = nullptr;
    if (known)
      add_known(*known, computing, summary);
    else
      add_computing(computing, summary);
    summary.idle = step_.end - step_.start - summary.busy;

    const auto note = [&](OpKind kind, Picoseconds from, Picoseconds to) {
      if (kind.communicates) communication_[kind.category].push_back({from, to});
    };
    if (known && !spans.empty() && spans.front().stream == static_cast<uint8_t>(Stream::tensor)) {
      for (const auto& [first, count] : graph_->loose_tensor_spans(*known))
        add_works(graph_->spans().subspan(first, count), summary.time, note);
      spans = spans.subspan(of_first_stream(spans).size());
    }
    add_works(spans, summary.time, note);
    // What one category took of the idle time is taken away, so that the categories add up to at most the idle time.
    for (size_t category = 0; category < kCategories; ++category) {
      Picoseconds taken = 0;
      for (const auto& [start, end] : communication_[category]) taken += idle_.take(start, end);
      summary.exposed[category] += taken;
    }
    return summary;
  }

 private:
  /// What a StepGraph found already.
  void add_known(const StepGraph::Compute& compute, std::span<const Span> computing, RankSummary& summary) {
    summary.busy_with = summary.time = compute.busy;
    summary.busy = std::accumulate(compute.busy.begin(), compute.busy.end(), Picoseconds{0});
    if (!computing.empty()) summary.span_idle = computing.back().end - computing.front().start - summary.busy;
    idle_.add_before(computing.empty() ? step_.start : computing.back().end, step_.end);
    const auto after_gaps = graph_->after_gaps(compute);
    size_t gap = after_gaps.size();
    const auto add_down_to = [&](size_t first) {
      while (gap > first) {
        const Span& span = graph_->spans()[after_gaps[--gap]];
        idle_.add_before(&span == computing.data() ? step_.start : (&span)[-1].end, span.start);
      }
    };
    // Of the categories that communicate tensor_comm is the first, so that it has what is covered.
    const auto tensor = static_cast<size_t>(Category::tensor_comm);
    for (const StepGraph::CoveredGaps& covered : std::views::reverse(graph_->covered_gaps(compute))) {
      add_down_to(covered.first + covered.count);
      gap = covered.first;
      summary.exposed[tensor] += covered.time;
    }
    add_down_to(0);
    summary.time[tensor] += compute.tensor_time;
  }

  void add_computing(std::span<const Span> computing, RankSummary& summary) {
    idle_.add_before(step_.start, step_.end);
    Picoseconds first = step_.end, last = step_.start;
    add_works(computing, summary.time, [&](OpKind kind, Picoseconds from, Picoseconds to) {
      summary.busy += idle_.take(from, to);
      first = std::min(first, from);
      if (to <= last) return;
      summary.busy_with[kind.category] += to - std::max(from, last);
      last = to;
    });
    if (first < last) summary.span_idle = last - first - summary.busy;
  }

  /// Calls `visit` with what streams were at work on within the step, and adds up all times by category. Waiting for
  /// another member is idleness with another cause, not what the communication cost.
  template <class Visit>
  void add_works(std::span<const Span> spans, Times& times, Visit&& visit) {
    for (const Span& span : spans) {
      const OpKind kind = kinds_.of(calls_[span.call])[span.op];
      times[kind.category] += span.end - span.start;
      const Picoseconds from = std::max(span.start + span.wait(), step_.start), to = std::min(span.end, step_.end);
      if (from < to) visit(kind, from, to);
    }
  }

  const Step& step_;
  const StepGraph* graph_;
  OpKinds kinds_;
  const Call* calls_ = nullptr;
  IdleTime idle_;
  std::array<std::vector<Stretch>, kCategories> communication_;  // by category
};

/// A number among the facts of the timeline or else of its plan; 0 when there is none.
double number_fact(const Timeline& timeline, const std::string& key) {
  for (const auto* facts : {&timeline.facts, &timeline.plan->facts}) {
    const auto found = facts->find(key);
    if (found == facts->end()) continue;
    double value = 0;
    const char* end = found->second.data() + found->second.size();
    const auto [rest, error] = std::from_chars(found->second.data(), end, value);
    if (error == std::errc() && rest == end && value > 0 && value < 1e300) return value;
  }
  return 0;
}

void add_peak_memory(const Timeline& timeline, Summary& summary) {
  std::vector<Bytes> peak(timeline.plan->mesh.ranks(), 0);
  std::vector<char> of_memory;  // by counter
  for (const std::string& name : timeline.counter_names) of_memory.push_back(name == "memory");
  for (const CounterSample& sample : timeline.counters) {
    if (!of_memory[sample.counter] || sample.value < 0) continue;
    peak[sample.rank] = std::max(peak[sample.rank], static_cast<Bytes>(sample.value));
  }
  for (RankSummary& rank : summary.ranks) rank.peak_memory = peak[rank.rank];
  const auto highest = std::ranges::max_element(peak);
  summary.peak_memory = *highest;
  summary.peak_memory_rank = static_cast<uint32_t>(highest - peak.begin());
}

void add_bubbles(const Timeline& timeline, Summary& summary) {
  const auto represented = represented_ranks(timeline);
  double idle = 0, busy = 0, span_idle = 0, ranks = 0;
  for (const RankSummary& rank : summary.ranks) {
    const double weight = represented[rank.rank];
    idle += weight * static_cast<double>(rank.idle);
    busy += weight * static_cast<double>(rank.busy);
    span_idle += weight * static_cast<double>(rank.span_idle);
    ranks += weight;
  }
  const double makespan = ranks * static_cast<double>(summary.step_time);
  summary.bubble_of_total = share_of(idle, makespan);
  summary.bubble_of_ideal = share_of(idle, busy);
  summary.span_idle_of_total = share_of(span_idle, makespan);
}

void add_rates(const Timeline& timeline, Summary& summary) {
  const double seconds = to_seconds(summary.step_time);
  summary.tokens_per_second = share_of(number_fact(timeline, "tokens_per_step"), seconds);
  const double peak_flops = number_fact(timeline, "peak_flops_per_rank") * timeline.plan->mesh.ranks();
  summary.model_flops_utilisation = share_of(number_fact(timeline, "flops_per_step"), seconds * peak_flops);

  std::vector<Picoseconds> times;
  for (const Step& step : timeline.steps) times.push_back(step.end - step.start);
  std::ranges::sort(times);
  const auto quantile = [&](double q) {
    return times[static_cast<size_t>(q * static_cast<double>(times.size() - 1) + 0.5)];
  };
  summary.step_time_spread =
      share_of(static_cast<double>(quantile(0.9) - quantile(0.1)), static_cast<double>(summary.step_time));
}

Summary summarise(const Timeline& timeline, const StepGraph* graph) {
  if (timeline.steps.empty()) throw InputError("timeline", "holds no step, expected at least one");
  Summary summary;
  summary.step = timeline.median_step();
  summary.step_time = timeline.median_step_time();
  const auto spans = timeline.of_step(summary.step);
  if (!spans.empty()) {  // else a simulation that kept no spans: nothing is known of its ranks
    RankSummariser ranks(timeline, timeline.steps[summary.step], graph);
    for (uint32_t rank = 0; rank < timeline.plan->mesh.ranks(); ++rank) {
      if (timeline.representative_of(rank) == rank) summary.ranks.push_back(ranks.run(of_rank(spans, rank), rank));
    }
  }
  add_peak_memory(timeline, summary);
  add_bubbles(timeline, summary);
  add_rates(timeline, summary);
  return summary;
}

}  // namespace

Summary summarise(const Timeline& timeline) {
  return summarise(timeline, nullptr);
}

Summary summarise(const StepGraph& graph) {
  return summarise(graph.timeline(), &graph);
}

}  // namespace pgram
