// What both engines walk: one instance per class of ranks, and the places where they meet.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/plan/plan.h"
#include "core/timeline/timeline.h"
#include "sim/costs.h"
#include "sim/plan_index.h"
#include "sim/shared_links.h"
#include "sim/step_runs.h"

namespace pgram::sim {

/// A simulated rank.
struct Instance {
  uint32_t rank = 0;  ///< the lowest that it stands for
  const Program* program = nullptr;
  const OpCost* costs = nullptr;            ///< per op of all bodies, from Problem::first_op
  const TransferCost* transfers = nullptr;  ///< the same; null if no transfer shares anything
  const uint32_t* meetings = nullptr;       ///< per communicator: index into Problem::meeting_size
  Span* spans[kStreams] = {};               ///< where each stream's spans go, in order; null if none are kept
};

struct Problem {
  const PlanIndex& index;
  const Plan& plan = index.plan();
  const std::vector<uint32_t>& first_op = index.usage().first_op;  ///< per body
  std::vector<Instance> instances{};
  std::vector<uint32_t> meeting_size{};  ///< instances that must arrive before an operation starts
  uint32_t launch_window = 0;            ///< tasks; event loop only
  uint32_t shared_cores = 0;             ///< 0: nothing is shared; event loop only
  uint32_t cores_per_rank = 1;           ///< that a compute task wants, where cores are shared
  const SharedLinks* links = nullptr;    ///< null: no link is shared; event loop only
  StepRuns* steps = nullptr;             ///< null: a collective is one flow; event loop only, and used by it
  bool shared_sms = false;               ///< collectives slow compute down; event loop only
  Jitter jitter{};                       ///< event loop only
  bool task_by_task = false;             ///< no call runs as one; event loop only
  const Span* first_span = nullptr;      ///< of all instances; null if none are kept
};

struct Outcome {
  Picoseconds makespan = 0;
  uint64_t tasks = 0;
  std::vector<Contention> contention;  ///< of spans that are kept, counted from Problem::first_span
  std::vector<AlikeCall> alike;        ///< the same; by rank
  std::string error;                   ///< a deadlock
};

/// Span of a task that reached the head of its stream at `arrival`, started at `start` when its partners were there,
/// and ended at `end`. As in a measured timeline, the span begins with the waiting and says how long it was.
inline Span make_span(const Instance& instance, uint32_t call, uint16_t op, uint8_t stream, Picoseconds arrival,
                      Picoseconds start, Picoseconds end) {
  Span span;
  span.rank = instance.rank;
  span.call = call;
  span.op = op;
  span.stream = stream;
  span.set_wait(start - arrival);
  span.start = arrival;
  span.end = end;
  return span;
}

/// Engine 1: every instance in program order, times by max-plus; exact where nothing is shared.
Outcome evaluate(const Problem&);
/// Engine 2: global time order, launch windows, shared cores.
Outcome run_events(const Problem&);

}  // namespace pgram::sim
