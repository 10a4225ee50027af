// verify: proves a Plan before anyone simulates or runs it. Shares no code with link.
#pragma once
#include <string>

namespace pgram {
struct Plan;
/// Empty when the Plan is good, else one line naming the tasks. Indices are taken to be in bounds: the planner makes
/// them so, and a plan file's are checked as it is read. Checked in this order: one stream per end of a communicator;
/// groups hold sends and receives of one stream only; collectives and send/receive matched (kernel, bytes, layer,
/// micro-batch); one order of communication on all ranks (in-order blocking rendezvous finishes, a group's messages
/// posted together, so no deadlock and no cycle); buffers written before read, not used after free; gradients reduced
/// once, after the last accumulation, before the optimizer; every pair of conflicting accesses ordered by streams and
/// events.
std::string verify(const Plan&);
}  // namespace pgram
