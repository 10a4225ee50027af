#include "cli/sweep/table.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/sweep/row_columns.h"
#include "core/base/errors.h"
#include "core/base/units.h"
#include "core/timeline/text_table.h"

namespace pgram::sweep {
namespace {

std::string shortest(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string result = "\"";
  for (const char c : text) result += c == '"' ? "\"\"" : std::string(1, c);
  return result + "\"";
}

void write_rows(const Results& results, const Results::Query& query, const SweepRecord& sweep, std::ostream& out) {
  Results::Query of_sweep = query;
  of_sweep.sweep = sweep.name;
  results.read(of_sweep, [&](const Row& row) {
    out << quoted(sweep.name) << ',' << quoted(sweep.version) << ',' << row.inputs.number;
    for (const InputColumn& column : input_columns()) {
      out << ',';
      if (column.text)
        out << quoted(column.text(row.inputs));
      else
        out << column.number(row.inputs);
    }
    out << ',' << quoted(row.outcome.unfit) << ',' << quoted(row.outcome.error);
    for (const FigureColumn& column : figure_columns()) {
      const Figures& figures = row.outcome.figures;
      out << ',' << (column.is_known(figures) ? shortest(figures.*column.value) : "");
    }
    out << '\n';
  });
}

const char* const kAlwaysShown[] = {"step_time", "mfu", "memory", "cost_per_token"};
const char* const kShownIfDifferent[] = {"model",        "cluster",     "layout",     "schedule",
                                         "global_batch", "micro_batch", "sequence",   "precision",
                                         "optimizer",    "network",     "disturbance"};

const InputColumn& input(const std::string& name) {
  return *std::ranges::find_if(input_columns(), [&](const InputColumn& column) { return name == column.name; });
}

std::string text_of(const InputColumn& column, const Row& row) {
  return column.text ? column.text(row.inputs) : std::to_string(column.number(row.inputs));
}

}  // namespace

void write_csv(const Results& results, const Results::Query& query, const std::string& path) {
  std::ofstream file;
  if (path != "-") file.open(path, std::ios::binary);
  std::ostream& out = path == "-" ? std::cout : file;
  out << "sweep,version,number";
  for (const InputColumn& column : input_columns()) out << ',' << column.name;
  out << ",unfit,error";
  for (const FigureColumn& column : figure_columns()) out << ',' << column.name;
  out << '\n';
  for (const SweepRecord& sweep : results.sweeps()) {
    if (query.sweep.empty() || query.sweep == sweep.name) write_rows(results, query, sweep, out);
  }
  if (!out.flush()) throw InputError(path, 0, "", "cannot write this file; is the folder there and the disk not full?");
}

nlohmann::ordered_json to_json(const Row& row) {
  nlohmann::ordered_json json{{"number", row.inputs.number}};
  for (const InputColumn& column : input_columns()) {
    if (column.text)
      json[column.name] = column.text(row.inputs);
    else
      json[column.name] = column.number(row.inputs);
  }
  json["unfit"] = row.outcome.unfit;
  json["error"] = row.outcome.error;
  for (const FigureColumn& column : figure_columns()) {
    const Figures& figures = row.outcome.figures;
    json[column.name] = column.is_known(figures) ? nlohmann::ordered_json(figures.*column.value) : nullptr;
  }
  return json;
}

std::string format_figure(const FigureColumn& column, double value) {
  const std::string unit = column.unit;
  if (column.zero_is_unknown && value == 0) return "-";
  if (unit == "s") return value < 1e4 ? format_time(to_picoseconds(value)) : format_count(std::llround(value)) + " s";
  if (unit == "bytes") return value < 0 ? "-" + format_bytes(std::llround(-value)) : format_bytes(std::llround(value));
  if (unit == "share" || unit.empty()) return format_percent(value);
  char text[64];
  if (unit.starts_with("$")) {
    std::snprintf(text, sizeof text, "$%.4g", value);
  } else {
    std::snprintf(text, sizeof text, "%.4g %s", value, column.unit);
  }
  return text;
}

std::string top_table(const std::vector<Row>& rows, const std::string& by) {
  std::vector<const InputColumn*> inputs;
  for (const char* name : kShownIfDifferent) {
    const InputColumn& column = input(name);
    std::set<std::string> values;
    for (const Row& row : rows) values.insert(text_of(column, row));
    if (values.size() > 1 || std::string(name) == "layout") inputs.push_back(&column);
  }
  std::vector<const FigureColumn*> figures;
  for (const char* name : kAlwaysShown) figures.push_back(&find_figure(name, ""));
  const FigureColumn& sorted = find_figure(by, "--by");
  if (std::ranges::find(figures, &sorted) == figures.end()) figures.push_back(&sorted);

  TextTable table;
  std::vector<std::string> cells{"place"};
  for (const InputColumn* column : inputs) cells.emplace_back(column->name);
  for (const FigureColumn* column : figures) cells.emplace_back(column->name);
  table.add(cells);
  for (size_t i = 0; i < rows.size(); ++i) {
    cells = {std::to_string(i + 1)};
    for (const InputColumn* column : inputs) cells.push_back(text_of(*column, rows[i]));
    for (const FigureColumn* column : figures)
      cells.push_back(format_figure(*column, rows[i].outcome.figures.*column->value));
    table.add(cells);
  }
  return table.text();
}

}  // namespace pgram::sweep
