// A plan whose tasks wait for each other: who waits for whom, task by task.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "sim/problem.h"

namespace pgram::sim {

/// A task that never started because not all came to its meeting place.
struct Stuck {
  Task task;
  uint16_t comm = 0;
};

/// The cycle of waits, or the chain that ends with a rank that never comes: "deadlock: rank 0 a(layer 0, mb 0).0:send
/// waits on f0>1 for rank 1 b(layer 0, mb 0).0:recv, which comes after rank 1 c(layer 0, mb 0).0:send; that waits on
/// f1>0 for rank 0 d(layer 0, mb 0).0:recv, which comes after rank 0 a(layer 0, mb 0).0:send: a cycle of 2 waits".
/// `stuck`: all such tasks, ascending by task. Without any it is just "deadlock".
std::string deadlock_text(const Problem&, const std::vector<Stuck>& stuck);

}  // namespace pgram::sim
