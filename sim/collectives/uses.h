// What a whole collective puts on the links: at the network level `flow` it is one flow over all of them.
#pragma once
#include <span>
#include <vector>

#include "sim/collectives/steps.h"
#include "sim/network/flow_network.h"

namespace pgram::sim {

/// Bytes over each link per byte of the array, ascending by link; equal to what the StepProgram of this algorithm sends
/// in sum, but for rings by formula: 128 members take microseconds. `group`: devices, each once, in any order (members
/// are passed through node by node); member 0 is a broadcast's root. `wire`: bytes on the wire per byte of data (2 for
/// LL, 128/120 for LL128). InputError as make_steps and for a group that the cluster does not have.
std::vector<LinkUse> collective_uses(Collective, Algorithm, std::span<const uint32_t> group, const Cluster&,
                                     double wire = 1);

/// The same by going through a StepProgram's messages.
std::vector<LinkUse> program_uses(const StepProgram&, std::span<const uint32_t> group, const Cluster&, double wire = 1);

double wire_bytes(Protocol);

}  // namespace pgram::sim
