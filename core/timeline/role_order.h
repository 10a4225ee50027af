// What the tasks of a role wait for, as the Plan orders them: streams, waits, events, meetings.
#pragma once
#include <algorithm>
#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/timeline/body_order.h"

namespace pgram {

/// A task of a role, the same for all of its ranks; ascending in issue order.
struct RoleTask {
  uint32_t call = 0;
  uint16_t op = 0;
  auto operator<=>(const RoleTask&) const = default;
};

/// The tasks of a Program. What is the same in every call of a body is kept once for the body, so that its making costs
/// time per call and event, not per task.
class RoleOrder {
 public:
  using OpOrder = BodyOrders::OpOrder;

  /// All must outlive it.
  RoleOrder(const Plan&, const BodyOrders&, const Program&);

  uint32_t size() const { return size_; }
  uint32_t tasks_on(Stream stream) const { return tasks_on_[static_cast<size_t>(stream)]; }
  /// Tasks numbered in issue order.
  uint32_t number(RoleTask task) const { return calls_[task.call].first_task + task.op; }
  const OpOrder& op(RoleTask task) const { return ops_[calls_[task.call].first_op + task.op]; }
  /// How many tasks come before it on its stream.
  uint32_t place(RoleTask task) const { return place(task.call, op(task)); }
  uint32_t place(uint32_t call, const OpOrder& op) const { return place(call, op.lane) + op.place; }
  /// The tasks of a call that are on a stream, and how many of the stream's come before them.
  struct CallLane {
    uint32_t place = 0;
    const BodyOrders::Lane* ops = nullptr;  ///< null if there are none
  };
  CallLane lane(uint32_t call, Stream) const;
  /// Of a lane of the call's body the CallLane::place.
  uint32_t place(uint32_t call, uint16_t lane) const { return lanes_[calls_[call].first_lane + lane].place; }

  /// The task that must have come to the head of its stream, for this one to: what the first op of a grouped body waits
  /// for, all of them do.
  RoleTask comes_with(RoleTask task) const { return {task.call, op(task).grouped ? uint16_t{0} : task.op}; }
  /// Calls `visit`, until it says false, with the tasks that must have ended, and with each all before it on its
  /// stream: the one before on the stream of comes_with() (first, if there is one), then for_waits().
  template <class Visit>
  void for_predecessors(RoleTask, Visit&& visit) const;
  /// Of those the ones that the body names, and those whose events are awaited.
  template <class Visit>
  void for_waits(RoleTask, Visit&& visit) const;
  /// Communication: the k-th operation of its communicator meets the k-th of every other member.
  uint32_t turn(RoleTask) const;
  /// The stream that a communicator of the plan has for itself, if all of its operations are on it and nothing else is:
  /// the k-th is at place k.
  std::optional<Stream> own_stream(uint16_t comm) const { return own_stream_[comm]; }
  /// The role's k-th operation on a communicator, if it has so many.
  std::optional<RoleTask> at_turn(uint16_t comm, uint32_t turn) const;

 private:
  static constexpr RoleTask kNobody{~0u, 0};

  struct CallOrder {
    uint32_t first_task = 0;
    uint32_t first_op = 0;       ///< in ops_
    uint32_t first_lane = 0;     ///< in lanes_
    uint32_t first_meeting = 0;  ///< in turns_, one for each communicator of the body
  };
  /// What comes before a lane of a call on its stream: how many tasks, and the call of the last of them.
  struct LaneOrder {
    uint32_t place = 0;
    uint32_t call_before = 0;
  };
  /// The operations of a call on one communicator.
  struct Meeting {
    uint32_t call = 0;
    uint32_t turn = 0;   ///< of the first
    uint32_t group = 0;  ///< of the body's
  };

  void make_room(const Plan&);
  RoleTask before(RoleTask) const;
  template <class Visit>
  bool for_awaited(RoleTask, Visit&& visit) const;

