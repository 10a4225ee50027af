// Transfers of the event loop that share links: flows, and the steps of collectives.
#include <algorithm>
#include <limits>
#include <utility>

#include "sim/event_loop.h"

namespace pgram::sim {

template <bool kShares>
void EventLoop<kShares>::look_at(uint32_t place, const TransferCost& transfer, Flow& flow) {
  flow.bytes = transfer.bytes;
  flow.limit = transfer.limit;
  flow.lane = transfer.lane;
  flow.uses = problem_.links->uses(epoch_, place, transfer.lane);
  flow.takes = std::llround(transfer.bytes / transfer.limit);
  flow.unhindered = network_.rate_alone(transfer.limit, flow.uses) == transfer.limit;
}

template <bool kShares>
void EventLoop<kShares>::start_flow(uint32_t place) {
  const std::span<const uint32_t> members = members_at(place);
  for (uint32_t index : members) begin_span(running(index));
  const Running& first = running(members[0]);
  if (is_point_to_point(first.op->kernel)) {
    begin_flow(place);
  } else if (problem_.steps) {
    start_steps(place);
  } else {
    push_other(now_ + transfer_of(first)->latency, Other::flow_begins, place);
  }
}

template <bool kShares>
void EventLoop<kShares>::begin_flow(uint32_t place) {
  const Running& first = running(members_at(place)[0]);
  Flow& flow = look_at_transfer(place, first);
  flow.flows = true;
  come_to_links(flow.uses, first);
  flow.begin = now_;
  flow.alone_end = now_ + flow.takes;
  if (runs_alone(place)) return;
  network_.start(static_cast<double>(now_), place, flow.bytes, flow.limit, flow.uses);
  if (problem_.first_span) contention_.begin(now_, place, task_of(first), flow.uses);
}

/// If nobody is on the links of a flow and they are fast enough, it ends when it may until somebody comes.
template <bool kShares>
bool EventLoop<kShares>::runs_alone(uint32_t place) {
  Flow& flow = flows_[place];
  const bool alone = !links_.empty() && flow.unhindered && flow.alone_end < kExactDates &&
                     std::ranges::all_of(flow.uses, [&](const LinkUse& use) { return links_[use.link].flows == 1; });
  if (!alone) return false;
  flow.alone = true;
  for (const LinkUse& use : flow.uses) links_[use.link].alone = place;
  push_other(flow.alone_end, Other::flow_may_end, place);
  return true;
}

/// A flow that was alone since it began comes to be one among others.
template <bool kShares>
void EventLoop<kShares>::join_network(uint32_t place) {
  Flow& flow = flows_[place];
  if (std::exchange(flow.alone, false)) {
    for (const LinkUse& use : flow.uses) links_[use.link].alone = kNone;
  }
  network_.join(static_cast<double>(flow.begin), place, flow.bytes, flow.limit, flow.uses);
  if (problem_.first_span) contention_.begin(flow.begin, place, task_of(running(members_at(place)[0])), flow.uses);
}

/// A flow, or a call that runs as one, was alone on these links until now.
template <bool kShares>
void EventLoop<kShares>::come_to_links(std::span<const LinkUse> uses, const Running& first) {
  if (links_.empty()) return;
  for (const LinkUse& use : uses) ++links_[use.link].flows;
  for (const LinkUse& use : uses) {
    if (const uint32_t alone = links_[use.link].alone; alone != kNone) join_network(alone);
    if (links_[use.link].of_calls == kNone) continue;
    const uint32_t rank = streams_[links_[use.link].of_calls].task.rank;
    RankCalls& calls = calls_[rank];
    if (calls.replay) disturb(rank);
    if (calls.records && (first.rank != rank || place_in(calls.part, first) == kNone)) calls.records = nullptr;
  }
}

template <bool kShares>
void EventLoop<kShares>::leave_links(uint32_t place) {
  if (links_.empty()) return;
  for (const LinkUse& use : flows_[place].uses) {
    --links_[use.link].flows;
    links_[use.link].alone = kNone;
  }
}

template <bool kShares>
void EventLoop<kShares>::flow_done(uint32_t place) {
  Flow& flow = flows_[place];
  flow.flows = false;
  leave_links(place);
  for (uint32_t index : members_at(place)) schedule_end(running(index), now_, 0);
  if (problem_.first_span && !flow.alone) {
    const auto& losses = contention_.end(now_, place, now_ - flow.alone_end);
    for (uint32_t index : members_at(place)) hold_back(index, losses);
  }
  flow.alone = false;
}

template <bool kShares>
void EventLoop<kShares>::start_steps(uint32_t place) {
  const std::span<uint32_t> tasks = members_at(place);
  const Running& first = running(tasks[0]);
  const TransferCost& transfer = *transfer_of(first);
  if (problem_.first_span)
    contention_.begin(now_, place, task_of(first), problem_.links->uses(epoch_, place, transfer.lane));
  std::ranges::sort(tasks, {}, [&](uint32_t index) { return running(index).rank; });
  steps_went_on(problem_.steps->start(now_, place, transfer, first.op->hold, tasks, network_));
}

template <bool kShares>
void EventLoop<kShares>::steps_went_on(const StepRuns::Happened& happened) {
  for (const auto& [message, latency] : happened.waits) push_other(now_ + latency, Other::step_begins, message);
  for (const auto& [index, lost] : happened.ended) {
    if (problem_.first_span) hold_back(index, contention_.so_far(now_, happened.place, lost));
    schedule_end(running(index), now_, 0);
  }
  if (happened.over && problem_.first_span) contention_.end(now_, happened.place, 0);
}

template <bool kShares>
void EventLoop<kShares>::hold_back(uint32_t index, const std::vector<ContentionLog::Loss>& losses) {
  const uint32_t span = static_cast<uint32_t>(running(index).span - problem_.first_span);
  for (const auto& [task, lost] : losses) held_back_.push_back({0, span, task.rank, task.call, task.op, {}, lost});
}

template <bool kShares>
void EventLoop<kShares>::link_changes(uint32_t change_index) {
  const SharedLinks::Change& change = problem_.links->changes[change_index];
  const double now = static_cast<double>(now_);
  if (change.begins_epoch) {
    ++epoch_;
    for (uint32_t place = 0; place < flows_.size(); ++place) {
      flows_[place].limit = 0;
      if (flows_[place].flows)
        network_.reroute(now, place, look_at_transfer(place, running(members_at(place)[0])).uses);
    }
    if (problem_.steps) problem_.steps->next_epoch(now_, network_);
  }
  if (change.link != kNone) network_.set_capacity(now, change.link, change.capacity);
}

template <bool kShares>
Picoseconds EventLoop<kShares>::find_flow_end() {
  constexpr double kNever = 9e18;
  const double end = network_.next_end();
  if (end > kNever) return std::numeric_limits<Picoseconds>::max();
  // What a flow takes alone is the same whenever it starts.
  const auto [since, after] = network_.next_ending();
  const double whole = std::floor(since);
  return std::max<Picoseconds>(now_, static_cast<Picoseconds>(whole) + std::llround(since - whole + after));
}

template class EventLoop<true>;

}  // namespace pgram::sim
