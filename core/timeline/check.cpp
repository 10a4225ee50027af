#include <string>
#include <utility>

#include "core/base/errors.h"
#include "core/timeline/lookup.h"

namespace pgram {
namespace {

class Checker {
 public:
  Checker(const Timeline& timeline, const std::string& file)
      : timeline_(timeline), plan_(*timeline.plan), file_(file) {}

  void check() {
    check_ranks();
    check_representatives();
    check_steps();
    for (uint64_t at = 0; at < timeline_.spans.size(); ++at) check_span(at);
    for (size_t step = 0; step < timeline_.steps.size(); ++step) check_order(step);
    check_counters();
    for (size_t at = 0; at < timeline_.contention.size(); ++at) check_contention(at);
  }

 private:
  [[noreturn]] void fail(const std::string& field, const std::string& message) const {
    throw InputError(file_, 0, field, message);
  }
  static bool is_time(Picoseconds time) { return time >= -kLatestTime && time <= kLatestTime; }

  void check_ranks() {
    uint64_t ranks = 1;
    for (const uint32_t size : plan_.mesh.size) {
      if (size == 0 || (ranks *= size) > kMostRanks)
        fail("plan", "expected 1 to " + std::to_string(kMostRanks) + " ranks in the mesh");
    }
    ranks_ = static_cast<uint32_t>(ranks);
    auto order = plan_.mesh.order;
    std::ranges::sort(order);
    if (order != std::array<uint8_t, kMeshAxes>{0, 1, 2}) fail("plan", "the mesh's order must name every axis once");
    if (plan_.programs.size() != plan_.mesh.size[2])
      fail("plan", "has " + std::to_string(plan_.programs.size()) + " programs, expected one for each of its " +
                       std::to_string(plan_.mesh.size[2]) + " pipeline ranks");
    roles_.resize(ranks_);
    for (uint32_t rank = 0; rank < ranks_; ++rank) {
      roles_[rank] = plan_.role(rank);
      if (roles_[rank] >= plan_.programs.size()) fail("plan", "the mesh gives a rank a role that has no program");
    }
  }

  void check_representatives() const {
    const auto& representative = timeline_.representative;
    if (representative.empty()) return;
    if (representative.size() != ranks_)
      fail("representative", "has " + std::to_string(representative.size()) + " entries, expected one for each of " +
                                 std::to_string(ranks_) + " ranks");
    for (uint32_t rank = 0; rank < ranks_; ++rank) {
      const uint32_t chosen = representative[rank];
      if (chosen >= ranks_ || representative[chosen] != chosen)
        fail("representative", "rank " + std::to_string(rank) + " is represented by " + std::to_string(chosen) +
                                   ", expected a rank that stands for itself");
      if (roles_[chosen] != roles_[rank])
        fail("representative", "rank " + std::to_string(rank) + " is represented by " + std::to_string(chosen) +
                                   ", which is of another pipeline stage");
    }
  }

  void check_steps() const {
    if (timeline_.steps.empty()) fail("steps", "expected at least one step");
    const uint64_t spans = timeline_.spans.size();
    for (size_t at = 0; at < timeline_.steps.size(); ++at) {
      const Step& step = timeline_.steps[at];
      const std::string field = "steps[" + std::to_string(at) + "]";
      if (step.first_span > spans || step.num_spans > spans - step.first_span || step.num_spans > UINT32_MAX)
        fail(field, "spans " + std::to_string(step.first_span) + " + " + std::to_string(step.num_spans) +
                        " reach beyond the " + std::to_string(spans) + " spans there are");
      if (!is_time(step.start) || !is_time(step.end) || step.start > step.end)
        fail(field, "expected start <= end, within 26 days; got " + std::to_string(step.start) + " and " +
                        std::to_string(step.end) + " ps");
    }
  }

