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
  flows_[slot].id = id;
  if (!slots_.empty()) note_slot(slot);
  change();
  return slot;
}

void FlowNetwork::note_slot(uint32_t slot) {
  const uint32_t id = flows_[slot].id;
  if (id >= slots_.size()) slots_.resize(std::max<size_t>(id + 1, 2 * slots_.size()), kNone);
  slots_[id] = slot;
}

/// Most networks are never asked, and among many flows noting it would cost each of them a read from far away.
uint32_t FlowNetwork::slot_of(uint32_t id) {
  if (slots_.empty()) {
    for (uint32_t slot = 0; slot < flows_.size(); ++slot) {
      if (flows_[slot].id != kNone) note_slot(slot);
    }
  }
  return slots_[id];
}

void FlowNetwork::start(double now, uint32_t id, double bytes, double limit, std::span<const LinkUse> uses) {
  pass(now);
  const uint32_t slot = take_slot(id);
  flows_[slot] = {id, kNone, bytes, now_, 0, kInfinity};
  rates_.add(slot, limit, uses);
}

void FlowNetwork::join(double began, uint32_t id, double bytes, double limit, std::span<const LinkUse> uses) {
  const double rate = rates_.rate_alone(limit, uses);
  const uint32_t slot = take_slot(id);
  flows_[slot] = {id, kNone, bytes, began, rate, began + bytes / rate};
  queue(slot);
  rates_.add(slot, limit, uses);
}

void FlowNetwork::find_next_end() {
  next_end_ = kInfinity;
  if (!idle()) {
    if (changed_) {
      drop_void();
      if (ends_.empty() || ends_.first().date > now_ + same_date_) work_out();
    }
    next_end_ = first_end().date;
  }
  end_known_ = true;
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
  flows_[first.slot].id = flows_[first.slot].place = kNone;
  free_.push_back(first.slot);
  change();
  return first.id;
}

void FlowNetwork::set_capacity(double now, uint32_t link, double capacity) {
  pass(now);
  rates_.set_capacity(link, capacity);
  change();
}

void FlowNetwork::reroute(double now, uint32_t id, std::span<const LinkUse> uses) {
  pass(now);
  const uint32_t slot = slot_of(id);
  rates_.remove(slot);
  rates_.add(slot, rates_.limit(slot), uses);
  change();
}

double FlowNetwork::rate(uint32_t id) {
  if (changed_) work_out();
  return flows_[slot_of(id)].rate;
}

void FlowNetwork::work_out() {
  changed_ = end_known_ = false;
  ++statistics_.changes;
  for (uint32_t slot : rates_.work_out()) {
    Flow& flow = flows_[slot];
    const double rate = rates_.rate(slot);
    if (flow.id == kNone || (flow.place != kNone && rate == flow.rate)) continue;
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
  if (flow.place == kNone || flow.end < ends_.at(flow.place).date) queue(slot);
}

/// With its end.
void FlowNetwork::queue(uint32_t slot) {
  Flow& flow = flows_[slot];
  if (flow.place != kNone && ends_.is_alone(flow.place)) {
    ends_.move(flow.place, flow.end);
  } else {
    flow.place = ends_.push({flow.end, flow.id, slot});
  }
}

/// Until the first of them says when its flow ends, or none is left.
void FlowNetwork::drop_void() {
  while (!ends_.empty()) {
    const uint32_t slot = ends_.first().slot;
    Flow& flow = flows_[slot];
    const bool counts = flow.place == ends_.first_place();
    if (counts && flow.end == ends_.first().date) return;
    if (!counts || !ends_.is_alone(flow.place)) {
      ends_.pop();
      if (counts) flow.place = kNone;
    }
    if (counts) queue(slot);
  }
}

const Dated& FlowNetwork::first_end() {
  drop_void();
  return ends_.first();
}

}  // namespace pgram::sim
