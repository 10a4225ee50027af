// What is the same in every call of a body: which ops share a stream or a communicator, in what order, and their kind.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "core/plan/plan.h"
#include "core/timeline/timeline.h"

namespace pgram {

/// Of all bodies of a Plan, in flat lists: learned once, for all roles.
class BodyOrders {
 public:
  explicit BodyOrders(const Plan&);

  static constexpr uint16_t kNone = 0xffff;
  struct OpOrder {
    uint16_t lane = 0;        ///< of the body's
    uint16_t place = 0;       ///< in its lane
    uint16_t before = kNone;  ///< the op before it on its stream, in this body
    uint16_t comm = kNoComm;
    uint16_t group = kNone;  ///< of the body's; none where it is on no communicator of the plan
    uint16_t turn = 0;       ///< how many of the body's ops before it are on its communicator
    uint32_t first_wait = 0;
    uint16_t num_waits = 0;
    bool grouped = false;  ///< its body is
    Kernel kernel = Kernel::opaque;
    Category category = Category::other;
    Stream stream = Stream::compute;
    bool in_role = true;  ///< meets nobody of another role
  };
  static_assert(sizeof(OpOrder) == 24);
  /// The ops of a body that are on one stream, or on one communicator, in issue order.
  struct Lane {
    Stream stream = Stream::compute;
    Category category = Category::other;  ///< of the first; of all where the stream holds no communication
    uint16_t comm = kNoComm;              ///< of all
    uint32_t first_op = 0, num_ops = 0;
  };
  struct Group {
    uint16_t comm = 0;
    uint32_t first_op = 0, num_ops = 0;
  };

  struct BodyOrder {
    uint32_t first_op = 0, num_ops = 0, first_lane = 0, num_lanes = 0, first_group = 0, num_groups = 0;
  };

  const BodyOrder& of(uint16_t body) const { return bodies_[body]; }
  /// Of all bodies, one after the other.
  const std::vector<OpOrder>& ops() const { return ops_; }
  std::span<const Lane> lanes(uint16_t body) const {
    return {lanes_.data() + bodies_[body].first_lane, bodies_[body].num_lanes};
  }
  /// Null if the body has no op on the stream.
  const Lane* lane(uint16_t body, Stream stream) const {
    const uint16_t place = lane_on_stream_[size_t{body} * kStreams + static_cast<size_t>(stream)];
    return place == kNone ? nullptr : lanes_.data() + bodies_[body].first_lane + place;
  }
  std::span<const Group> groups(uint16_t body) const {
    return {groups_.data() + bodies_[body].first_group, bodies_[body].num_groups};
  }
  /// What the spans of a lane begin with: Span::head_of.
  std::span<const uint64_t> heads_of(const Lane& lane) const { return {heads_.data() + lane.first_op, lane.num_ops}; }
  std::span<const uint16_t> ops_of(const Group& group) const {
    return {group_ops_.data() + group.first_op, group.num_ops};
  }
  /// Ops of its own body that an op waits for.
  std::span<const uint16_t> waits_of(const OpOrder& op) const { return {waits_.data() + op.first_wait, op.num_waits}; }
  /// Whether any body has communication on the stream.
  bool communicates(Stream stream) const { return communicating_ >> static_cast<int>(stream) & 1; }

 private:
  void learn(const Plan&, const Body&);

  std::vector<BodyOrder> bodies_;
  std::vector<OpOrder> ops_;
  std::vector<Lane> lanes_;
  std::vector<uint16_t> lane_on_stream_;  // of each body the lane on each stream
  std::vector<Group> groups_;
  std::vector<uint64_t> heads_;  // of the ops of lanes
  std::vector<uint16_t> group_ops_, waits_;
  uint32_t communicating_ = 0;  // bit for each stream
};

}  // namespace pgram
