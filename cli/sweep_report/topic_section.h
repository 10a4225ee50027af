// A question's part of the page, and the part above them all when there are several.
#pragma once
#include <string>
#include <vector>

#include "cli/sweep_report/choice.h"

namespace pgram::sweep_report {

/// Best by step time, cost and memory, in words, as HTML.
std::string answers(const Best&, const std::string& devices);
std::string topic_section(const Topic&, const std::string& devices);
/// All questions beside each other: cost against devices while there are few lines, and a table.
std::string overview(const std::vector<Topic>&, const std::string& devices);

}  // namespace pgram::sweep_report
