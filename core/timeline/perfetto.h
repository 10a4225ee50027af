// Chrome/Perfetto trace JSON: pid = rank, tid = stream, flow arrows for sends, counters for memory.
#pragma once
#include <string>

#include "core/timeline/timeline.h"

namespace pgram {
/// Opens in ui.perfetto.dev. `all_steps`: else only the median step.
void write_perfetto(const Timeline&, const std::string& path, bool all_steps = true);
}  // namespace pgram
