#include "cli/sweep/filter.h"

#include <sqlite3.h>

#include <algorithm>
#include <cctype>

#include "core/base/errors.h"
#include "core/base/library.h"

namespace pgram::sweep {
namespace {

/// What comes after the expression; the line break ends a remark in it.
constexpr const char* kAfter = "\n)";

/// What a first look at the expression finds: which inputs it reads, and whether it does more than compute.
struct Look {
  std::vector<bool> reads = std::vector<bool>(input_columns().size());
  int selects = 0;
  std::string forbidden;
};

/// Called by SQLite for everything that a statement would do.
int authorize(void* looked, int action, const char* first, const char* second, const char*, const char*) {
  Look& look = *static_cast<Look*>(looked);
  if (action == SQLITE_READ) {
    for (size_t i = 0; i < look.reads.size(); ++i)
      if (second && input_columns()[i].name == std::string_view(second)) look.reads[i] = true;
    return SQLITE_OK;
  }
  if (action == SQLITE_SELECT && ++look.selects == 1) return SQLITE_OK;
  if (action == SQLITE_FUNCTION) {
    // Another answer at another time would make another grid.
    for (const char* name : {"random", "randomblob", "date", "time", "datetime", "julianday", "strftime", "unixepoch",
                             "current_date", "current_time", "current_timestamp"})
      if (std::string_view(second) == name) look.forbidden = std::string("the function ") + name;
    return look.forbidden.empty() ? SQLITE_OK : SQLITE_DENY;
  }
  look.forbidden = action == SQLITE_SELECT ? "a query within" : first ? first : "a command";
  return SQLITE_DENY;
}

std::vector<std::string> input_names() {
  std::vector<std::string> names;
  for (const InputColumn& column : input_columns()) names.emplace_back(column.name);
  return names;
}

}  // namespace

struct Filter::Impl {
  Impl(std::string file_name, Sweep::Filter filter) : file(std::move(file_name)), text(std::move(filter)) {
    if (sqlite3_open(":memory:", &db) != SQLITE_OK) throw RunError("SQLite cannot open a database in memory");
    sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DML, 0, nullptr);  // "x" is a name; where none has it, not a text
    sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DDL, 0, nullptr);
  }
  ~Impl() {
    sqlite3_finalize(statement);
    sqlite3_close(db);
  }
  Impl(const Impl&) = delete;

  std::string shown() const {
    constexpr size_t kShown = 120;
    std::string shown = text.expression.substr(0, kShown);
    std::replace(shown.begin(), shown.end(), '\n', ' ');
    return "\"" + shown + (text.expression.size() > kShown ? "...\"" : "\"");
  }

  [[noreturn]] void fail(const std::string& why) const {
    throw InputError(file, text.line, "filters", shown() + ": " + why);
  }

  [[noreturn]] void fail_as_sqlite_says() const {
    std::string why = sqlite3_errmsg(db);
    const std::string unknown = "no such column: ";
    if (!why.starts_with(unknown)) {
      // An open quote goes on into what is added here.
      if (const size_t end = why.find(kAfter); end != std::string::npos) why.resize(end);
      std::replace(why.begin(), why.end(), '\n', ' ');
      fail("no expression that SQLite takes (" + why + ")");
    }
    const std::string name = why.substr(unknown.size());
    const std::string nearest = nearest_name(name, input_names());
    std::string known;
    for (const std::string& each : input_names()) known += (known.empty() ? "" : ", ") + each;
    fail("unknown name \"" + name + "\"; " +
         (nearest.empty() ? "known ones are " + known + "; texts are in single quotes"
                          : "did you mean \"" + nearest + "\"?"));
  }

  sqlite3_stmt* prepare(const std::string& sql) const {
    sqlite3_stmt* made = nullptr;
    const char* rest = nullptr;
    if (sqlite3_prepare_v2(db, sql.c_str(), static_cast<int>(sql.size()), &made, &rest) != SQLITE_OK) return nullptr;
    while (*rest != '\0' && std::isspace(static_cast<unsigned char>(*rest))) ++rest;
    if (*rest == '\0' && sqlite3_column_count(made) == 1 && sqlite3_bind_parameter_count(made) == 0) return made;
    sqlite3_finalize(made);
    fail("expected one expression");
  }

  /// The expression is first read over a table that has all inputs, which tells the ones it uses; then it is made over
  /// values that are bound.
  void compile() {
    std::string columns;
    for (const InputColumn& input : input_columns())
      columns += std::string(columns.empty() ? "" : ", ") + input.name + (input.text ? " TEXT" : " INTEGER");
    sqlite3_exec(db, ("CREATE TABLE inputs (" + columns + ")").c_str(), nullptr, nullptr, nullptr);
    Look look;
    sqlite3_set_authorizer(db, authorize, &look);
    sqlite3_stmt* over_table = prepare("SELECT (" + text.expression + kAfter + " FROM inputs");
    sqlite3_set_authorizer(db, nullptr, nullptr);
    if (!over_table) {
      if (!look.forbidden.empty()) fail("expected an expression, found " + look.forbidden);
      fail_as_sqlite_says();
    }
    sqlite3_finalize(over_table);

    std::string values;
    for (size_t i = 0; i < look.reads.size(); ++i) {
      if (!look.reads[i]) continue;
      const InputColumn& input = input_columns()[i];
      used.push_back(&input);
      // A cast has a column's affinity: '8' compares with tp as 8 does.
      values += std::string(values.empty() ? "" : ", ") + "CAST(?" + std::to_string(used.size()) + " AS " +
                (input.text ? "TEXT" : "INTEGER") + ") AS " + input.name;
    }
    texts.resize(used.size());
    const std::string from = values.empty() ? "" : " FROM (SELECT " + values + ")";
    const std::string sql = "SELECT (" + text.expression + kAfter + " IS TRUE" + from;
    if (sqlite3_prepare_v2(db, sql.c_str(), static_cast<int>(sql.size()), &statement, nullptr) != SQLITE_OK)
      fail_as_sqlite_says();
  }

  std::string file;
  Sweep::Filter text;
  sqlite3* db = nullptr;
  sqlite3_stmt* statement = nullptr;
  std::vector<const InputColumn*> used;
  std::vector<std::string> texts;  ///< of those used, where they are texts; bound as they are
};

