// The memory of a plan, and of its simulated step, against a device: needed, available, fits or not, what takes it.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "core/cluster/cluster.h"
#include "core/plan/plan.h"
#include "core/timeline/timeline.h"

namespace pgram::cli {
std::string memory_to_text(const Plan&, const Cluster&);
nlohmann::ordered_json memory_to_json(const Plan&, const Cluster&);

/// What is held at the peak of the simulated step, on the fullest rank, and whether that fits. "" without spans.
std::string peak_to_text(const Timeline&, const Cluster&);
/// Of every rank with spans of its own: by kind and by record.
nlohmann::ordered_json peak_to_json(const Timeline&, const Cluster&);
}  // namespace pgram::cli
