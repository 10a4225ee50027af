// What `pgram scale` found, for people, for programs and for tables.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/sweep/scale.h"

namespace pgram::cli {

std::string scale_to_text(const sweep::ScaleQuestion&, const sweep::ScaleAnswer&);
nlohmann::ordered_json scale_to_json(const sweep::ScaleQuestion&, const sweep::ScaleAnswer&);
/// One line for each promise and number of GPUs.
std::string scale_to_csv(const sweep::ScaleAnswer&);

}  // namespace pgram::cli
