#include "core/timeline/compare.h"

#include <cstdlib>
#include <map>
#include <numeric>

#include "core/base/errors.h"
#include "core/timeline/lookup.h"

namespace pgram {
namespace {

/// Empty when every Task of one plan names the same kernel in the other.
std::string first_difference(const Plan& a, const Plan& b) {
  if (a.mesh.size != b.mesh.size || a.mesh.order != b.mesh.order) return "the meshes of ranks differ";
  if (a.programs.size() != b.programs.size()) return "the numbers of roles differ";
  if (a.bodies.size() != b.bodies.size()) return "the bodies differ";
  for (size_t body = 0; body < a.bodies.size(); ++body) {
    const Body &x = a.bodies[body], &y = b.bodies[body];
    if (x.name != y.name || !std::ranges::equal(x.ops, y.ops, {}, &Op::kernel, &Op::kernel))
      return "body " + x.name + " differs";
  }
  for (size_t role = 0; role < a.programs.size(); ++role) {
    const bool equal =
        std::ranges::equal(a.programs[role].calls, b.programs[role].calls, [](const Call& x, const Call& y) {
          return x.body == y.body && x.layer == y.layer && x.micro_batch == y.micro_batch;
        });
    if (!equal) return "the calls of role " + std::to_string(role) + " differ";
  }
  return "";
}

/// One side of the comparison: the spans of its median step by rank and task.
class Side {
 public:
  Side(const Timeline& timeline, size_t step)
      : spans_(timeline.of_step(step)), lookup_(*timeline.plan), matched_(spans_.size(), false) {}

  const Span& span(uint32_t at) const { return spans_[at]; }
  const TaskLookup& lookup() const { return lookup_; }
  void mark_matched(uint32_t at) { matched_[at] = true; }

  /// Indices of a rank's spans in the order of (call, op).
  const std::vector<uint32_t>& by_task(uint32_t rank) {
    const auto [found, added] = by_task_.try_emplace(rank);
    if (added) {
      const auto range = of_rank(spans_, rank);
      found->second.resize(range.size());
      std::iota(found->second.begin(), found->second.end(), static_cast<uint32_t>(range.data() - spans_.data()));
      std::ranges::stable_sort(found->second, {}, [&](uint32_t at) { return task_of(at); });
    }
    return found->second;
  }
  std::pair<uint32_t, uint16_t> task_of(uint32_t at) const { return {spans_[at].call, spans_[at].op}; }

  /// Time without waiting for other members.
  Picoseconds working_time(uint32_t at) const {
    const Span& span = spans_[at];
    const Picoseconds time = span.end - span.start;
    if (!is_communication(lookup_.op(span).kernel)) return time;
    return std::max<Picoseconds>(0, time - span.wait());
  }

  std::vector<uint32_t> unmatched() const {
    std::vector<uint32_t> rest;
    for (size_t at = 0; at < matched_.size(); ++at) {
      if (!matched_[at]) rest.push_back(static_cast<uint32_t>(at));
    }
    return rest;
  }

 private:
  std::span<const Span> spans_;
  TaskLookup lookup_;
  std::vector<bool> matched_;
  std::map<uint32_t, std::vector<uint32_t>> by_task_;
};

struct Sums {
  uint64_t count = 0;
  Picoseconds a = 0, b = 0;
};

class Matcher {
 public:
  Matcher(Side& a, Side& b, const Plan& plan) : a_(a), b_(b), plan_(plan) {}

  /// Spans of `rank_a` and `rank_b`, which stand for `weight` ranks.
  void match(uint32_t rank_a, uint32_t rank_b, uint32_t weight) {
    const auto &in_a = a_.by_task(rank_a), &in_b = b_.by_task(rank_b);
    for (size_t i = 0, j = 0; i < in_a.size() && j < in_b.size();) {
      const auto task_a = a_.task_of(in_a[i]), task_b = b_.task_of(in_b[j]);
      if (task_a == task_b) add(in_a[i], in_b[j], weight);
      if (task_a <= task_b) ++i;
      if (task_b <= task_a) ++j;
    }
  }

  void finish(Comparison& comparison) {
    comparison.pairs = std::move(pairs_);
    std::ranges::sort(comparison.pairs, {}, [](const SpanPair& pair) { return std::pair(pair.a, pair.b); });
    for (size_t category = 0; category < kCategories; ++category) {
      const Sums& sums = categories_[category];
      if (sums.count > 0) comparison.categories.push_back({static_cast<Category>(category), sums.a, sums.b});
    }
    for (const auto& [key, sums] : kernels_) {
      const auto& [body, kernel] = key;
      comparison.kernels.push_back({plan_.bodies[body].name, std::string(name_of(kernel)), sums.count, sums.a, sums.b});
    }
    std::ranges::stable_sort(comparison.kernels, std::ranges::greater(),
                             [](const auto& kernel) { return std::abs(kernel.a - kernel.b); });
  }

 private:
  void add(uint32_t at_a, uint32_t at_b, uint32_t weight) {
    pairs_.push_back({at_a, at_b});
    a_.mark_matched(at_a);
    b_.mark_matched(at_b);
    const Span& span = a_.span(at_a);
    const Picoseconds time_a = multiply_saturated(a_.working_time(at_a), weight);
    const Picoseconds time_b = multiply_saturated(b_.working_time(at_b), weight);
    const uint16_t body = a_.lookup().call(span).body;
    for (Sums* sums : {&categories_[static_cast<size_t>(a_.lookup().category(span))],
                       &kernels_[{body, a_.lookup().op(span).kernel}]}) {
      sums->count += weight;
      sums->a = add_saturated(sums->a, time_a);
      sums->b = add_saturated(sums->b, time_b);
    }
  }

  Side &a_, &b_;
  const Plan& plan_;
  std::vector<SpanPair> pairs_;
  std::array<Sums, kCategories> categories_;
  std::map<std::pair<uint16_t, Kernel>, Sums> kernels_;
};

}  // namespace

double Comparison::step_error() const {
  if (step_time_b == 0) return 0;
  return (static_cast<double>(step_time_a) - static_cast<double>(step_time_b)) / static_cast<double>(step_time_b);
}

Comparison compare(const Timeline& a, const Timeline& b) {
  if (a.steps.empty() || b.steps.empty()) throw InputError("timeline", "holds no step, expected at least one");
  if (a.plan != b.plan) {
    const std::string difference = first_difference(*a.plan, *b.plan);
    if (!difference.empty())
      throw InputError("compare",
                       "the timelines are of different plans: " + difference + ". Simulate and run the same plan file");
  }
  Comparison comparison;
  comparison.step_a = a.median_step();
  comparison.step_b = b.median_step();
  comparison.step_time_a = a.median_step_time();
  comparison.step_time_b = b.median_step_time();

  // Ranks that share their representative on both sides are matched once and counted as often as they are.
  std::map<std::pair<uint32_t, uint32_t>, uint32_t> rank_pairs;
  for (uint32_t rank = 0; rank < a.plan->mesh.ranks(); ++rank)
    ++rank_pairs[{a.representative_of(rank), b.representative_of(rank)}];
  Side side_a(a, comparison.step_a), side_b(b, comparison.step_b);
  Matcher matcher(side_a, side_b, *a.plan);
  for (const auto& [ranks, weight] : rank_pairs) matcher.match(ranks.first, ranks.second, weight);
  matcher.finish(comparison);
  comparison.only_a = side_a.unmatched();
  comparison.only_b = side_b.unmatched();
  return comparison;
}

}  // namespace pgram
