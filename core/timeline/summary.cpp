#include "core/timeline/summary.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

#include "core/base/errors.h"
#include "core/timeline/lookup.h"
#include "core/timeline/text_table.h"

namespace pgram {
namespace {

/// Disjoint, ascending stretches of time.
using Stretch = std::pair<Picoseconds, Picoseconds>;
using Stretches = std::vector<Stretch>;

Stretches union_of(Stretches stretches) {
  std::ranges::sort(stretches);
  Stretches merged;
  for (const auto& [start, end] : stretches) {
    if (!merged.empty() && start <= merged.back().second)
      merged.back().second = std::max(merged.back().second, end);
    else
      merged.push_back({start, end});
  }
  return merged;
}

Picoseconds length_of(const Stretches& stretches) {
  Picoseconds length = 0;
  for (const auto& [start, end] : stretches) length += end - start;
  return length;
}

/// Of [start, end) what `taken`, within it, leaves.
Stretches rest_of(Picoseconds start, Picoseconds end, const Stretches& taken) {
  Stretches rest;
  rest.reserve(taken.size() + 1);
  for (const auto& [first, last] : taken) {
    if (first > start) rest.emplace_back(start, first);
    start = last;
  }
  if (start < end) rest.emplace_back(start, end);
  return rest;
}

/// `from` without `taken`, both disjoint and ascending.
Stretches without(const Stretches& from, const Stretches& taken) {
  Stretches rest;
  rest.reserve(from.size() + taken.size());
  size_t next = 0;
  for (auto [start, end] : from) {
    while (next < taken.size() && taken[next].second <= start) ++next;
    for (size_t at = next; at < taken.size() && taken[at].first < end; ++at) {
      if (taken[at].first > start) rest.emplace_back(start, taken[at].first);
      start = std::max(start, taken[at].second);
    }
    if (start < end) rest.emplace_back(start, end);
  }
  return rest;
}

/// A union that grows by stretches; those of a stream come in order, so that there is nothing to sort.
class Union {
 public:
  void add(Picoseconds start, Picoseconds end) {
    if (start >= last_.first && start <= last_.second)
      last_.second = std::max(last_.second, end);
    else
      begin(start, end);
  }
  Stretches take() {
    if (last_ != kNone) stretches_.push_back(last_);
    return ascends_ ? std::move(stretches_) : union_of(std::move(stretches_));
  }

 private:
  static constexpr Stretch kNone{std::numeric_limits<Picoseconds>::max(), std::numeric_limits<Picoseconds>::min()};

  void begin(Picoseconds start, Picoseconds end) {
    ascends_ &= start > last_.second;
    if (last_ != kNone) stretches_.push_back(last_);
    last_ = {start, end};
  }

  Stretches stretches_;
  Stretch last_ = kNone;
  bool ascends_ = true;
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
      for (const Op& op : body.ops)
        kinds_.push_back({static_cast<uint8_t>(category_of(body, op)), is_communication(op.kernel)});
    }
  }
  /// Of the ops of a call.
  const OpKind* of(const Call& call) const { return kinds_.data() + first_[call.body]; }
  const std::vector<Call>& calls(uint32_t rank) const { return plan_.programs[plan_.role(rank)].calls; }

 private:
  const Plan& plan_;
  std::vector<size_t> first_;  // by body
  std::vector<OpKind> kinds_;
};

using Times = std::array<Picoseconds, kCategories>;

/// Calls `visit` with what a stream was at work on within the step, and adds up all times by category. Waiting for
/// another member is idleness with another cause, not what the communication cost. Tasks of a call and a kind that
/// follow each other without a gap come as one.
template <class Visit>
void for_works(const Step step, std::span<const Span> stream, const OpKinds& all_kinds, const std::vector<Call>& calls,
               Times& all_times, Visit&& visit) {
  Times times{};
  const Span* const last = stream.data() + stream.size();
  for (const Span* at = stream.data(); at != last;) {
    const Span& first = *at++;
    const OpKind* const kinds = all_kinds.of(calls[first.call]);
    const OpKind kind = kinds[first.op];
    Picoseconds from = first.start, to = first.end;
    if (first.waits()) {
      from += first.wait();
    } else {
      for (; at != last && at->start == to && at->call == first.call && !at->waits() && kinds[at->op] == kind; ++at)
        to = at->end;
    }
    times[kind.category] += to - first.start;
    from = std::max(from, step.start);
    to = std::min(to, step.end);
    if (from < to) visit(kind, from, to);
  }
  for (size_t category = 0; category < kCategories; ++category) all_times[category] += times[category];
}

RankSummary summarise_rank(const OpKinds& kinds, const Step& step, std::span<const Span> spans, uint32_t rank) {
  RankSummary summary;
  summary.rank = rank;
  const std::vector<Call>& calls = kinds.calls(rank);
  Union busy;
  std::array<Union, kCategories> communicating;
  while (!spans.empty()) {
    const auto stream = of_first_stream(spans);
    if (stream.front().stream == static_cast<uint8_t>(Stream::compute)) {
      Picoseconds busy_until = step.start;
      Times busy_with{};
      for_works(step, stream, kinds, calls, summary.time, [&](OpKind kind, Picoseconds from, Picoseconds to) {
        busy.add(from, to);
        if (to <= busy_until) return;
        busy_with[kind.category] += to - std::max(from, busy_until);
        busy_until = to;
      });
      summary.busy_with = busy_with;
    } else {
      for_works(step, stream, kinds, calls, summary.time, [&](OpKind kind, Picoseconds from, Picoseconds to) {
        if (kind.communicates) communicating[kind.category].add(from, to);
      });
    }
    spans = spans.subspan(stream.size());
  }
  const Stretches computing = busy.take();
  summary.busy = length_of(computing);
  summary.idle = step.end - step.start - summary.busy;
  if (!computing.empty()) summary.span_idle = computing.back().second - computing.front().first - summary.busy;

  // What one category took of the idle time is taken away, so that the categories add up to at most the idle time.
  Stretches idle = rest_of(step.start, step.end, computing);
  for (size_t category = 0; category < kCategories; ++category) {
    const Stretches moving = communicating[category].take();
    if (moving.empty()) continue;
    Stretches rest = without(idle, moving);
    summary.exposed[category] = length_of(idle) - length_of(rest);
    idle = std::move(rest);
  }
  return summary;
}

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

}  // namespace

Summary summarise(const Timeline& timeline) {
  if (timeline.steps.empty()) throw InputError("timeline", "holds no step, expected at least one");
  Summary summary;
  summary.step = timeline.median_step();
  summary.step_time = timeline.median_step_time();
  const auto spans = timeline.of_step(summary.step);
  if (!spans.empty()) {  // else a simulation that kept no spans: nothing is known of its ranks
    const OpKinds kinds(*timeline.plan);
    for (uint32_t rank = 0; rank < timeline.plan->mesh.ranks(); ++rank) {
      if (timeline.representative_of(rank) != rank) continue;
      summary.ranks.push_back(summarise_rank(kinds, timeline.steps[summary.step], of_rank(spans, rank), rank));
    }
  }
  add_peak_memory(timeline, summary);
  add_bubbles(timeline, summary);
  add_rates(timeline, summary);
  return summary;
}

}  // namespace pgram
