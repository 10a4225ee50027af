#include "cli/sweep/results.h"

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "cli/sweep/database.h"
#include "cli/sweep/row_columns.h"
#include "core/base/errors.h"
#include "core/base/library.h"

namespace pgram::sweep {
namespace {

constexpr int64_t kApplication = 0x5047524d;  // "PGRM"
constexpr int64_t kFormat = 1;

// One file without a companion: SQLite's rollback journal is gone after every transaction, and works where WAL, which
// needs shared memory, does not. `handed_out` and `claims` are those of WorkList.
void make_tables(const Database& database) {
  database.execute("PRAGMA application_id = " + std::to_string(kApplication));
  database.execute("PRAGMA user_version = " + std::to_string(kFormat));
  database.execute("CREATE TABLE program (version TEXT NOT NULL)");
  Statement(database, "INSERT INTO program VALUES (?)").bind(0, std::string(PGRAM_VERSION)).run();
  database.execute(
      "CREATE TABLE sweeps (key INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, description TEXT NOT NULL, text TEXT "
      "NOT NULL, version TEXT NOT NULL, cases INTEGER NOT NULL)");
  database.execute("CREATE TABLE cases (sweep INTEGER NOT NULL REFERENCES sweeps, " + row_declarations() +
                   ", PRIMARY KEY (sweep, number)) WITHOUT ROWID");
  database.execute("CREATE VIEW results AS SELECT name AS sweep, version, " + row_columns() +
                   " FROM cases JOIN sweeps ON sweeps.key = cases.sweep");
  database.execute(
      "CREATE TABLE handed_out (sweep INTEGER NOT NULL, shard INTEGER NOT NULL, shards INTEGER NOT NULL, next INTEGER "
      "NOT NULL, PRIMARY KEY (sweep, shard, shards)) WITHOUT ROWID");
  database.execute(
      "CREATE TABLE claims (key INTEGER PRIMARY KEY, sweep INTEGER NOT NULL, shard INTEGER NOT NULL, shards INTEGER "
      "NOT NULL, first INTEGER NOT NULL, past INTEGER NOT NULL, host TEXT NOT NULL, process INTEGER NOT NULL, started "
      "INTEGER NOT NULL, owner TEXT NOT NULL, alive INTEGER NOT NULL)");
}

bool is_empty(const Database& database) {
  return database.integer("PRAGMA application_id") == 0 && database.integer("PRAGMA user_version") == 0 &&
         database.integer("SELECT count(*) FROM sqlite_master") == 0;
}

void check_ours(const Database& database) {
  const std::string& path = database.path();
  if (is_empty(database)) throw InputError(path, 0, "", "holds no results; pgram sweep --out writes some");
  if (database.integer("PRAGMA application_id") != kApplication)
    throw InputError(path, 0, "", "is a database, but not of pgram sweep; give another --out");
  const int64_t format = database.integer("PRAGMA user_version");
  if (format == kFormat) return;
  std::string writer;
  if (!database.problem_of("SELECT version FROM program")) {
    Statement version(database, "SELECT version FROM program");
    if (version.step()) writer = version.text(0);
  }
  throw InputError(path, 0, "",
                   "is of format " + std::to_string(format) + ", this is pgram " PGRAM_VERSION " and reads format " +
                       std::to_string(kFormat) + "; " +
                       (writer.empty() ? "use the pgram that wrote it" : "use pgram " + writer + ", which wrote it") +
                       ", or give another --out");
}

/// A line as it counts: without what surely is a comment, and without blanks at its end.
std::string meaning_of(std::string line) {
  if (line.find_first_of("'\"|>") == std::string::npos) {
    const size_t comment = line.find(" #");
    if (comment != std::string::npos) line.resize(comment);
    if (line.starts_with("#")) line.clear();
  }
  line.resize(line.find_last_not_of(" \t\r") + 1);
  return line;
}

struct Line {
  int number = 0;
  std::string text;
};

std::vector<Line> lines_that_count(const std::string& text) {
  std::vector<Line> lines;
  std::stringstream stream(text);
  int number = 0;
  for (std::string line; std::getline(stream, line);) {
    ++number;
    if (std::string meaning = meaning_of(line); !meaning.empty()) lines.push_back({number, std::move(meaning)});
  }
  return lines;
}

std::string in_short(const std::string& line) {
  const size_t begin = std::min(line.find_first_not_of(' '), line.size());
  return "'" + (line.size() - begin > 60 ? line.substr(begin, 57) + "..." : line.substr(begin)) + "'";
}

void require_same_text(const std::string& path, const Sweep& sweep, const std::string& stored) {
  if (sweep.text == stored) return;
  const std::vector<Line> now = lines_that_count(sweep.text), then = lines_that_count(stored);
  size_t at = 0;
  while (at < now.size() && at < then.size() && now[at].text == then[at].text) ++at;
  if (at == now.size() && at == then.size()) return;
  const std::string old_line = at < then.size() ? in_short(then[at].text) : "nothing",
                    new_line = at < now.size() ? in_short(now[at].text) : "nothing more";
  throw InputError(sweep.path, at < now.size() ? now[at].number : 0, "",
                   "is " + new_line + ", but the sweep '" + sweep.name + "' in " + path + " was made with " + old_line +
                       "; give the sweep another name, or another --out");
}

}  // namespace

struct Results::Impl {
  Impl(const std::string& path, Database::Mode mode) : database(path, mode) {}
  Database database;
};

Results::Results(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Results::Results(Results&&) noexcept = default;
Results& Results::operator=(Results&&) noexcept = default;
Results::~Results() = default;

Results Results::open_or_make(const std::string& path) {
  if (const auto folder = std::filesystem::path(path).parent_path(); !folder.empty()) {
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) throw InputError(path, 0, "", "its folder cannot be made: " + error.message());
  }
  Results results(std::make_unique<Impl>(path, Database::Mode::make));
  const Database& database = results.database();
  if (is_empty(database)) {
    database.transaction([&] {
      if (is_empty(database)) make_tables(database);  // else another process was quicker
    });
  }
  check_ours(database);
  return results;
}

Results Results::open_or_make(const std::string& path, const Sweep& sweep, uint64_t cases) {
  Results results = open_or_make(path);
  results.add_sweep(sweep, cases);
  return results;
}

void Results::add_sweep(const Sweep& sweep, uint64_t cases) {
  const auto is_there = [&] {
    Statement known(database(), "SELECT text, version, cases FROM sweeps WHERE name = ?");
    known.bind(0, sweep.name);
    if (!known.step()) return false;
    require_same_text(database().path(), sweep, known.text(0));
    if (known.text(1) != PGRAM_VERSION || known.integer(2) != static_cast<int64_t>(cases)) {
      throw InputError(database().path(), 0, "",
                       "its rows of '" + sweep.name + "' (" + std::to_string(known.integer(2)) +
                           " cases) were made by pgram " + known.text(1) + ", this is pgram " PGRAM_VERSION " (" +
                           std::to_string(cases) + " cases); use that, or give another --out");
    }
    return true;
  };
  if (is_there()) return;
  database().transaction([&] {
    if (is_there()) return;  // another process was quicker
    Statement(database(), "INSERT INTO sweeps (name, description, text, version, cases) VALUES (?, ?, ?, ?, ?)")
        .bind(0, sweep.name)
        .bind(1, sweep.description)
        .bind(2, sweep.text)
        .bind(3, std::string(PGRAM_VERSION))
        .bind(4, static_cast<int64_t>(cases))
        .run();
  });
}

Results Results::open(const std::string& path) {
  Results results(std::make_unique<Impl>(path, Database::Mode::read));
  check_ours(results.database());
  return results;
}

const Database& Results::database() const {
  return impl_->database;
}

int64_t Results::key_of(const std::string& sweep) const {
  Statement key(database(), "SELECT key FROM sweeps WHERE name = ?");
  key.bind(0, sweep);
  if (key.step()) return key.integer(0);
  std::vector<std::string> known;
  for (const SweepRecord& record : sweeps()) known.push_back(record.name);
  std::string all;
  for (const std::string& name : known) all += (all.empty() ? "" : ", ") + name;
  throw InputError(database().path(), 0, "", "holds no sweep '" + sweep + "'; it holds " + all);
}

std::vector<SweepRecord> Results::sweeps() const {
  std::vector<SweepRecord> records;
  Statement statement(database(),
                      "SELECT name, description, text, version, cases, (SELECT count(*) FROM cases WHERE sweep = key) "
                      "FROM sweeps ORDER BY key");
  while (statement.step()) {
    records.push_back({statement.text(0), statement.text(1), statement.text(2), statement.text(3),
                       static_cast<uint64_t>(statement.integer(4)), static_cast<uint64_t>(statement.integer(5))});
  }
  return records;
}

std::vector<bool> Results::finished(const std::string& sweep, uint64_t cases) const {
  std::vector<bool> finished(cases, false);
  Statement statement(database(), "SELECT number FROM cases WHERE sweep = ?");
  statement.bind(0, key_of(sweep));
  while (statement.step()) {
    if (const auto number = static_cast<uint64_t>(statement.integer(0)); number < cases) finished[number] = true;
  }
  return finished;
}

void Results::add(const std::string& sweep, const std::vector<Row>& rows) {
  const int64_t key = key_of(sweep);
  database().transaction([&] {
    std::string places = "?";
    for (int i = 0; i < row_column_count(); ++i) places += ", ?";
    Statement insert(database(), "INSERT OR IGNORE INTO cases (sweep, " + row_columns() + ") VALUES (" + places + ")");
    for (const Row& row : rows) {
      insert.bind(0, key);
      bind_row(insert, 1, row);
      insert.run();
    }
  });
}

namespace {

/// SQLite's "no such column: mfuu" with the nearest that there is.
void require_expression(const Database& database, const std::string& where) {
  const auto problem = database.problem_of("SELECT number FROM results WHERE (" + where + "\n)");
  if (!problem) return;
  constexpr std::string_view kNoColumn = "no such column: ";
  if (!problem->starts_with(kNoColumn))
    throw InputError("--where",
                     *problem + " in '" + where + "'; expected an SQLite expression such as 'tp = 8 and mfu > 0.4'");
  const std::string name = problem->substr(kNoColumn.size());
  std::vector<std::string> known{"sweep", "version", "number", "unfit", "error"};
  for (const InputColumn& column : input_columns()) known.push_back(column.name);
  for (const FigureColumn& column : figure_columns()) known.push_back(column.name);
  const std::string near = nearest_name(name, known);
  std::string hint = "did you mean " + near + "?";
  if (near.empty()) {
    hint = "there are";
    for (const std::string& column : known) hint += (column == known.front() ? " " : ", ") + column;
  }
  throw InputError("--where", "there is no column '" + name + "'; " + hint);
}

std::string condition(const Results& results, const std::string& sweep, const std::string& where) {
  if (!sweep.empty()) results.key_of(sweep);
  if (!where.empty()) require_expression(results.database(), where);
  return " FROM results WHERE " + std::string(sweep.empty() ? "?1 = ''" : "sweep = ?1") +
         (where.empty() ? "" : " AND (" + where + "\n)");
}

}  // namespace

void Results::read(const Query& query, const std::function<void(const Row&)>& visit) const {
  std::string sql = "SELECT " + row_columns() + condition(*this, query.sweep, query.where) + " ORDER BY ";
  if (!query.by.empty()) {
    const FigureColumn& figure = find_figure(query.by, "--by");
    sql += "unfit <> '' OR error <> '', ";
    if (figure.zero_is_unknown) sql += std::string(figure.name) + " = 0, ";
    sql += figure.name + std::string(figure.more_is_better ? " DESC, " : ", ");
  }
  sql += "sweep, number LIMIT ?2";
  Statement statement(database(), sql);
  statement.bind(0, query.sweep).bind(1, static_cast<int64_t>(std::min<uint64_t>(query.most, INT64_MAX)));
  while (statement.step()) visit(read_row(statement, 0));
}

uint64_t Results::count(const std::string& sweep, const std::string& where) const {
  Statement statement(database(), "SELECT count(*)" + condition(*this, sweep, where));
  statement.bind(0, sweep);
  statement.step();
  return static_cast<uint64_t>(statement.integer(0));
}

}  // namespace pgram::sweep
