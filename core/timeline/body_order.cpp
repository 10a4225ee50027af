#include "core/timeline/body_order.h"

#include <algorithm>
#include <array>
#include <utility>

namespace pgram {

BodyOrders::BodyOrders(const Plan& plan) {
  size_t ops = 0, waits = 0;
  for (const Body& body : plan.bodies) {
    ops += body.ops.size();
    waits += body.waits.size();
  }
  bodies_.reserve(plan.bodies.size());
  ops_.reserve(ops);
  heads_.reserve(ops);
  group_ops_.reserve(ops);
  waits_.reserve(waits);
  lane_on_stream_.assign(plan.bodies.size() * kStreams, kNone);
  for (const Body& body : plan.bodies) learn(plan, body);
}

void BodyOrders::learn(const Plan& plan, const Body& body) {
  uint16_t* const lane_on = lane_on_stream_.data() + bodies_.size() * kStreams;
  BodyOrder& own = bodies_.emplace_back();
  own.first_op = static_cast<uint32_t>(ops_.size());
  own.num_ops = static_cast<uint32_t>(body.ops.size());
  own.first_lane = static_cast<uint32_t>(lanes_.size());
  own.first_group = static_cast<uint32_t>(groups_.size());
  const auto first_wait = static_cast<uint32_t>(waits_.size());
  waits_.insert(waits_.end(), body.waits.begin(), body.waits.end());
  std::array<uint16_t, kStreams> last;
  last.fill(kNone);
  for (uint16_t i = 0; i < body.ops.size(); ++i) {
    const Op& op = body.ops[i];
    OpOrder& order = ops_.emplace_back();
    order.comm = op.comm;
    order.first_wait = first_wait + op.first_wait;
    order.num_waits = op.num_waits;
    order.grouped = body.grouped;
    order.kernel = op.kernel;
    order.category = category_of(body, op);
    order.stream = op.stream;
    if (is_communication(op.kernel)) communicating_ |= 1u << static_cast<int>(op.stream);
    uint16_t& lane = lane_on[static_cast<size_t>(op.stream)];
    if (lane == kNone) {
      lane = static_cast<uint16_t>(lanes_.size() - own.first_lane);
      lanes_.push_back({op.stream, order.category, op.comm, 0, 0});
    }
    order.lane = lane;
    Lane& on = lanes_[own.first_lane + order.lane];
    if (on.comm != op.comm) on.comm = kNoComm;
    order.place = static_cast<uint16_t>(on.num_ops++);
    order.before = std::exchange(last[static_cast<size_t>(op.stream)], i);
    if (op.comm >= plan.comms.size()) continue;
    order.in_role = !plan.comms[op.comm].directed && !(plan.comms[op.comm].axes & kPp);
    const auto groups = groups_.begin() + own.first_group;
    const auto group = std::find_if(groups, groups_.end(), [&](const Group& g) { return g.comm == op.comm; });
    order.group = static_cast<uint16_t>(group - groups);
    if (group == groups_.end()) groups_.push_back({op.comm, 0, 0});
    order.turn = static_cast<uint16_t>(groups_[own.first_group + order.group].num_ops++);
  }
  own.num_lanes = static_cast<uint32_t>(lanes_.size()) - own.first_lane;
  own.num_groups = static_cast<uint32_t>(groups_.size()) - own.first_group;
  for (Lane& lane : std::span(lanes_).subspan(own.first_lane)) {
    lane.first_op = static_cast<uint32_t>(heads_.size());
    heads_.resize(heads_.size() + lane.num_ops);
  }
  for (Group& group : std::span(groups_).subspan(own.first_group)) {
    group.first_op = static_cast<uint32_t>(group_ops_.size());
    group_ops_.resize(group_ops_.size() + group.num_ops);
  }
  for (uint16_t i = 0; i < body.ops.size(); ++i) {
    const OpOrder& order = ops_[own.first_op + i];
    heads_[lanes_[own.first_lane + order.lane].first_op + order.place] = Span::head_of(i, order.stream);
    if (order.group != kNone) group_ops_[groups_[own.first_group + order.group].first_op + order.turn] = i;
  }
}

}  // namespace pgram
