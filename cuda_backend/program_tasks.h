// ProgramTasks: what is known of a role's tasks before the first step: their names, the timed events between which each
// one lies, and what its device must have for them.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/exec/prepared_plan.h"

namespace pgram {

/// A task lies between two events on its stream: `start` is recorded before it only if `records_start`; otherwise it is
/// the end of the task before it, after which the stream waits for nothing else.
struct TimedTask {
  Task task;
  Stream stream = Stream::compute;
  bool records_start = true, records_end = true;
  uint32_t start = 0, end = 0;  ///< of `timed_events`
  std::string range;            ///< "task:rank 3 layer.f(layer 2, mb 1).4:matmul", for profilers
  std::string text() const { return range.substr(5); }
};

struct StreamUse {
  bool used = false, computes = false, communicates = false;
  uint32_t tasks = 0;  ///< of a step
};

struct ProgramTasks {
  ProgramTasks(const PreparedPlan&, uint32_t rank);

  std::vector<TimedTask> tasks;      ///< in issue order
  std::vector<uint32_t> first_task;  ///< by call
  uint32_t timed_events = 0;
  uint32_t events = 0;  ///< of the Program and within bodies
  std::array<StreamUse, kStreams> streams;
  std::map<uint16_t, uint64_t> token_bytes;  ///< tokens and targets, by micro-batch

  uint32_t index(const Task& task) const { return first_task.at(task.call) + task.op; }
};

}  // namespace pgram
