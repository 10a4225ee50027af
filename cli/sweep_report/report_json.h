// The tables of a sweep's page for programs: `pgram report --json`.
#pragma once
#include <nlohmann/json_fwd.hpp>

#include "cli/sweep_report/sweep_page.h"

namespace pgram::sweep_report {

/// Of all questions and kinds of clusters, where the page's pictures are of some. Cases are written as `pgram sweep
/// --json` writes them.
nlohmann::ordered_json report_json(const PageInputs&);

}  // namespace pgram::sweep_report
