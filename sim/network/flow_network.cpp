#include "sim/network/flow_network.h"

#include <limits>

namespace pgram::sim {

static constexpr double kInfinity = std::numeric_limits<double>::infinity();

FlowNetwork::FlowNetwork(std::vector<double> capacities, double same_date)
    : rates_(std::move(capacities)), same_date_(same_date) {}

uint32_t FlowNetwork::take_slot(uint32_t id) {
  uint32_t slot = static_cast<uint32_t>(flows_.size());
  if (free_.empty()) {
    flows_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  if (id >= slots_.size()) slots_.resize(std::max<size_t>(id + 1, 2 * slots_.size()), kNone);
  slots_[id] = slot;
  changed_ = true;
  return slot;
}

void FlowNetwork::start(double now, uint32_t id, double bytes, double limit, std::span<const LinkUse> uses) {
  pass(now);
  const uint32_t slot = take_slot(id);
  flows_[slot] = {id, false, bytes, now_, 0, kInfinity, limit};
  rates_.add(slot, limit, uses);
}

void FlowNetwork::join(double began, uint32_t id, double bytes, double limit, std::span<const LinkUse> uses) {
  const double rate = rates_.rate_alone(limit, uses);
  const uint32_t slot = take_slot(id);
  flows_[slot] = {id, true, bytes, began, rate, began + bytes / rate, limit};
  ends_.push({flows_[slot].end, id, slot});
  rates_.add(slot, limit, uses);
}

bool FlowNetwork::idle() const {
  return free_.size() == flows_.size();
}

double FlowNetwork::next_end() {
  if (idle()) return kInfinity;
  if (changed_ && (ends_.empty() || first_end().date > now_ + same_date_)) work_out();
  return first_end().date;
}

FlowNetwork::Ending FlowNetwork::next_ending() {
  const Flow& flow = flows_[first_end().slot];
  return {flow.since, flow.left > 0 ? flow.left / flow.rate : 0};
}

uint32_t FlowNetwork::finish() {
  return finish(next_end());
}

uint32_t FlowNetwork::finish(double date) {
  const Dated first = first_end();
  ends_.pop();
  pass(date);
  rates_.remove(first.slot);
  flows_[first.slot].id = kNone;
  slots_[first.id] = kNone;
  free_.push_back(first.slot);
  changed_ = true;
  return first.id;
}

void FlowNetwork::set_capacity(double now, uint32_t link, double capacity) {
  pass(now);
  rates_.set_capacity(link, capacity);
  changed_ = true;
}

void FlowNetwork::reroute(double now, uint32_t id, std::span<const LinkUse> uses) {
  pass(now);
  const uint32_t slot = slots_[id];
  rates_.remove(slot);
  rates_.add(slot, flows_[slot].limit, uses);
  changed_ = true;
}

double FlowNetwork::rate(uint32_t id) {
  if (changed_) work_out();
  return flows_[slots_[id]].rate;
}

void FlowNetwork::work_out() {
  changed_ = false;
  ++statistics_.changes;
  for (uint32_t slot : rates_.work_out()) {
    Flow& flow = flows_[slot];
    const double rate = rates_.rate(slot);
    if (flow.id == kNone || (flow.has_end && rate == flow.rate)) continue;
    ++statistics_.changed;
    if (now_ > flow.since) flow.left = std::max(0.0, flow.left - flow.rate * (now_ - flow.since));
    flow.since = now_;
    flow.rate = rate;
    update_end(slot);
  }
  statistics_.touched = rates_.touched();
}

void FlowNetwork::update_end(uint32_t slot) {
  Flow& flow = flows_[slot];
  flow.end = flow.left <= 0 ? now_ : flow.rate > 0 ? now_ + flow.left / flow.rate : kInfinity;
  if (!flow.has_end) {
    flow.has_end = true;
    ends_.push({flow.end, flow.id, slot});
  } else if (flow.end < ends_.date(slot)) {
    ends_.advance(slot, flow.end);
  }
}

const Dated& FlowNetwork::first_end() {
  while (ends_.first().date < flows_[ends_.first().slot].end) ends_.delay_first(flows_[ends_.first().slot].end);
  return ends_.first();
}

}  // namespace pgram::sim
