#include "core/timeline/rank_tasks.h"

#include <algorithm>

namespace pgram {

const Span* RankTasks::explains(const Span& span) const {
  const RoleTask task{span.call, span.op};
  const Picoseconds start = span.start;
  const Span* last = nullptr;
  Picoseconds latest = 0;
  const auto come = [&](const Span& before) {
    const Picoseconds end = std::min(before.end, start);
    if (last && end <= latest) return true;
    last = &before;
    latest = end;
    return latest < start;  // else nothing ends later
  };
  if (!streams) {
    order->for_predecessors(task, [&](RoleTask before) {
      const Span* const ended = by_task->last_so_far[order->number(before)];
      return !ended || come(*ended);
    });
    return last;
  }
  const OpOrder& own = op(span);
  const Span* const head = own.grouped ? find(order->comes_with(task)) : &span;
  const bool is_first = head == (*streams)[static_cast<size_t>(own.stream)];
  if (is_first || come(head[-1])) order->for_waits(task, [&](RoleTask before) { return come(*find(before)); });
  return last;
}

}  // namespace pgram
