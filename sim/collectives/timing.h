// How long a collective takes at the network levels `flow` and `step`; `analytic` is core/cost/collective.h.
//
// What a message costs (`step`). On a cluster that NCCL does not know: the latency of its links, then their bandwidth,
// shared max-min fairly; one message at a time on a connection, its latency included, as in the books. Where nothing is
// shared that is the closed form, a step being latency + bytes/bandwidth.
//
// Where Cluster::nccl applies, of NCCL's model (core/cost/nccl.h) are kept, for its own algorithms:
// - the latency of the whole, spread evenly over the steps of the program without chunks (its links' own are left out);
// - the bandwidth, as a limit of every member: the one that sends most sends just that in bytes / bandwidth;
// - what the protocol adds on the wire: LL carries 4 of 8 bytes, LL128 120 of 128;
// - that messages on their way (8 slots) hide latency: of those on one connection only the bytes come one after
// another. So that ring and pat take what NCCL's model says. Trees and sums in the switch, which NCCL takes to be
// pipelined perfectly, take as much longer as the pipeline needs to fill. Not kept: other links' protocol and latency
// within one collective (a step within a node costs as much latency as one between nodes), thread blocks, the choice of
// chunk size. Links are shared with everything else in every case, as in `flow`.
#pragma once
#include <functional>
#include <span>
#include <vector>

#include "sim/collectives/steps.h"
#include "sim/network/fluid_problem.h"

namespace pgram::sim {

/// A collective as one flow.
struct CollectiveFlow {
  Seconds latency = 0;        ///< before it
  double limit = 0;           ///< bytes/s: what the algorithm reaches with the links to itself
  std::vector<LinkUse> uses;  ///< per byte of the array; the protocol's overhead included
  /// With nothing else on its links.
  Seconds time(Bytes, const Cluster&) const;
};
/// InputError where the algorithm cannot be, as make_steps.
CollectiveFlow collective_flow(Collective, Algorithm, Protocol, Bytes, std::span<const uint32_t> group, const Cluster&);

/// Chunks that suit the size where an algorithm is a pipeline (tree, nvls, nvls_tree, broadcast and reduce by ring):
/// 64 KiB on a channel and at most 128 where NCCL's model applies; else the number that makes the textbook's pipeline
/// fastest. 1 for the others. No more than a million messages in all.
uint32_t default_chunks(Collective, Algorithm, Protocol, Bytes, std::span<const uint32_t> group, const Cluster&);

constexpr uint32_t kNoLink = ~0u;
constexpr double kNoLimit = 1e30;  ///< bytes/s of a link that only has a latency

/// Message i of the program is task `task_of[i]`; a join is a computation of no work.
struct StepProblem {
  FluidProblem fluid;
  std::vector<uint32_t> task_of;
  std::vector<uint32_t> cluster_link;  ///< of each of the fluid's links; kNoLink: what stands for NCCL
  bool split = false;                  ///< the task before it is the message's latency
};
StepProblem step_problem(const StepProgram&, Protocol, Bytes, std::span<const uint32_t> group, const Cluster&);

struct StepTimes {
  Seconds time = 0;
  std::vector<double> start, finish;  ///< seconds, of each transfer of the program; a start is before the latency, or
                                      ///< where the message before it on its connection ends
  bool stopped = false;
  FlowNetwork::Statistics statistics;
};
/// `go_on` is told now and then what share has ended, and stops the run by false.
StepTimes step_times(const StepProgram&, Protocol, Bytes, std::span<const uint32_t> group, const Cluster&,
                     const std::function<bool(double)>& go_on = {});

}  // namespace pgram::sim
