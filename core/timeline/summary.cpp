#include "core/timeline/summary.h"

#include <algorithm>
#include <charconv>
#include <limits>
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

/// The idle time of a rank, of which stretches are taken. It is kept in two parts, before and after the last one, at
/// the two ends of one room, so that one which comes soon after, or a little before, costs no search.
class IdleTime {
 public:
  /// Begins anew; `most`: how many stretches will be added and taken.
  void clear(size_t most) {
    if (room_.size() < most + 2) room_.resize(most + 2);
    before_ = room_.data();
    after_ = room_.data() + room_.size() - 1;
    *before_ = {-kNever, -kNever};
    *after_ = {kNever, kNever};
  }
  /// Before all that there is.
  void add_before(Picoseconds start, Picoseconds end) {
    if (start < end) *--after_ = {start, end};
  }
  /// Whether there is none of it, as far as is seen at once.
  bool none(Picoseconds start, Picoseconds end) const { return before_->end <= start && after_->start >= end; }
  /// How much there was of it.
  Picoseconds take(Picoseconds start, Picoseconds end) {
    while (before_->end > start) *--after_ = *before_--;
    while (after_->end <= start) *++before_ = *after_++;
    Picoseconds taken = 0;
    for (; after_->start < end; ++after_) {
      taken += std::min(after_->end, end) - std::max(after_->start, start);
      if (after_->start < start) *++before_ = {after_->start, start};
      if (after_->end > end) {
        after_->start = end;
        break;
      }
    }
    return taken;
  }

 private:
  static constexpr Picoseconds kNever = std::numeric_limits<Picoseconds>::max();

  std::vector<Stretch> room_;
  Stretch *before_ = nullptr, *after_ = nullptr;  // the last of those before, the first of those after
};

/// What a sum needs to know of an op, looked up once per body.
struct OpKind {
  uint8_t category = 0;
  bool communicates = false;
  bool operator==(const OpKind&) const = default;
};

class OpKinds {
 public:
  explicit OpKinds(const Plan& plan) : plan_(plan) {
    for (const Body& body : plan.bodies) {
      first_.push_back(kinds_.size());
      for (const Op& op : body.ops) {
        const OpKind kind{static_cast<uint8_t>(category_of(body, op)), is_communication(op.kernel)};
        kinds_.push_back(kind);
        std::vector<OpKind>& of_stream = of_stream_[static_cast<size_t>(op.stream)];
        if (std::ranges::find(of_stream, kind) == of_stream.end()) of_stream.push_back(kind);
      }
    }
  }
  /// Of the ops of a call.
  const OpKind* of(const Call& call) const { return kinds_.data() + first_[call.body]; }
  const Call* calls(uint32_t rank) const { return plan_.programs[plan_.role(rank)].calls.data(); }
  /// Those of a stream's ops.
  const std::vector<OpKind>& of(Stream stream) const { return of_stream_[static_cast<size_t>(stream)]; }

 private:
  const Plan& plan_;
  std::vector<size_t> first_;  // by body
  std::vector<OpKind> kinds_;
  std::array<std::vector<OpKind>, kStreams> of_stream_;
};

/// Of one rank after the other, as the room for their stretches is used again.
class RankSummariser {
 public:
  /// The graph may be null.
  RankSummariser(const Timeline& timeline, const Step& step, const StepGraph* graph)
      : step_(step), graph_(graph), kinds_(*timeline.plan) {
    for (int s = static_cast<int>(Stream::compute) + 1; s < kStreams; ++s) {
      const auto stream = static_cast<Stream>(s);
      for (const OpKind& kind : kinds_.of(stream)) others_.push_back({stream, kind, kinds_.of(stream).size() == 1});
    }
    std::ranges::stable_sort(others_, {}, [](const Part& part) { return part.kind.category; });
  }

