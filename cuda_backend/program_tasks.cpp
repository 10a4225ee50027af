#include "cuda_backend/program_tasks.h"

#include <algorithm>

namespace pgram {
namespace {

constexpr uint32_t kNoTask = ~0u;

bool waits(const PreparedOp& op, const Program& program, const Call& call, size_t index) {
  const auto first = program.syncs.begin() + call.first_sync;
  return !op.waits.empty() || std::any_of(first, first + call.num_syncs,
                                          [&](const Sync& sync) { return sync.op == index && !sync.records(); });
}

uint32_t count_events(const PreparedPlan& prepared) {
  uint32_t events = 0;
  for (const Program& program : prepared.plan.programs) events = std::max(events, program.num_events);
  for (const PreparedBody& body : prepared.bodies) {
    for (const PreparedOp& op : body.ops) {
      if (op.records != kNoEvent) events = std::max(events, op.records + 1u);
    }
  }
  return events;
}

}  // namespace

ProgramTasks::ProgramTasks(const PreparedPlan& prepared, uint32_t rank) : events(count_events(prepared)) {
  const Plan& plan = prepared.plan;
  const Program& program = plan.programs[plan.role(rank)];
  std::array<uint32_t, kStreams> previous;
  previous.fill(kNoTask);
  for (uint32_t c = 0; c < program.calls.size(); ++c) {
    const Call& call = program.calls[c];
    const Body& body = plan.bodies[call.body];
    first_task.push_back(static_cast<uint32_t>(tasks.size()));
    for (uint16_t o = 0; o < body.ops.size(); ++o) {
      const Op& op = body.ops[o];
      const PreparedOp& item = prepared.bodies[call.body].ops[o];
      uint32_t& before = previous[static_cast<int>(op.stream)];
      TimedTask task;
      task.task = {rank, c, o};
      task.stream = op.stream;
      const bool continues = body.grouped && o > 0;
      task.records_start = !continues && (before == kNoTask || waits(item, program, call, o));
      task.records_end = !body.grouped || o + 1u == body.ops.size();
      if (continues) {
        task.start = tasks[before].start;
        task.end = tasks[before].end;
      } else {
        task.start = task.records_start ? timed_events++ : tasks[before].end;
        task.end = timed_events++;
      }
      task.range = "task:" + to_text(plan, task.task);
      before = static_cast<uint32_t>(tasks.size());
      tasks.push_back(std::move(task));

      StreamUse& use = streams[static_cast<int>(op.stream)];
      use.used = true;
      use.computes |= !is_communication(op.kernel) && op.kernel != Kernel::opaque;
      use.communicates |= is_communication(op.kernel);
      ++use.tasks;
      if (op.kernel != Kernel::input) continue;
      uint64_t bytes = 0;
      for (const PreparedOperand& operand : item.operands) bytes += operand.tensor.bytes;
      token_bytes[call.micro_batch] = std::max(token_bytes[call.micro_batch], bytes);
    }
  }
}

}  // namespace pgram
