// The table of all streams.
#pragma once

namespace pgram::emulation {

class Stream;

/// Called by a closed stream that has nothing more to do.
void forget_stream(Stream&);

}  // namespace pgram::emulation
