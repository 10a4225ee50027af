// Execution: really runs a Plan on this machine's cores, for the lower timeline.
#pragma once
#include <functional>
#include <memory>
#include <stop_token>

#include "core/timeline/timeline.h"

namespace pgram::gui {

/// `done` of `steps` are finished.
using Progress = std::function<void(uint32_t done, uint32_t steps, double loss, Picoseconds time)>;

/// Trains `steps` steps from random weights on random tokens (durations do not depend on them), ranks as threads. The
/// first step is left out of the timeline, since it also fills caches and makes kernels. Null when stopped before a
/// second step ended. RunError when a task fails.
std::shared_ptr<const Timeline> execute(std::shared_ptr<const Plan>, uint32_t steps, std::stop_token, const Progress&);

}  // namespace pgram::gui
