#include "sim/plan_index.h"

#include <algorithm>
#include <utility>

#include "sim/call_times.h"

namespace pgram::sim {
namespace {

Transfers find_transfers(const Plan& plan, const Usage& usage) {
  Transfers found;
  found.of_comm.resize(plan.comms.size());
  found.of_op.resize(usage.first_op.back());
  for (size_t b = 0; b < plan.bodies.size(); ++b) {
    for (size_t i = 0; i < plan.bodies[b].ops.size(); ++i) {
      const Op& op = plan.bodies[b].ops[i];
      if (op.comm == kNoComm) continue;
      std::vector<Transfers::Transfer>& known = found.of_comm[op.comm];
      const Transfers::Transfer transfer{op.kernel, op.bytes};
      const auto at = std::find(known.begin(), known.end(), transfer);
      found.of_op[usage.first_op[b] + i] = static_cast<uint16_t>(at - known.begin());
      if (at == known.end()) known.push_back(transfer);
    }
  }
  return found;
}

bool ends_in_order(const Plan& plan, const Usage& usage) {
  for (const std::vector<uint16_t>& bodies : usage.bodies) {  // of each role
    std::array<const Op*, kStreams> some{};                   // of each stream
    std::array<bool, kStreams> receives{};
    for (uint16_t b : bodies) {
      if (plan.bodies[b].grouped) return false;
      for (const Op& op : plan.bodies[b].ops) {
        const size_t stream = static_cast<size_t>(op.stream);
        receives[stream] = receives[stream] || op.kernel == Kernel::recv;
        if (!some[stream]) some[stream] = &op;
        const Op& first = *some[stream];
        const bool alike = first.kernel == op.kernel && first.comm == op.comm && first.bytes == op.bytes;
        if (receives[stream] && !alike) return false;
      }
    }
  }
  return true;
}

std::vector<std::array<uint64_t, kStreams>> count_tasks(const Plan& plan, const Usage& usage) {
  std::vector<std::array<uint64_t, kStreams>> tasks(plan.programs.size());
  for (size_t role = 0; role < tasks.size(); ++role) {
    for (uint16_t body : usage.bodies[role]) {
      for (const Op& op : plan.bodies[body].ops) {
        tasks[role][static_cast<size_t>(op.stream)] += usage.calls[role][body];
      }
    }
  }
  return tasks;
}

}  // namespace

StreamIndex::StreamIndex(const Plan& plan, const Usage& usage) : bodies(streams_of_bodies(plan)) {
  orders.reserve(plan.programs.size());
  for (uint32_t role = 0; role < plan.programs.size(); ++role) orders.emplace_back(plan, bodies, usage, role);
  first_compute.reserve(bodies.size());
  closable.reserve(bodies.size());
  for (const Body& body : plan.bodies) {
    const auto compute = std::ranges::find(body.ops, Stream::compute, &Op::stream);
    first_compute.push_back(static_cast<uint16_t>(compute - body.ops.begin()));
    // Without compute, that of another call could run beside it, and would be slowed down by its collectives.
    const bool may_close = !body.grouped && body.ops.size() >= kFewestReplayed && compute != body.ops.end();
    closable.push_back(may_close ? static_cast<uint16_t>(num_closable++) : CallTimes::kNoBody);
    if (body.grouped) largest_group = std::max(largest_group, static_cast<uint32_t>(body.ops.size()));
  }
}

PlanIndex::PlanIndex(std::shared_ptr<const Plan> plan)
    : plan_(std::move(plan)),
      usage_(find_usage(*plan_)),
      transfers_(find_transfers(*plan_, usage_)),
      ends_in_order_(sim::ends_in_order(*plan_, usage_)),
      tasks_(count_tasks(*plan_, usage_)) {}

}  // namespace pgram::sim
