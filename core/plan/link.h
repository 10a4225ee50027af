// link: derives the waits between streams from the operands, so that nobody writes them by hand.
#pragma once

namespace pgram {
struct Plan;
/// Fills Body::waits (within a body) and Program::syncs (across calls: event slots, reused once their last wait is
/// issued). Prunes by happens-before. Any waits present are dropped first.
void link(Plan&);
}  // namespace pgram
