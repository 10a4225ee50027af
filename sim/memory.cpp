#include "sim/memory.h"

#include <algorithm>
#include <functional>
#include <limits>

namespace pgram::sim {
namespace {

struct CallTime {
  Picoseconds start = std::numeric_limits<Picoseconds>::max(), end = 0;
};

struct Change {
  Picoseconds time = 0;
  int64_t bytes = 0;
  uint32_t pool = 0;
};

bool comes_and_goes(RecordKind kind) {
  return kind == RecordKind::saved || kind == RecordKind::edge;
}

std::vector<CallTime> call_times(const Program& program, std::span<const Span> spans) {
  std::vector<CallTime> times(program.calls.size());
  for (const Span& span : spans) {
    CallTime& time = times[span.call];
    time.start = std::min(time.start, span.start);
    time.end = std::max(time.end, span.end);
  }
  return times;
}

/// When slots are taken and given back. A slot counts once: where the call that allocates it begins before the last one
/// that used it has ended (it waits for that only before it touches the slot), the slot just stays taken.
std::vector<Change> slot_changes(const Plan& plan, const Program& program, const std::vector<CallTime>& times) {
  std::vector<uint32_t> first_slot;
  uint32_t slots = 0;
  for (const Pool& pool : program.pools) {
    first_slot.push_back(slots);
    slots += pool.slots;
  }
  std::vector<Picoseconds> given_back(slots);
  std::vector<Change> changes;
  for (size_t c = 0; c < program.calls.size(); ++c) {
    const Call& call = program.calls[c];
    if (times[c].end < times[c].start) continue;  // a body without ops
    for (size_t f = 0; f < plan.bodies[call.body].formals.size(); ++f) {
      const Arg arg = program.args[call.first_arg + f];
      if (!arg.allocates() && !arg.frees()) continue;
      const Record& record = plan.records[program.pools[arg.pool()].record];
      if (!comes_and_goes(record.kind)) continue;
      Picoseconds& last = given_back[first_slot[arg.pool()] + arg.slot()];
      const int64_t bytes = static_cast<int64_t>(record.bytes);
      if (arg.allocates()) changes.push_back({std::max(times[c].start, last), bytes, arg.pool()});
      if (arg.frees()) changes.push_back({last = std::max(times[c].end, last), -bytes, arg.pool()});
    }
  }
  std::sort(changes.begin(), changes.end(), [](const Change& a, const Change& b) {
    return a.time != b.time ? a.time < b.time : a.bytes < b.bytes;  // given back before taken again
  });
  return changes;
}

}  // namespace

std::vector<CounterSample> memory_over_time(const Plan& plan, uint32_t rank, std::span<const Span> spans) {
  const Program& program = plan.programs[plan.role(rank)];
  int64_t held = 0;
  for (const Pool& pool : program.pools) {
    const Record& record = plan.records[pool.record];
    if (!comes_and_goes(record.kind)) held += static_cast<int64_t>(uint64_t{pool.slots} * record.bytes);
  }
  std::vector<CounterSample> samples{{rank, 0, 0, held}};
  for (const Change& change : slot_changes(plan, program, call_times(program, spans))) {
    held += change.bytes;
    if (samples.back().time == change.time) {
      samples.back().value = held;
    } else {
      samples.push_back({rank, 0, change.time, held});
    }
  }
  return samples;
}

MemoryPeak memory_at_peak(const Plan& plan, uint32_t rank, std::span<const Span> spans) {
  const auto samples = memory_over_time(plan, rank, spans);
  MemoryPeak peak;
  peak.rank = rank;
  peak.time = std::ranges::max_element(samples, {}, &CounterSample::value)->time;

  const Program& program = plan.programs[plan.role(rank)];
  std::vector<uint32_t> slots;
  for (const Pool& pool : program.pools)
    slots.push_back(comes_and_goes(plan.records[pool.record].kind) ? 0 : pool.slots);
  for (const Change& change : slot_changes(plan, program, call_times(program, spans))) {
    if (change.time <= peak.time) slots[change.pool] += change.bytes < 0 ? -1 : 1;
  }
  for (size_t p = 0; p < slots.size(); ++p) {
    const Record& record = plan.records[program.pools[p].record];
    const uint64_t bytes = uint64_t{slots[p]} * record.bytes;
    if (bytes == 0) continue;
    peak.parts.push_back({program.pools[p].record, slots[p], bytes});
    peak.held.bytes[static_cast<size_t>(record.kind)] += bytes;
    peak.held.total += bytes;
  }
  std::ranges::stable_sort(peak.parts, std::ranges::greater(), &MemoryPeak::Part::bytes);
  return peak;
}

}  // namespace pgram::sim
