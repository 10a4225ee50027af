// pgram clusters NAME: one cluster with its devices, links and routes, as text and as JSON.
#pragma once
#include <optional>
#include <string>
#include <utility>

#include "core/cluster/cluster.h"

namespace pgram::cli {

using DevicePair = std::pair<uint32_t, uint32_t>;

/// "0:9"; InputError unless it names two of the cluster's devices.
DevicePair parse_route(const std::string& text, const Cluster&);

std::string cluster_text(const Cluster&, const std::optional<DevicePair>& route);
std::string cluster_json(const Cluster&, const std::optional<DevicePair>& route);

}  // namespace pgram::cli
