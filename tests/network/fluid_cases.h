// Problems of growing size for the replay: random messages, a ring, a training step; and their text.
#pragma once
#include <cstdint>
#include <string>

#include "sim/network/fluid_problem.h"

namespace pgram::test {

/// Messages of 10 kB to 100 MB and one computation in ten, on a leaf-spine network whose links differ; each task waits
/// for one or two of the 2 x hosts before it, which sets how many run at once.
sim::FluidProblem random_flows(uint32_t tasks, uint32_t hosts, uint32_t seed);

/// One all-reduce over a ring of hosts around an ideal switch, in 2 (n - 1) steps of n messages.
sim::FluidProblem ring_on_a_star(uint32_t hosts, double bytes);

/// One training step as ring steps: tensor parallelism 8 inside nodes of 8, two all-reduces per layer and direction;
/// 1F1B over 8 nodes; data parallelism over `dp` of these, one all-reduce of gradients per stage and rank.
/// dp = 16 are 537,600 tasks.
sim::FluidProblem training_step(uint32_t dp);

/// The format of `pgram fluid`.
std::string to_text(const sim::FluidProblem&);

}  // namespace pgram::test
