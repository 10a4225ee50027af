// What the tasks of a role wait for, as the Plan orders them: streams, waits, events, meetings.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/plan/plan.h"

namespace pgram {

/// The tasks of a Program, numbered in issue order.
class RoleOrder {
 public:
  RoleOrder(const Plan&, const Program&);

  uint32_t size() const { return static_cast<uint32_t>(places_.size()); }
  uint32_t task(uint32_t call, uint16_t op) const { return first_task_[call] + op; }
  uint32_t call(uint32_t task) const { return places_[task].call; }
  uint16_t op(uint32_t task) const { return places_[task].op; }
  /// The tasks that must have ended, and with each all before it on its stream: the one before on the task's own stream
  /// (first, if there is one), those that the body names, those whose events are awaited.
  std::span<const uint32_t> predecessors(uint32_t task) const {
    return {predecessors_.data() + first_predecessor_[task],
            predecessors_.data() + first_predecessor_[task + size_t{1}]};
  }
  /// Communication: the k-th operation of its communicator meets the k-th of every other member.
  uint32_t turn(uint32_t task) const { return turns_[task]; }
  /// The role's operations on a communicator, in issue order.
  const std::vector<uint32_t>& turns_of(uint16_t comm) const { return by_comm_[comm]; }

 private:
  struct Place {
    uint32_t call = 0;
    uint16_t op = 0;
  };
  std::vector<uint32_t> first_task_;
  std::vector<Place> places_;
  std::vector<uint32_t> predecessors_;
  std::vector<size_t> first_predecessor_;
  std::vector<uint32_t> turns_;
  std::vector<std::vector<uint32_t>> by_comm_;
};

}  // namespace pgram
