#include "sim/evaluator_tables.h"

#include <algorithm>
#include <utility>

namespace pgram::sim {
namespace {

uint8_t number_of(Stream stream, Ops& ops) {
  const auto at = std::find(ops.streams.begin(), ops.streams.end(), static_cast<uint8_t>(stream));
  const auto number = static_cast<uint8_t>(at - ops.streams.begin());
  if (at == ops.streams.end()) {
    ops.streams.push_back(static_cast<uint8_t>(stream));
    ops.tails.push_back(0);
  }
  return number;
}

void add_body(const Body& body, const OpCost* cost, const std::vector<uint16_t>& comms, Ops& ops) {
  const auto first_wait = static_cast<uint32_t>(ops.waits.size());
  ops.waits.insert(ops.waits.end(), body.waits.begin(), body.waits.end());
  ops.most_ops = std::max(ops.most_ops, static_cast<uint32_t>(body.ops.size()));
  for (uint16_t i = 0; i < body.ops.size(); ++i, ++cost) {
    const Op& op = body.ops[i];
    TableOp& task = ops.tasks.emplace_back();
    task.hold = cost->hold;
    task.tail = cost->tail;
    task.first_wait = first_wait + op.first_wait;
    if (op.comm != kNoComm) {
      task.comm = static_cast<uint16_t>(1 + (std::lower_bound(comms.begin(), comms.end(), op.comm) - comms.begin()));
    }
    task.op = i;
    task.stream = number_of(op.stream, ops);
    task.num_waits = op.num_waits;
    task.last = i + 1u == body.ops.size();
    task.grouped = body.grouped;
    task.alone = body.ops.size() == 1 && !body.grouped;
    ops.tails[task.stream] = std::max(ops.tails[task.stream], task.tail);
  }
}

}  // namespace

OpTable::OpTable(const Problem& problem, const Instance& instance, const OpTable* before)
    : bodies(problem.plan.bodies.size(), &kNoOp) {
  const Usage& usage = problem.index.usage();
  const uint32_t role = problem.plan.role(instance.rank);
  comms = &usage.comms[role];
  Ops own;
  for (const uint16_t b : usage.bodies[role]) {
    add_body(problem.plan.bodies[b], instance.costs + problem.first_op[b], *comms, own);
  }
  ops = before && *before->ops == own ? before->ops : std::make_shared<const Ops>(std::move(own));
  const TableOp* next = ops->tasks.data();
  for (const uint16_t b : usage.bodies[role]) {
    const size_t size = problem.plan.bodies[b].ops.size();
    if (size > 0) bodies[b] = next;
    next += size;
  }
}

}  // namespace pgram::sim
