// What the tasks of a role wait for, as the Plan orders them: streams, waits, events, meetings.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/plan/plan.h"

namespace pgram {

/// The tasks of a Program, numbered in issue order. What is the same in every call of a body is kept once for the body,
/// so that its making costs time per call and event, not per task.
class RoleOrder {
 public:
  /// Both must outlive it.
  RoleOrder(const Plan&, const Program&);

  uint32_t size() const { return static_cast<uint32_t>(calls_.size()); }
  uint32_t task(uint32_t call, uint16_t op) const { return places_[call].first_task + op; }
  uint32_t call(uint32_t task) const { return calls_[task]; }
  uint16_t op(uint32_t task) const { return static_cast<uint16_t>(task - places_[calls_[task]].first_task); }
  /// Calls `visit` with the tasks that must have ended, and with each all before it on its stream: the one before on
  /// the task's own stream (first, if there is one), those that the body names, those whose events are awaited.
  template <class Visit>
  void for_predecessors(uint32_t task, Visit&& visit) const;
  /// Communication: the k-th operation of its communicator meets the k-th of every other member.
  uint32_t turn(uint32_t task) const;
  /// The role's operations on a communicator, in issue order.
  const std::vector<uint32_t>& turns_of(uint16_t comm) const { return by_comm_[comm]; }
  /// The ops of a body that are on one stream, in issue order.
  struct Lane {
    Stream stream = Stream::compute;
    std::vector<uint16_t> ops;
  };
  const std::vector<Lane>& lanes(uint32_t call) const { return bodies_[program_.calls[call].body].lanes; }

 private:
  static constexpr uint32_t kNobody = ~0u;
  static constexpr uint16_t kNoGroup = 0xffff;

  /// Of an op within its body; `lane` and `group` index the body's lists.
  struct OpOrder {
    uint16_t lane = 0;
    int32_t before = -1;  ///< the op before it on its stream; -1: none in this body
    uint16_t group = kNoGroup;
    uint16_t turn = 0;  ///< how many of the body's ops before it are on its communicator
  };
  /// The ops of a body on one communicator.
  struct Group {
    uint16_t comm = 0;
    std::vector<uint16_t> ops;
  };
  struct BodyOrder {
    std::vector<OpOrder> ops;
    std::vector<Lane> lanes;
    std::vector<Group> groups;
    bool known = false;
  };
  struct Place {
    uint32_t first_task = 0;
    uint32_t first_before = 0;  ///< in before_, one entry for each lane of the body
    uint32_t first_turn = 0;    ///< in turns_, one for each communicator
  };

  void learn(uint16_t body);
  void place_syncs(const Call&, const Body&, uint32_t first_task, std::vector<uint32_t>& events);
  template <class Visit>
  void for_awaited(const Call&, const Body&, uint32_t first_task, uint16_t op, Visit&& visit) const;

  const Plan& plan_;
  const Program& program_;
  std::vector<BodyOrder> bodies_;
  std::vector<Place> places_;    // by call
  std::vector<uint32_t> calls_;  // by task
  std::vector<uint32_t> before_, turns_;
  std::vector<uint32_t> awaited_;  // by sync: the task whose event it waits for; kNobody if it waits for none
  std::vector<std::vector<uint32_t>> by_comm_;
};

template <class Visit>
void RoleOrder::for_awaited(const Call& call, const Body& body, uint32_t first_task, uint16_t i, Visit&& visit) const {
  const Op& op = body.ops[i];
  for (int w = 0; w < op.num_waits; ++w) visit(first_task + body.waits[op.first_wait + static_cast<uint32_t>(w)]);
  for (uint32_t s = call.first_sync; s < call.first_sync + call.num_syncs; ++s) {
    if (program_.syncs[s].op == i && awaited_[s] != kNobody) visit(awaited_[s]);
  }
}

template <class Visit>
void RoleOrder::for_predecessors(uint32_t task, Visit&& visit) const {
  const uint32_t c = calls_[task];
  const Call& call = program_.calls[c];
  const Body& body = plan_.bodies[call.body];
  const std::vector<OpOrder>& ops = bodies_[call.body].ops;
  const Place& place = places_[c];
  const uint16_t i = static_cast<uint16_t>(task - place.first_task);
  // What a grouped body's first op waits for, all of them do.
  const uint16_t first = body.grouped ? 0 : i;
  const uint32_t before = ops[first].before >= 0 ? place.first_task + static_cast<uint32_t>(ops[first].before)
                                                 : before_[place.first_before + ops[first].lane];
  if (before != kNobody) visit(before);
  if (first != i) for_awaited(call, body, place.first_task, first, visit);
  for_awaited(call, body, place.first_task, i, visit);
}

}  // namespace pgram
