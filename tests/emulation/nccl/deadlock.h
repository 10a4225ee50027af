// Finds communicators whose calls wait for each other in a circle.
#pragma once

namespace pgram::emulation {

/// From the first communicator on. A deadlock is reported with the streams and tasks that wait, and is the error of the
/// communicators in it until they are aborted. Ranks that wait for a call which nobody has made yet are none: it may
/// still be made.
void watch_communicators();

}  // namespace pgram::emulation
