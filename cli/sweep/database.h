// SQLite for the results of sweeps: statements that clean up after themselves, and errors as one line that names the
// file and says what to do.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

struct sqlite3;
struct sqlite3_stmt;

namespace pgram::sweep {

class Database;

/// One statement; parameters and columns count from 0.
class Statement {
 public:
  Statement(const Database&, const std::string& sql);
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& bind(int parameter, int64_t);
  Statement& bind(int parameter, double);  ///< exactly; NaN becomes NULL and is read back as NaN
  Statement& bind(int parameter, const std::string&);
  /// True while there is a row.
  bool step();
  /// Runs it to its end and makes it ready for other parameters.
  void run();

  int64_t integer(int column) const;
  double number(int column) const;
  std::string text(int column) const;

 private:
  const Database& database_;
  sqlite3_stmt* statement_ = nullptr;
};

/// A connection; used by one thread at a time.
class Database {
 public:
  enum class Mode { write, make, read };
  /// `read` may still roll back what a killed writer left half-written. InputError where there is no file, or it is a
  /// folder.
  Database(const std::string& path, Mode);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  const std::string& path() const { return path_; }
  void execute(const std::string& sql) const;
  int64_t integer(const std::string& sql) const;
  int64_t changes() const;
  /// All of it or, where it throws, nothing. One inside another is part of it.
  void transaction(const std::function<void()>&) const;
  /// What is wrong with a statement, in SQLite's words; nothing if it can run.
  std::optional<std::string> problem_of(const std::string& sql) const;
  /// InputError for what SQLite just said.
  [[noreturn]] void fail() const;

 private:
  friend class Statement;
  std::string path_;
  sqlite3* handle_ = nullptr;
};

}  // namespace pgram::sweep
