// The memory of a plan against a device: needed, available, fits or not, and what takes it.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "core/cluster/cluster.h"
#include "core/plan/plan.h"

namespace pgram::cli {
std::string memory_to_text(const Plan&, const Cluster&);
nlohmann::ordered_json memory_to_json(const Plan&, const Cluster&);
}  // namespace pgram::cli