  RankSummary run(std::span<const Span> spans, uint32_t rank) {
    RankSummary summary;
    summary.rank = rank;
    calls_ = kinds_.calls(rank);
    const auto on = [&](Stream stream) { return graph_ ? graph_->spans(rank, stream) : of_stream(spans, stream); };
    const StepGraph::Compute* known = graph_ ? graph_->compute(rank) : nullptr;
    if (known && !known->disjoint) known = nullptr;
    const auto computing = on(Stream::compute);
    idle_.clear(1 + (known ? known->gaps.count : computing.size()) + spans.size() - computing.size());
    if (known)
      add_known(*known, computing, summary);
    else
      add_computing(computing, summary);
    summary.idle = step_.end - step_.start - summary.busy;
    for (const Part& part : others_) {
      if (known && part.stream == Stream::tensor) {
        for (const auto loose : graph_->loose_tensor_spans(*known)) add_part(part, loose, summary);
      } else {
        add_part(part, on(part.stream), summary);
      }
    }
    return summary;
  }

 private:
  /// The tasks of one kind on another stream than the compute stream.
  struct Part {
    Stream stream = Stream::compute;
    OpKind kind;
    bool is_all = false;  ///< there are no others
  };

  /// What a StepGraph found already.
  void add_known(const StepGraph::Compute& compute, std::span<const Span> computing, RankSummary& summary) {
    summary.busy_with = summary.time = compute.busy;
    summary.busy = std::accumulate(compute.busy.begin(), compute.busy.end(), Picoseconds{0});
    if (!computing.empty()) summary.span_idle = computing.back().end - computing.front().start - summary.busy;
    idle_.add_before(computing.empty() ? step_.start : computing.back().end, step_.end);
    for (const auto& [start, next] : std::views::reverse(graph_->gaps(compute))) idle_.add_before(start, next->start);
    // Of the categories that communicate tensor_comm is the first, so that it has what is covered.
    const auto tensor = static_cast<size_t>(Category::tensor_comm);
    summary.exposed[tensor] = compute.covered;
    summary.time[tensor] += compute.tensor_time;
  }

  void add_computing(std::span<const Span> computing, RankSummary& summary) {
    idle_.add_before(step_.start, step_.end);
    Picoseconds first = step_.end, last = step_.start;
    for (const Span& span : computing) {
      const size_t category = kind_of(span).category;
      summary.time[category] += span.end - span.start;
      const auto [from, to] = at_work(span);
      if (from >= to) continue;
      summary.busy += idle_.take(from, to);
      first = std::min(first, from);
      if (to <= last) continue;
      summary.busy_with[category] += to - std::max(from, last);
      last = to;
    }
    if (first < last) summary.span_idle = last - first - summary.busy;
  }

  /// What one category takes of the idle time is taken away, so that the categories add up to at most the idle time.
  void add_part(const Part& part, std::span<const Span> spans, RankSummary& summary) {
    Picoseconds time = 0, exposed = 0;
    for (const Span& span : spans) {
      if (!part.is_all && kind_of(span) != part.kind) continue;
      time += span.end - span.start;
      if (!part.kind.communicates || idle_.none(span.start, span.end)) continue;
      const auto [from, to] = at_work(span);
      if (from < to) exposed += idle_.take(from, to);
    }
    summary.time[part.kind.category] += time;
    summary.exposed[part.kind.category] += exposed;
  }

  OpKind kind_of(const Span& span) const { return kinds_.of(calls_[span.call])[span.op]; }

  /// Within the step. Waiting for another member is idleness with another cause, not what the communication cost.
  Stretch at_work(const Span& span) const {
    return {std::max(span.start + span.wait(), step_.start), std::min(span.end, step_.end)};
  }

  const Step& step_;
  const StepGraph* graph_;
  OpKinds kinds_;
  std::vector<Part> others_;  // by category, then stream
  const Call* calls_ = nullptr;
  IdleTime idle_;
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

void add_bubbles(Summary& summary) {
  double idle = 0, busy = 0, span_idle = 0, ranks = 0;
  for (const RankSummary& rank : summary.ranks) {
    const double weight = rank.represented;
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
    const auto represented = represented_ranks(timeline);
    for (uint32_t rank = 0; rank < represented.size(); ++rank) {
      if (represented[rank] == 0) continue;
      summary.ranks.push_back(ranks.run(graph ? graph->spans(rank) : of_rank(spans, rank), rank));
      summary.ranks.back().represented = represented[rank];
    }
  }
  add_peak_memory(timeline, summary);
  add_bubbles(summary);
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
