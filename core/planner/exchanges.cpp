#include "core/planner/exchanges.h"

#include <algorithm>
#include <deque>

namespace pgram {
namespace {

bool is_send(SlotKind kind) {
  return kind == SlotKind::send_f || kind == SlotKind::send_b;
}
bool is_receive(SlotKind kind) {
  return kind == SlotKind::recv_f || kind == SlotKind::recv_b;
}

/// Each receive just before the op that needs it; receives of one kind keep their order, since the k-th send of a
/// channel meets the k-th receive.
ScheduleRow with_late_receives(const ScheduleRow& row) {
  ScheduleRow late;
  std::deque<ScheduleOp> activations, gradients;  // posted above, not yet needed
  const auto place_up_to = [&](std::deque<ScheduleOp>& posted, uint16_t micro_batch) {
    const auto is_needed = [&](const ScheduleOp& op) { return op.micro_batch == micro_batch; };
    if (std::none_of(posted.begin(), posted.end(), is_needed)) return;
    for (bool found = false; !found; posted.pop_front()) {
      late.push_back(posted.front());
      found = is_needed(posted.front());
    }
  };
  for (const ScheduleOp& op : row) {
    if (is_receive(op.kind)) {
      (op.kind == SlotKind::recv_f ? activations : gradients).push_back(op);
      continue;
    }
    if (op.kind == SlotKind::F) place_up_to(activations, op.micro_batch);
    if (op.kind == SlotKind::B || op.kind == SlotKind::I) place_up_to(gradients, op.micro_batch);
    late.push_back(op);
  }
  return late;
}

/// A send of activations goes where gradients come from, and the other way round.
bool is_exchange(SlotKind send, SlotKind receive) {
  return (send == SlotKind::send_f && receive == SlotKind::recv_b) ||
         (send == SlotKind::send_b && receive == SlotKind::recv_f);
}

Schedule with_joins(Schedule rows) {
  for (ScheduleRow& row : rows) {
    for (size_t i = 1; i < row.size(); ++i) row[i].joins = is_exchange(row[i - 1].kind, row[i].kind);
  }
  return rows;
}

/// Number of the channel that a send or receive of a rank belongs to.
size_t channel_of(size_t rank, SlotKind kind) {
  switch (kind) {
    case SlotKind::send_f:
      return 2 * rank;
    case SlotKind::recv_f:
      return 2 * (rank - 1);
    case SlotKind::send_b:
      return 2 * rank + 1;
    default:
      return 2 * (rank + 1) + 1;
  }
}

}  // namespace

bool rendezvous_finishes(const Schedule& rows) {
  std::vector<size_t> at(rows.size(), 0), unmet(rows.size(), 0), ready(rows.size());
  std::vector<int> waiting(2 * rows.size(), -1);  // per channel: the rank that has come first
  for (size_t rank = 0; rank < rows.size(); ++rank) ready[rank] = rank;
  const auto is_message = [](const ScheduleOp& op) { return is_send(op.kind) || is_receive(op.kind); };
  while (!ready.empty()) {
    const size_t rank = ready.back();
    ready.pop_back();
    const ScheduleRow& row = rows[rank];
    while (at[rank] < row.size() && !is_message(row[at[rank]])) ++at[rank];
    const size_t first = at[rank];
    while (at[rank] < row.size() && (at[rank] == first || row[at[rank]].joins)) ++at[rank];
    unmet[rank] = at[rank] - first;
    for (size_t i = first; i < at[rank]; ++i) {
      int& here = waiting[channel_of(rank, row[i].kind)];
      if (here < 0) {
        here = static_cast<int>(rank);
        continue;
      }
      for (const size_t end : {static_cast<size_t>(here), rank}) {
        if (--unmet[end] == 0) ready.push_back(end);
      }
      here = -1;
    }
  }
  for (size_t rank = 0; rank < rows.size(); ++rank) {
    if (unmet[rank] || at[rank] < rows[rank].size()) return false;
  }
  return true;
}

Schedule pair_exchanges(const Schedule& lowered) {
  Schedule late;
  for (const ScheduleRow& row : lowered) late.push_back(with_late_receives(row));
  late = with_joins(std::move(late));
  return rendezvous_finishes(late) ? late : with_joins(lowered);
}

}  // namespace pgram