  void check_span(uint64_t at) const {
    const Span& span = timeline_.spans[at];
    const auto outside = [&](const char* what, uint64_t value, uint64_t count) {
      fail("spans[" + std::to_string(at) + "]", std::string(what) + " " + std::to_string(value) +
                                                    " is not in the plan, expected less than " + std::to_string(count));
    };
    if (span.rank >= ranks_) outside("rank", span.rank, ranks_);
    const auto& calls = plan_.programs[roles_[span.rank]].calls;
    if (span.call >= calls.size()) outside("call", span.call, calls.size());
    const auto& ops = plan_.bodies[calls[span.call].body].ops;
    if (span.op >= ops.size()) outside("op", span.op, ops.size());
    if (span.stream >= kStreams) outside("stream", span.stream, kStreams);
    if (!is_time(span.start) || !is_time(span.end) || span.start > span.end)
      fail("spans[" + std::to_string(at) + "]", "expected start <= end, within 26 days; got " +
                                                    std::to_string(span.start) + " and " + std::to_string(span.end) +
                                                    " ps");
    if (timeline_.representative_of(span.rank) != span.rank)
      fail("spans[" + std::to_string(at) + "]",
           "rank " + std::to_string(span.rank) + " has a span though another rank stands for it");
  }

  /// Readers search by rank and sum per rank: both rely on what is checked here.
  void check_order(size_t at) const {
    const auto spans = timeline_.of_step(at);
    Picoseconds sum = 0;
    for (size_t i = 0; i < spans.size(); ++i) {
      const Span& span = spans[i];
      const bool same_rank = i > 0 && spans[i - 1].rank == span.rank;
      if (i > 0) {
        const Span& before = spans[i - 1];
        const bool sorted =
            same_rank ? (before.stream != span.stream ? before.stream < span.stream : before.start <= span.start)
                      : before.rank < span.rank;
        if (!sorted)
          fail("spans[" + std::to_string(timeline_.steps[at].first_span + i) + "]",
               "out of order, expected each step's spans sorted by rank, stream and start");
      }
      sum = add_saturated(same_rank ? sum : 0, span.end - span.start);
      if (sum > 2 * kLatestTime)
        fail("spans", "the spans of rank " + std::to_string(span.rank) + " in step " + std::to_string(at) +
                          " last longer than any step can");
    }
  }

  void check_counters() const {
    for (size_t at = 0; at < timeline_.counters.size(); ++at) {
      const CounterSample& sample = timeline_.counters[at];
      const std::string field = "counters[" + std::to_string(at) + "]";
      if (sample.rank >= ranks_) fail(field, "rank " + std::to_string(sample.rank) + " is not in the plan");
      if (sample.counter >= timeline_.counter_names.size())
        fail(field, "counter " + std::to_string(sample.counter) + " has no name, expected less than " +
                        std::to_string(timeline_.counter_names.size()));
      if (!is_time(sample.time)) fail(field, "expected a time within 26 days, got " + std::to_string(sample.time));
    }
  }

  void check_contention(size_t at) const {
    const Contention& record = timeline_.contention[at];
    const std::string field = "contention[" + std::to_string(at) + "]";
    if (record.step >= timeline_.steps.size()) fail(field, "step " + std::to_string(record.step) + " does not exist");
    if (record.span >= timeline_.steps[record.step].num_spans)
      fail(field, "span " + std::to_string(record.span) + " is not in step " + std::to_string(record.step));
    if (at > 0) {
      const Contention& before = timeline_.contention[at - 1];
      if (std::pair(before.step, before.span) > std::pair(record.step, record.span))
        fail(field, "out of order, expected the records sorted by step and span");
    }
    const auto task = [&] {
      if (record.rank >= ranks_) return false;
      const auto& calls = plan_.programs[roles_[record.rank]].calls;
      return record.call < calls.size() && record.op < plan_.bodies[calls[record.call].body].ops.size();
    };
    if (!task()) fail(field, "its other task is not in the plan");
    if (record.lost < 0 || record.lost > kLatestTime)
      fail(field, "expected a loss of 0 to 26 days, got " + std::to_string(record.lost) + " ps");
  }

  const Timeline& timeline_;
  const Plan& plan_;
  const std::string& file_;
  uint32_t ranks_ = 0;
  std::vector<uint32_t> roles_;
};

}  // namespace

void check_timeline(const Timeline& timeline, const std::string& file) {
  Checker(timeline, file).check();
}

}  // namespace pgram
