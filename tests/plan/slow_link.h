// The waits that the buffers demand, found with every field of every task and a clock for each: the oracle of link().
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <tuple>
#include <vector>

#include "core/plan/plan.h"

namespace pgram::test {

struct SlowWait {
  uint32_t call = 0;
  uint16_t op = 0;  ///< of the waiter
  uint32_t target_call = 0;
  uint16_t target_op = 0;
  auto operator<=>(const SlowWait&) const = default;
};

/// Of a program whose bodies have their waits: those between its calls, or of one call of a body without them.
inline std::vector<SlowWait> slow_waits(const Plan& plan, const Program& program) {
  using Clock = std::array<uint32_t, kStreams>;  // tasks of each stream, from 1
  struct Field {
    std::optional<std::pair<int, uint32_t>> writer;  // stream and number
    std::map<int, uint32_t> readers;
  };
  struct Done {
    uint32_t call = 0;
    uint16_t op = 0;
    Clock clock{};
  };
  std::vector<SlowWait> waits;
  std::map<std::tuple<uint32_t, uint32_t, size_t>, Field> fields;  // pool, slot, field
  std::array<Clock, kStreams> clocks{};
  std::array<std::vector<Done>, kStreams> done;
  for (auto& list : done) list.emplace_back();
  const auto join = [](Clock& into, const Clock& other) {
    for (int s = 0; s < kStreams; ++s) into[s] = std::max(into[s], other[s]);
  };
  for (uint32_t c = 0; c < program.calls.size(); ++c) {
    const Call& call = program.calls[c];
    const Body& body = plan.bodies[call.body];
    std::vector<Clock> ends(body.ops.size());
    for (size_t i = 0; i < body.ops.size();) {
      const size_t end = body.grouped ? body.ops.size() : i + 1;  // a group is one operation
      const int stream = static_cast<int>(body.ops[i].stream);
      Clock& clock = clocks[stream];
      for (int w = 0; w < body.ops[i].num_waits; ++w) join(clock, ends[body.waits[body.ops[i].first_wait + w]]);
      const auto for_fields = [&](auto&& visit) {
        for (size_t o = i; o < end; ++o) {
          const Op& op = body.ops[o];
          for (int k = 0; k < op.num_operands; ++k) {
            const Operand operand = body.operands[op.first_operand + k];
            const Arg arg = program.args[call.first_arg + operand.formal];
            const size_t all = plan.records[body.formals[operand.formal]].fields.size();
            const size_t first = operand.field == kWhole ? 0 : operand.field;
            const size_t count = operand.field == kWhole ? all : operand.fields;
            for (size_t f = first; f < first + count; ++f)
              visit(fields[{arg.pool(), arg.slot(), f}], k < op.num_writes);
          }
        }
      };
      std::map<int, uint32_t> needed;  // stream -> number
      const auto need = [&](int s, uint32_t number) {
        if (s != stream) needed[s] = std::max(needed[s], number);
      };
      for_fields([&](const Field& field, bool writes) {
        if (field.writer) need(field.writer->first, field.writer->second);
        if (writes) {
          for (const auto& [s, number] : field.readers) need(s, number);
        }
      });
      for (const auto& [s, number] : needed) {
        const bool implied = std::ranges::any_of(needed, [&](const auto& other) {
          return other.first != s && other.second > clock[other.first] &&
                 done[other.first][other.second].clock[s] >= number;
        });
        if (number <= clock[s] || implied) continue;
        const Done& target = done[s][number];
        waits.push_back({c, static_cast<uint16_t>(i), target.call, target.op});
        join(clock, target.clock);
      }
      const uint32_t number = static_cast<uint32_t>(done[stream].size());
      clock[stream] = number;
      ends[end - 1] = clock;
      done[stream].push_back({c, static_cast<uint16_t>(end - 1), clock});
      for_fields([&](Field& field, bool writes) {
        if (writes)
          field = {std::pair(stream, number), {}};
        else
          field.readers[stream] = number;
      });
      i = end;
    }
  }
  std::ranges::sort(waits);
  return waits;
}

/// What the syncs of a linked program say.
inline std::vector<SlowWait> waits_of(const Plan& plan, const Program& program) {
  std::vector<SlowWait> waits;
  std::vector<std::pair<uint32_t, uint16_t>> recorded(program.num_events);
  for (uint32_t c = 0; c < program.calls.size(); ++c) {
    const Call& call = program.calls[c];
    for (uint16_t i = 0; i < plan.bodies[call.body].ops.size(); ++i) {
      for (uint32_t s = call.first_sync; s < call.first_sync + call.num_syncs; ++s) {
        const Sync& sync = program.syncs[s];
        if (sync.op != i) continue;
        if (sync.records())
          recorded[sync.slot()] = {c, i};
        else
          waits.push_back({c, i, recorded[sync.slot()].first, recorded[sync.slot()].second});
      }
    }
  }
  std::ranges::sort(waits);
  return waits;
}

}  // namespace pgram::test