  const BodyOrders& bodies_;
  const Program& program_;
  const OpOrder* ops_;
  uint32_t size_ = 0;
  std::array<uint32_t, kStreams> tasks_on_{};
  std::vector<CallOrder> calls_;
  std::vector<LaneOrder> lanes_;         // of all calls, a call's one after the other
  std::vector<RoleTask> awaited_;        // by sync: the task whose event it waits for; kNobody if it waits for none
  std::vector<uint32_t> turns_;          // of each communicator of each call how many of its operations came before
  std::vector<Meeting> meetings_;        // by communicator
  std::vector<uint32_t> first_of_comm_;  // in meetings_
  std::vector<std::optional<Stream>> own_stream_;
};

/// Of all roles of a Plan.
class PlanOrder {
 public:
  /// The plan must outlive it.
  explicit PlanOrder(const Plan&);
  PlanOrder(const PlanOrder&) = delete;
  PlanOrder& operator=(const PlanOrder&) = delete;

  const BodyOrders& bodies() const { return bodies_; }
  const RoleOrder& role(uint32_t role) const { return roles_[role]; }

 private:
  BodyOrders bodies_;
  std::vector<RoleOrder> roles_;
};

inline RoleOrder::CallLane RoleOrder::lane(uint32_t call, Stream stream) const {
  const uint16_t body = program_.calls[call].body;
  const BodyOrders::Lane* ops = bodies_.lane(body, stream);
  if (!ops) return {};
  return {lanes_[calls_[call].first_lane + static_cast<size_t>(ops - bodies_.lanes(body).data())].place, ops};
}

/// The task before it on its stream; kNobody if it is the first.
inline RoleTask RoleOrder::before(RoleTask task) const {
  const OpOrder& own = op(task);
  if (own.before != BodyOrders::kNone) return {task.call, own.before};
  const uint32_t call = lanes_[calls_[task.call].first_lane + own.lane].call_before;
  if (call == kNobody.call) return kNobody;
  return {call, static_cast<uint16_t>(bodies_.heads_of(*lane(call, own.stream).ops).back())};
}

inline uint32_t RoleOrder::turn(RoleTask task) const {
  const OpOrder& own = op(task);
  return own.group == BodyOrders::kNone ? 0 : turns_[calls_[task.call].first_meeting + own.group] + own.turn;
}

inline std::optional<RoleTask> RoleOrder::at_turn(uint16_t comm, uint32_t turn) const {
  const Meeting *first = meetings_.data() + first_of_comm_[comm], *end = meetings_.data() + first_of_comm_[comm + 1u];
  if (first == end) return std::nullopt;
  const Meeting* at = first + std::min<ptrdiff_t>(turn, end - first - 1);  // where each call has one operation
  if (at->turn > turn || (at + 1 < end && at[1].turn <= turn))
    at = std::partition_point(first, end, [&](const Meeting& meeting) { return meeting.turn <= turn; }) - 1;
  const Meeting& meeting = *at;
  const auto ops = bodies_.ops_of(bodies_.groups(program_.calls[meeting.call].body)[meeting.group]);
  if (turn - meeting.turn >= ops.size()) return std::nullopt;
  return RoleTask{meeting.call, ops[turn - meeting.turn]};
}

template <class Visit>
bool RoleOrder::for_awaited(RoleTask task, Visit&& visit) const {
  for (const uint16_t awaited : bodies_.waits_of(op(task))) {
    if (!visit(RoleTask{task.call, awaited})) return false;
  }
  const Call& call = program_.calls[task.call];
  for (uint32_t s = call.first_sync; s < call.first_sync + call.num_syncs; ++s) {
    if (program_.syncs[s].op == task.op && awaited_[s] != kNobody && !visit(awaited_[s])) return false;
  }
  return true;
}

template <class Visit>
void RoleOrder::for_waits(RoleTask task, Visit&& visit) const {
  for (RoleTask waits = comes_with(task); for_awaited(waits, visit) && waits != task;) waits = task;
}

template <class Visit>
void RoleOrder::for_predecessors(RoleTask task, Visit&& visit) const {
  const RoleTask before = this->before(comes_with(task));
  if (before == kNobody || visit(before)) for_waits(task, visit);
}

}  // namespace pgram
