#include "cli/sweep/row_columns.h"

#include <map>
#include <sstream>

#include "core/base/errors.h"
#include "core/base/library.h"

namespace pgram::sweep {
namespace {

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, ';');) parts.push_back(part);
  return parts;
}

using Read = void (*)(Case&, const Statement&, int column);

uint32_t number_of(const Statement& from, int column) {
  return static_cast<uint32_t>(from.integer(column));
}

/// How an input is read back; nothing for those that follow from others.
Read reader_of(const std::string& name) {
  static const std::map<std::string, Read> kReaders{
      {"model", [](Case& c, const Statement& from, int i) { c.model = from.text(i); }},
      {"cluster", [](Case& c, const Statement& from, int i) { c.cluster = from.text(i); }},
      {"devices", [](Case& c, const Statement& from, int i) { c.devices = number_of(from, i); }},
      {"devices_per_node", [](Case& c, const Statement& from, int i) { c.devices_per_node = number_of(from, i); }},
      {"tp", [](Case& c, const Statement& from, int i) { c.layout.tp = number_of(from, i); }},
      {"pp", [](Case& c, const Statement& from, int i) { c.layout.pp = number_of(from, i); }},
      {"dp", [](Case& c, const Statement& from, int i) { c.layout.dp = number_of(from, i); }},
      {"sp", [](Case& c, const Statement& from, int i) { c.layout.sequence_parallel = from.integer(i) != 0; }},
      {"schedule", [](Case& c, const Statement& from, int i) { c.layout.schedule = from.text(i); }},
      {"p2p", [](Case& c, const Statement& from, int i) { c.layout.p2p = parse_point_to_point(from.text(i)); }},
      {"global_batch", [](Case& c, const Statement& from, int i) { c.workload.global_batch = number_of(from, i); }},
      {"micro_batch", [](Case& c, const Statement& from, int i) { c.workload.micro_batch = number_of(from, i); }},
      {"sequence", [](Case& c, const Statement& from, int i) { c.workload.sequence = number_of(from, i); }},
      {"precision",
       [](Case& c, const Statement& from, int i) { c.workload.precision = parse_precision(from.text(i)); }},
      {"optimizer",
       [](Case& c, const Statement& from, int i) { c.workload.optimizer = parse_optimizer(from.text(i)); }},
      {"network", [](Case& c, const Statement& from, int i) { c.network = from.text(i); }},
      {"disturbance", [](Case& c, const Statement& from, int i) { c.disturbance.name = from.text(i); }},
      {"slow", [](Case& c, const Statement& from, int i) { c.disturbance.slow = split(from.text(i)); }},
      {"links", [](Case& c, const Statement& from, int i) { c.disturbance.links = split(from.text(i)); }},
      {"jitter", [](Case& c, const Statement& from, int i) { c.disturbance.jitter = from.text(i); }},
  };
  const auto found = kReaders.find(name);
  return found == kReaders.end() ? nullptr : found->second;
}

/// In the order of input_columns().
const std::vector<Read>& readers() {
  static const std::vector<Read> kReaders = [] {
    std::vector<Read> readers;
    for (const InputColumn& column : input_columns()) readers.push_back(reader_of(column.name));
    return readers;
  }();
  return kReaders;
}

}  // namespace

const std::string& row_columns() {
  static const std::string kColumns = [] {
    std::string names = "number";
    for (const InputColumn& column : input_columns()) names += std::string(", ") + column.name;
    names += ", unfit, error";
    for (const FigureColumn& column : figure_columns()) names += std::string(", ") + column.name;
    return names;
  }();
  return kColumns;
}

int row_column_count() {
  return static_cast<int>(3 + input_columns().size() + figure_columns().size());
}

std::string row_declarations() {
  std::string text = "number INTEGER NOT NULL";
  for (const InputColumn& column : input_columns())
    text += std::string(", ") + column.name + (column.text ? " TEXT NOT NULL" : " INTEGER NOT NULL");
  text += ", unfit TEXT NOT NULL, error TEXT NOT NULL";
  for (const FigureColumn& column : figure_columns()) text += std::string(", ") + column.name + " REAL";
  return text;
}

void bind_row(Statement& statement, int first, const Row& row) {
  statement.bind(first++, static_cast<int64_t>(row.inputs.number));
  for (const InputColumn& column : input_columns()) {
    if (column.text)
      statement.bind(first++, column.text(row.inputs));
    else
      statement.bind(first++, static_cast<int64_t>(column.number(row.inputs)));
  }
  statement.bind(first++, row.outcome.unfit);
  statement.bind(first++, row.outcome.error);
  for (const FigureColumn& column : figure_columns()) statement.bind(first++, row.outcome.figures.*column.value);
}

Row read_row(const Statement& statement, int first) {
  Row row;
  row.inputs.number = static_cast<uint64_t>(statement.integer(first++));
  for (const Read read : readers()) {
    if (read) read(row.inputs, statement, first);
    ++first;
  }
  row.outcome.unfit = statement.text(first++);
  row.outcome.error = statement.text(first++);
  for (const FigureColumn& column : figure_columns()) row.outcome.figures.*column.value = statement.number(first++);
  return row;
}

const FigureColumn& find_figure(const std::string& name, const std::string& field) {
  std::vector<std::string> known;
  for (const FigureColumn& column : figure_columns()) {
    if (name == column.name) return column;
    known.push_back(column.name);
  }
  const std::string near = nearest_name(name, known);
  std::string all;
  for (const std::string& other : known) all += (all.empty() ? "" : ", ") + other;
  throw InputError(field, "there is no figure '" + name + "'" +
                              (near.empty() ? "; there are " + all : "; did you mean " + near + "?"));
}

}  // namespace pgram::sweep
