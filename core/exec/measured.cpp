#include "core/exec/measured.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

namespace pgram {
namespace {

std::set<uint32_t> pools_with_allocation(const Program& program) {
  std::set<uint32_t> pools;
  for (const Arg& arg : program.args) {
    if (arg.allocates()) pools.insert(arg.pool());
  }
  return pools;
}

struct CallTime {
  Picoseconds start = -1, end = -1;
};

struct Change {
  Picoseconds time = 0;
  int64_t bytes = 0;
};

}  // namespace

uint64_t static_bytes(const Plan& plan, uint32_t role) {
  const Program& program = plan.programs[role];
  const std::set<uint32_t> dynamic = pools_with_allocation(program);
  uint64_t bytes = 0;
  for (uint32_t pool = 0; pool < program.pools.size(); ++pool) {
    const Record& record = plan.records[program.pools[pool].record];
    if (!dynamic.contains(pool)) bytes += uint64_t{program.pools[pool].slots} * record.bytes;
  }
  return bytes;
}

void add_memory_samples(const Plan& plan, uint32_t rank, std::span<const Span> spans, Picoseconds step_start,
                        std::vector<CounterSample>& samples) {
  const uint32_t role = plan.role(rank);
  const Program& program = plan.programs[role];
  std::vector<CallTime> times(program.calls.size());
  for (const Span& span : spans) {
    CallTime& time = times[span.call];
    time.start = time.start < 0 ? span.start : std::min(time.start, span.start);
    time.end = std::max(time.end, span.end);
  }
  std::vector<Change> changes;
  for (size_t i = 0; i < program.calls.size(); ++i) {
    const Call& call = program.calls[i];
    if (times[i].start < 0) continue;  // a call without tasks
    for (size_t a = 0; a < plan.bodies[call.body].formals.size(); ++a) {
      const Arg arg = program.args[call.first_arg + a];
      const auto bytes = static_cast<int64_t>(plan.records[program.pools[arg.pool()].record].bytes);
      if (arg.allocates()) changes.push_back({times[i].start, bytes});
      if (arg.frees()) changes.push_back({times[i].end, -bytes});
    }
  }
  // What dies at an instant makes room for what is born then.
  std::sort(changes.begin(), changes.end(),
            [](const Change& a, const Change& b) { return std::tie(a.time, a.bytes) < std::tie(b.time, b.bytes); });
  auto live = static_cast<int64_t>(static_bytes(plan, role));
  samples.push_back({rank, 0, step_start, live});
  for (size_t i = 0; i < changes.size(); ++i) {
    live += changes[i].bytes;
    if (i + 1 == changes.size() || changes[i + 1].time != changes[i].time) {
      samples.push_back({rank, 0, changes[i].time, live});
    }
  }
}

void estimate_waits(const Plan& plan, std::span<Span> spans) {
  const auto op_of = [&](const Span& span) -> const Op& {
    const Program& program = plan.programs[plan.role(span.rank)];
    return plan.bodies[program.calls[span.call].body].ops[span.op];
  };
  std::vector<Span*> meetings;
  for (Span& span : spans) {
    if (is_communication(op_of(span).kernel)) meetings.push_back(&span);
  }
  std::sort(meetings.begin(), meetings.end(), [](const Span* a, const Span* b) {
    return std::tie(a->rank, a->call, a->op) < std::tie(b->rank, b->call, b->op);
  });
  /// A group by its communicator and first member; which meeting of it.
  using Meeting = std::tuple<uint16_t, uint32_t, uint32_t>;
  std::map<Meeting, Picoseconds> last_start;
  std::vector<Meeting> of_span;
  std::map<std::pair<uint32_t, uint16_t>, uint32_t> first_member, met;  // by rank and communicator
  for (const Span* span : meetings) {
    const uint16_t comm = op_of(*span).comm;
    const std::pair place{span->rank, comm};
    auto first = first_member.find(place);
    if (first == first_member.end()) {
      first = first_member.emplace(place, members(plan, comm, span->rank).at(0)).first;
    }
    of_span.emplace_back(comm, first->second, met[place]++);
    const auto [last, added] = last_start.emplace(of_span.back(), span->start);
    if (!added) last->second = std::max(last->second, span->start);
  }
  for (size_t i = 0; i < meetings.size(); ++i) {
    Span& span = *meetings[i];
    span.set_wait(std::min(last_start.at(of_span[i]) - span.start, span.end - span.start));
  }
}

void Measurement::add_step(Step step, std::vector<Span> spans) {
  std::sort(spans.begin(), spans.end(), [](const Span& a, const Span& b) {
    return std::tie(a.rank, a.stream, a.start, a.call, a.op) < std::tie(b.rank, b.stream, b.start, b.call, b.op);
  });
  step.first_span = spans_.size();
  step.num_spans = spans.size();
  for (size_t begin = 0; begin < spans.size();) {
    size_t end = begin;
    while (end < spans.size() && spans[end].rank == spans[begin].rank) ++end;
    add_memory_samples(*plan_, spans[begin].rank, std::span(spans).subspan(begin, end - begin), step.start, counters_);
    begin = end;
  }
  steps_.push_back(step);
  spans_.insert(spans_.end(), spans.begin(), spans.end());
}

Timeline Measurement::finish(std::map<std::string, std::string> facts) {
  Timeline timeline;
  timeline.plan = plan_;
  timeline.source = TimelineSource::measured;
  timeline.facts = std::move(facts);
  timeline.steps = std::move(steps_);
  timeline.counter_names = {"memory"};
  timeline.counters = std::move(counters_);
  timeline.set_spans(std::move(spans_));
  return timeline;
}

}  // namespace pgram
