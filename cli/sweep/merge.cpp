#include "cli/sweep/merge.h"

#include <bit>
#include <filesystem>

#include "cli/sweep/database.h"
#include "cli/sweep/row_columns.h"
#include "core/base/errors.h"

namespace pgram::sweep {
namespace {

/// Which column differs; "" if the rows are the same bit for bit.
std::string difference(const Row& a, const Row& b) {
  for (const InputColumn& column : input_columns()) {
    if (column.text ? column.text(a.inputs) != column.text(b.inputs)
                    : column.number(a.inputs) != column.number(b.inputs))
      return column.name;
  }
  if (a.outcome.unfit != b.outcome.unfit) return "unfit";
  if (a.outcome.error != b.outcome.error) return "error";
  for (const FigureColumn& column : figure_columns()) {
    if (std::bit_cast<uint64_t>(a.outcome.figures.*column.value) !=
        std::bit_cast<uint64_t>(b.outcome.figures.*column.value))
      return column.name;
  }
  return "";
}

/// How many rows `into` had not.
uint64_t merge_sweep(Results& into, const Results& part, const SweepRecord& record) {
  const Database& database = into.database();
  const int64_t key = into.key_of(record.name);
  std::string places = "?";
  for (int i = 0; i < row_column_count(); ++i) places += ", ?";
  Statement insert(database, "INSERT OR IGNORE INTO cases (sweep, " + row_columns() + ") VALUES (" + places + ")");
  uint64_t rows = 0;
  part.read({.sweep = record.name, .where = "", .by = ""}, [&](const Row& row) {
    insert.bind(0, key);
    bind_row(insert, 1, row);
    insert.run();
    if (database.changes() != 0) {
      ++rows;
      return;
    }
    Statement known(database, "SELECT " + row_columns() + " FROM cases WHERE sweep = ? AND number = ?");
    known.bind(0, key).bind(1, static_cast<int64_t>(row.inputs.number)).step();
    const std::string column = difference(read_row(known, 0), row);
    if (!column.empty()) {
      throw InputError(part.database().path(), 0, "case " + std::to_string(row.inputs.number),
                       "has another " + column + " than in the files before; they are not of one sweep and program");
    }
  });
  return rows;
}

std::string names_of(const std::vector<SweepRecord>& records) {
  std::string names;
  for (const SweepRecord& record : records) names += (names.empty() ? "'" : ", '") + record.name + "'";
  return names.empty() ? "no sweep" : names;
}

void require_same_sweeps(const std::vector<Results>& parts) {
  const std::string names = names_of(parts.front().sweeps());
  for (const Results& part : parts) {
    if (const std::string other = names_of(part.sweeps()); other != names) {
      throw InputError(part.database().path(), 0, "",
                       "holds " + other + ", " + parts.front().database().path() + " holds " + names +
                           "; expected the shards of one sweep");
    }
  }
}

}  // namespace

MergeReport merge_results(const std::string& into, const std::vector<std::string>& parts) {
  std::error_code none;
  const bool is_new = !std::filesystem::exists(into);
  std::vector<Results> opened;
  for (const std::string& part : parts) {
    if (std::filesystem::equivalent(into, part, none))
      throw InputError(part, 0, "", "is merged into itself; name another file first, which is made");
    opened.push_back(Results::open(part));
  }
  if (opened.empty()) throw InputError("PARTS", "missing: name the files to be merged");
  require_same_sweeps(opened);
  MergeReport report;
  try {
    Results results = Results::open_or_make(into);
    results.database().transaction([&] {
      for (const Results& part : opened) {
        for (const SweepRecord& record : part.sweeps()) {
          if (record.version != PGRAM_VERSION) {
            throw InputError(part.database().path(), 0, "",
                             "its rows were made by pgram " + record.version +
                                 ", this is pgram " PGRAM_VERSION "; merge them with that");
          }
          Sweep sweep;
          sweep.path = part.database().path();
          sweep.name = record.name;
          sweep.description = record.description;
          sweep.text = record.text;
          results.add_sweep(sweep, record.cases);
          report.rows += merge_sweep(results, part, record);
        }
      }
    });
    for (const SweepRecord& record : results.sweeps()) report.missing += record.cases - record.rows;
  } catch (...) {
    if (is_new) std::filesystem::remove(into, none);
    throw;
  }
  return report;
}

}  // namespace pgram::sweep
