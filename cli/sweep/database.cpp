#include "cli/sweep/database.h"

#include <sqlite3.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "core/base/errors.h"

namespace pgram::sweep {
namespace {

constexpr int kPatienceSeconds = 60;

std::string words_of(int code, const std::string& message) {
  switch (code & 0xff) {
    case SQLITE_NOTADB:
      return "is no results file (no SQLite database); give another --out";
    case SQLITE_CORRUPT:
      return "is damaged (" + message + ")";
    case SQLITE_FULL:
      return "cannot be written: the disk is full; what was written stays. Make room and run the same command again";
    case SQLITE_IOERR:
      return "cannot be written or read (" + message +
             "); is the disk full? What was written stays; the same command goes on";
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return "cannot be written: it or its folder is read-only";
    case SQLITE_CANTOPEN:
      return "cannot be opened; is its folder there, and may it be written?";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return "has been locked by another program for " + std::to_string(kPatienceSeconds) +
             " seconds; end that and run the same command again";
    default:
      return message;
  }
}

}  // namespace

Statement::Statement(const Database& database, const std::string& sql) : database_(database) {
  if (sqlite3_prepare_v2(database.handle_, sql.c_str(), static_cast<int>(sql.size()), &statement_, nullptr) !=
      SQLITE_OK)
    database.fail();
}

Statement::~Statement() {
  sqlite3_finalize(statement_);
}

Statement& Statement::bind(int parameter, int64_t value) {
  if (sqlite3_bind_int64(statement_, parameter + 1, value) != SQLITE_OK) database_.fail();
  return *this;
}

Statement& Statement::bind(int parameter, double value) {
  // SQLite keeps a whole number as an integer, which has no -0.
  if (sqlite3_bind_double(statement_, parameter + 1, value + 0.0) != SQLITE_OK) database_.fail();
  return *this;
}

Statement& Statement::bind(int parameter, const std::string& value) {
  if (sqlite3_bind_text(statement_, parameter + 1, value.data(), static_cast<int>(value.size()), SQLITE_TRANSIENT) !=
      SQLITE_OK)
    database_.fail();
  return *this;
}

bool Statement::step() {
  const int code = sqlite3_step(statement_);
  if (code != SQLITE_ROW && code != SQLITE_DONE) database_.fail();
  return code == SQLITE_ROW;
}

void Statement::run() {
  while (step()) {
  }
  sqlite3_reset(statement_);
}

int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

double Statement::number(int column) const {
  if (sqlite3_column_type(statement_, column) == SQLITE_NULL) return std::numeric_limits<double>::quiet_NaN();
  return sqlite3_column_double(statement_, column);
}

std::string Statement::text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  return text ? std::string(text, static_cast<size_t>(sqlite3_column_bytes(statement_, column))) : std::string();
}

Database::Database(const std::string& path, Mode mode) : path_(path) {
  if (std::filesystem::is_directory(path)) throw InputError(path, 0, "", "is a folder; expected a results file");
  if (mode != Mode::make && !std::filesystem::exists(path))
    throw InputError(path, 0, "", "there is no such results file; pgram sweep --out writes one");
  const int flags = SQLITE_OPEN_READWRITE | (mode == Mode::make ? SQLITE_OPEN_CREATE : 0);
  // A file that may not be written is opened to read by SQLite itself.
  const int code = sqlite3_open_v2(path.c_str(), &handle_, flags, nullptr);
  if (code != SQLITE_OK) {
    const std::string words = words_of(code, handle_ ? sqlite3_errmsg(handle_) : "not enough memory");
    sqlite3_close(handle_);
    throw InputError(path, 0, "", words);
  }
  sqlite3_extended_result_codes(handle_, 1);
  sqlite3_busy_timeout(handle_, kPatienceSeconds * 1000);
  try {
    if (mode == Mode::read) execute("PRAGMA query_only = 1");
  } catch (...) {
    sqlite3_close(handle_);
    throw;
  }
}

Database::~Database() {
  sqlite3_close(handle_);
}

void Database::execute(const std::string& sql) const {
  Statement(*this, sql).run();
}

int64_t Database::integer(const std::string& sql) const {
  Statement statement(*this, sql);
  return statement.step() ? statement.integer(0) : 0;
}

int64_t Database::changes() const {
  return sqlite3_changes64(handle_);
}

void Database::transaction(const std::function<void()>& work) const {
  if (!sqlite3_get_autocommit(handle_)) return work();
  // Immediate: whoever waits for its turn waits here, before it has read anything that could change meanwhile.
  execute("BEGIN IMMEDIATE");
  try {
    work();
    execute("COMMIT");
  } catch (...) {
    if (!sqlite3_get_autocommit(handle_)) sqlite3_exec(handle_, "ROLLBACK", nullptr, nullptr, nullptr);
    throw;
  }
}

std::optional<std::string> Database::problem_of(const std::string& sql) const {
  sqlite3_stmt* statement = nullptr;
  const char* rest = nullptr;
  const int code = sqlite3_prepare_v2(handle_, sql.c_str(), static_cast<int>(sql.size()), &statement, &rest);
  sqlite3_finalize(statement);
  if (code != SQLITE_OK) return sqlite3_errmsg(handle_);
  if (rest && *rest) return std::string("more than one statement");
  return std::nullopt;
}

void Database::fail() const {
  throw InputError(path_, 0, "", words_of(sqlite3_extended_errcode(handle_), sqlite3_errmsg(handle_)));
}

}  // namespace pgram::sweep
