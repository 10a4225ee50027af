#include "sim/network/flow_network.h"

#include <algorithm>
#include <limits>

#include "sim/network/water_filling.h"

namespace pgram::sim {

static constexpr double kInfinity = std::numeric_limits<double>::infinity();

FlowNetwork::FlowNetwork(std::vector<double> capacities, double same_date)
    : capacities_(std::move(capacities)), same_date_(same_date) {}

void FlowNetwork::start(double now, uint32_t id, double bytes, double limit, std::span<const LinkUse> uses) {
  advance(now);
  flows_.push_back({id, bytes, limit, 0, uses});
  changed_ = true;
}

bool FlowNetwork::idle() const {
  return flows_.empty();
}

double FlowNetwork::next_end() {
  if (flows_.empty()) return kInfinity;
  if (changed_ && end(*next()) > now_ + same_date_) work_out();
  return end(*next());
}

uint32_t FlowNetwork::finish() {
  next_end();
  const Flow* first = next();
  const uint32_t id = first->id;
  const ptrdiff_t place = first - flows_.data();
  advance(std::max(now_, end(*first)));
  flows_.erase(flows_.begin() + place);
  changed_ = true;
  return id;
}

void FlowNetwork::set_capacity(double now, uint32_t link, double capacity) {
  advance(now);
  capacities_[link] = capacity;
  changed_ = true;
}

void FlowNetwork::reroute(double now, uint32_t id, std::span<const LinkUse> uses) {
  advance(now);
  find(id).uses = uses;
  changed_ = true;
}

double FlowNetwork::rate(uint32_t id) {
  if (changed_) work_out();
  return find(id).rate;
}

double FlowNetwork::end(const Flow& flow) const {
  return flow.rate > 0 ? now_ + flow.left / flow.rate : kInfinity;
}

const FlowNetwork::Flow* FlowNetwork::next() const {
  const auto earlier = [&](const Flow& a, const Flow& b) { return end(a) != end(b) ? end(a) < end(b) : a.id < b.id; };
  return &*std::min_element(flows_.begin(), flows_.end(), earlier);
}

FlowNetwork::Flow& FlowNetwork::find(uint32_t id) {
  return *std::find_if(flows_.begin(), flows_.end(), [&](const Flow& flow) { return flow.id == id; });
}

void FlowNetwork::advance(double now) {
  for (Flow& flow : flows_) {
    if (now > now_) flow.left = std::max(0.0, flow.left - flow.rate * (now - now_));
  }
  now_ = std::max(now, now_);
}

void FlowNetwork::work_out() {
  std::vector<WaterFlow> all;
  for (const Flow& flow : flows_) all.push_back({flow.limit, flow.uses});
  const std::vector<double> rates = water_filling(capacities_, all);
  ++statistics_.changes;
  statistics_.touched += flows_.size();
  for (size_t f = 0; f < flows_.size(); ++f) {
    statistics_.changed += rates[f] != flows_[f].rate;
    flows_[f].rate = rates[f];
  }
  changed_ = false;
}

}  // namespace pgram::sim
