// The spans of a rank by their tasks, and which of them explains when another one starts.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "core/timeline/role_order.h"
#include "core/timeline/timeline.h"

namespace pgram {

/// Of one step; several alike ranks may have one.
struct RankTasks {
  using OpOrder = BodyOrders::OpOrder;
  /// The first span of each stream, and the end of the last one's.
  using Streams = std::array<const Span*, kStreams + 1>;
  /// By number of the task: its span, and of it and all before it on its stream the one that ends last.
  struct ByTask {
    std::vector<const Span*> span_of, last_so_far;
  };

  uint32_t role = 0;
  const RoleOrder* order = nullptr;
  std::span<const Span> spans;
  /// Where every task has a span, and the spans of each stream are and end in the plan's order, as simulated ones do.
  /// Else by_task.
  const Streams* streams = nullptr;
  const ByTask* by_task = nullptr;

  /// What is the same of a task in every call of its body.
  const OpOrder& op(const Span& span) const { return order->op({span.call, span.op}); }
  const Span* find(RoleTask task) const {
    if (!streams) return by_task->span_of[order->number(task)];
    return in_order(task.call, order->op(task));
  }
  /// Of what a task waits for before it can meet its partners, what ended last: it explains the task's start. Null
  /// where there is no such task or it left no span. Ends count up to the task's own start.
  const Span* explains(const Span&) const;

  // Where the spans are in the plan's order.

  std::span<const Span> on(Stream stream) const {
    const Span* const* const first = streams->data() + static_cast<size_t>(stream);
    return {first[0], first[1]};
  }
  const Span* in_order(uint32_t call, const OpOrder& op) const {
    return (*streams)[static_cast<size_t>(op.stream)] + order->place(call, op);
  }
};

}  // namespace pgram
