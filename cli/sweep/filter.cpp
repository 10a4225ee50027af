#include "cli/sweep/filter.h"

#include <sqlite3.h>

#include <algorithm>
#include <cctype>

#include "core/base/errors.h"
#include "core/base/library.h"
#include "core/planner/planner.h"

namespace pgram::sweep {
namespace {

struct Input {
  const char* name;
  bool of_group;  ///< the same in all cases of a PlanGroup
  int64_t (*number)(const Case&);
  const char* (*text)(const Case&);  ///< where it is no number
};

constexpr Input kInputs[] = {
    {"model", true, nullptr, [](const Case& c) { return c.model.c_str(); }},
    {"cluster", false, nullptr, [](const Case& c) { return c.cluster.c_str(); }},
    {"devices", true, [](const Case& c) { return int64_t{c.devices}; }, nullptr},
    {"devices_per_node", false, [](const Case& c) { return int64_t{c.devices_per_node}; }, nullptr},
    {"nodes", false,
     [](const Case& c) { return (int64_t{c.devices} + c.devices_per_node - 1) / int64_t{c.devices_per_node}; },
     nullptr},
    {"tp", true, [](const Case& c) { return int64_t{c.layout.tp}; }, nullptr},
    {"pp", true, [](const Case& c) { return int64_t{c.layout.pp}; }, nullptr},
    {"dp", true, [](const Case& c) { return int64_t{c.layout.dp}; }, nullptr},
    {"sp", true, [](const Case& c) { return int64_t{c.layout.sequence_parallel}; }, nullptr},
    {"schedule", true, nullptr, [](const Case& c) { return c.layout.schedule.c_str(); }},
    {"p2p", true, nullptr, [](const Case& c) { return name_of(c.layout.p2p); }},
    {"global_batch", true, [](const Case& c) { return int64_t{c.workload.global_batch}; }, nullptr},
    {"micro_batch", true, [](const Case& c) { return int64_t{c.workload.micro_batch}; }, nullptr},
    {"micro_batches", true, [](const Case& c) { return int64_t{micro_batches(c.layout, c.workload)}; }, nullptr},
    {"sequence", true, [](const Case& c) { return int64_t{c.workload.sequence}; }, nullptr},
    {"precision", true, nullptr, [](const Case& c) { return name_of(c.workload.precision); }},
    {"optimizer", true, nullptr, [](const Case& c) { return name_of(c.workload.optimizer); }},
    {"network", false, nullptr, [](const Case& c) { return c.network.c_str(); }},
    {"disturbance", false, nullptr, [](const Case& c) { return c.disturbance.name.c_str(); }},
};
constexpr size_t kCount = std::size(kInputs);

/// What comes after the expression; the line break ends a remark in it.
constexpr const char* kAfter = "\n)";

/// What a first look at the expression finds: which inputs it reads, and whether it does more than compute.
struct Look {
  bool reads[kCount] = {};
  int selects = 0;
  std::string forbidden;
};

/// Called by SQLite for everything that a statement would do.
int authorize(void* looked, int action, const char* first, const char* second, const char*, const char*) {
  Look& look = *static_cast<Look*>(looked);
  if (action == SQLITE_READ) {
    for (size_t i = 0; i < kCount; ++i)
      if (second && kInputs[i].name == std::string_view(second)) look.reads[i] = true;
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

}  // namespace

std::vector<std::string> input_names() {
  std::vector<std::string> names;
  for (const Input& input : kInputs) names.emplace_back(input.name);
  return names;
}

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
    for (const Input& input : kInputs)
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
    for (size_t i = 0; i < kCount; ++i) {
      if (!look.reads[i]) continue;
      used.push_back(&kInputs[i]);
      // A cast has a column's affinity: '8' compares with tp as 8 does.
      values += std::string(values.empty() ? "" : ", ") + "CAST(?" + std::to_string(used.size()) + " AS " +
                (kInputs[i].text ? "TEXT" : "INTEGER") + ") AS " + kInputs[i].name;
    }
    const std::string from = values.empty() ? "" : " FROM (SELECT " + values + ")";
    const std::string sql = "SELECT (" + text.expression + kAfter + " IS TRUE" + from;
    if (sqlite3_prepare_v2(db, sql.c_str(), static_cast<int>(sql.size()), &statement, nullptr) != SQLITE_OK)
      fail_as_sqlite_says();
  }

  std::string file;
  Sweep::Filter text;
  sqlite3* db = nullptr;
  sqlite3_stmt* statement = nullptr;
  std::vector<const Input*> used;
};

Filter::Filter(std::string file, const Sweep::Filter& filter) : impl_(std::make_unique<Impl>(std::move(file), filter)) {
  impl_->compile();
}
Filter::Filter(Filter&&) noexcept = default;
Filter::~Filter() = default;

bool Filter::is_of_group() const {
  for (const Input* input : impl_->used)
    if (!input->of_group) return false;
  return true;
}

bool Filter::keeps(const Case& c) {
  sqlite3_stmt* statement = impl_->statement;
  for (size_t i = 0; i < impl_->used.size(); ++i) {
    const Input& input = *impl_->used[i];
    const int place = static_cast<int>(i) + 1;
    if (input.text) {
      sqlite3_bind_text(statement, place, input.text(c), -1, SQLITE_STATIC);
    } else {
      sqlite3_bind_int64(statement, place, input.number(c));
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
