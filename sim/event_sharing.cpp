// Tasks of the event loop that share a device's SMs, or the cores of a machine.
#include <utility>

#include "sim/event_loop.h"

namespace pgram::sim {

template <bool kShares>
void EventLoop<kShares>::take_share(const Running& task, double share) {
  const uint32_t rank = task.rank;
  RankCalls* const calls = calls_of(rank);
  while (calls && calls->replay) disturb(rank);  // what follows may run as one too
  if (calls && calls->records && place_in(calls->part, task) == kNone) calls->records = nullptr;
  const Picoseconds end = sms_.take(now_, rank, share);
  if (end < 0) return;
  push_other(end, Other::compute_may_end, rank);
  if (calls && calls->records)
    calls->records->slowed.push_back({running(sms_.task(rank)).op->op, now_ - calls->since, sms_.left(rank)});
}

template <bool kShares>
void EventLoop<kShares>::pair_up(const uint32_t* waiting) {
  if (!problem_.shared_cores) return;
  partners_[waiting[0]] = waiting[1];
  partners_[waiting[1]] = waiting[0];
}

template <bool kShares>
void EventLoop<kShares>::work_done(uint32_t index) {
  const auto end = [&](const Running& task) { schedule_end(task, now_, task.op->hold - cost_of(task).work); };
  const uint32_t partner = std::exchange(partners_[index], kNone);
  end(running(index));
  if (partner == kNone) return;
  partners_[partner] = kNone;
  end(running(partner));
}

template class EventLoop<true>;

}  // namespace pgram::sim