Filter::Filter(std::string file, const Sweep::Filter& filter) : impl_(std::make_unique<Impl>(std::move(file), filter)) {
  impl_->compile();
}
Filter::Filter(Filter&&) noexcept = default;
Filter::~Filter() = default;

bool Filter::is_of_group() const {
  for (const InputColumn* input : impl_->used)
    if (!input->of_group) return false;
  return true;
}

bool Filter::keeps(const Case& c) {
  sqlite3_stmt* statement = impl_->statement;
  for (size_t i = 0; i < impl_->used.size(); ++i) {
    const InputColumn& input = *impl_->used[i];
    const int place = static_cast<int>(i) + 1;
    if (input.text) {
      const std::string& text = impl_->texts[i] = input.text(c);
      sqlite3_bind_text(statement, place, text.data(), static_cast<int>(text.size()), SQLITE_STATIC);
    } else {
      sqlite3_bind_int64(statement, place, static_cast<int64_t>(input.number(c)));
    }
  }
  const int status = sqlite3_step(statement);
  const bool kept = status == SQLITE_ROW && sqlite3_column_int(statement, 0) != 0;
  if (status != SQLITE_ROW) impl_->fail(std::string("cannot be computed (") + sqlite3_errmsg(impl_->db) + ")");
  sqlite3_reset(statement);
  return kept;
}

int Filter::line() const {
  return impl_->text.line;
}
std::string Filter::shown() const {
  return impl_->shown();
}

}  // namespace pgram::sweep
