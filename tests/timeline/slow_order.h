// What the tasks of a role wait for and what explains a task, written out task by task: the oracle of RoleOrder and
// StepGraph, which keep less.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/timeline/timeline.h"

namespace pgram::test {

struct SlowTask {
  uint32_t call = 0;
  uint16_t op = 0;
  const Op* what = nullptr;
  std::vector<uint32_t> predecessors;
  uint32_t turn = 0;
};

inline std::vector<SlowTask> slow_order(const Plan& plan, const Program& program) {
  std::vector<SlowTask> tasks;
  std::array<std::optional<uint32_t>, kStreams> last;
  std::vector<std::optional<uint32_t>> events(program.num_events);
  std::vector<uint32_t> met(plan.comms.size(), 0);
  for (uint32_t c = 0; c < program.calls.size(); ++c) {
    const Call& call = program.calls[c];
    const Body& body = plan.bodies[call.body];
    const uint32_t first = static_cast<uint32_t>(tasks.size());
    for (uint16_t i = 0; i < body.ops.size(); ++i) {
      const Op& op = body.ops[i];
      SlowTask task{c, i, &op, {}, 0};
      std::optional<uint32_t>& before = last[static_cast<size_t>(op.stream)];
      if (body.grouped && i > 0)
        task.predecessors = tasks[first].predecessors;
      else if (before)
        task.predecessors.push_back(*before);
      for (int w = 0; w < op.num_waits; ++w) task.predecessors.push_back(first + body.waits[op.first_wait + w]);
      for (uint32_t s = call.first_sync; s < call.first_sync + call.num_syncs; ++s) {
        const Sync& sync = program.syncs[s];
        if (sync.op != i) continue;
        if (sync.records())
          events[sync.slot()] = first + i;
        else if (events[sync.slot()])
          task.predecessors.push_back(*events[sync.slot()]);
      }
      before = first + i;
      if (op.comm != kNoComm) task.turn = met[op.comm]++;
      tasks.push_back(task);
    }
  }
  return tasks;
}

/// The first span of the rank's that is of the task; null if there is none.
inline const Span* slow_span(std::span<const Span> spans, uint32_t rank, const SlowTask& task) {
  for (const Span& span : spans) {
    if (span.rank == rank && span.call == task.call && span.op == task.op) return &span;
  }
  return nullptr;
}

/// StepGraph::explains of a rank with spans of its own: `spans` by task.
inline std::optional<uint32_t> slow_explains(const std::vector<SlowTask>& tasks, const std::vector<const Span*>& spans,
                                             uint32_t task) {
  std::optional<uint32_t> found;
  Picoseconds latest = 0;
  for (const uint32_t before : tasks[task].predecessors) {
    std::optional<uint32_t> last;  // of it and all before it on its stream what ends last, of several the last
    for (uint32_t t = 0; t <= before; ++t) {
      if (!spans[t] || tasks[t].what->stream != tasks[before].what->stream) continue;
      if (!last || spans[t]->end >= spans[*last]->end) last = t;
    }
    if (!last) continue;
    const Picoseconds end = std::min(spans[*last]->end, spans[task]->start);
    if (found && end <= latest) continue;
    found = last;
    latest = end;
  }
  return found;
}

}  // namespace pgram::test
