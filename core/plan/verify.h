// verify: proves a Plan before anyone simulates or runs it. Shares no code with link.
#pragma once
#include <string>

namespace pgram {
struct Plan;
/// Empty when the Plan is good, else one line naming the tasks. Checked in this order: indices and arguments in
/// bounds; collectives and send/receive matched (kernel, bytes, layer, micro-batch); one order of communication on all
/// ranks (in-order blocking rendezvous finishes, so no deadlock and no cycle); one stream per communicator; buffers
/// written before read, not used after free; gradients reduced once, after the last accumulation, before the
/// optimizer; every pair of conflicting accesses ordered by streams and events.
std::string verify(const Plan&);
}  // namespace pgram
