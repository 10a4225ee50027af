// Results as people and programs read them: CSV, JSON, and the table of the best.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/sweep/results.h"

namespace pgram::sweep {

/// Every column: sweep and version first, then as in the file. Numbers are the shortest text that reads back as the
/// same; text with commas, quotes or line breaks is quoted (RFC 4180). "-": standard output.
void write_csv(const Results&, const Results::Query&, const std::string& path);

nlohmann::ordered_json to_json(const Row&);
/// Place, model, cluster, what of the inputs differs between the rows, and the figures that people compare first; also
/// `by`.
std::string top_table(const std::vector<Row>&, const std::string& by);
/// "1.23 s", "54.0 GiB", "42.1 %", "$0.123"
std::string format_figure(const FigureColumn&, double value);

}  // namespace pgram::sweep
