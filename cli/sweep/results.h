// The results of sweeps in one SQLite file: a row per case, written as they come.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/sweep/case.h"
#include "cli/sweep/sweep_file.h"

namespace pgram::sweep {

struct Row {
  Case inputs;
  Outcome outcome;
};

/// What the file says of a sweep in it.
struct SweepRecord {
  std::string name, description, text, version;  ///< the sweep's whole file; of the program that wrote the rows
  uint64_t cases = 0, rows = 0;                  ///< of the grid; so far
};

class Database;

/// Several processes may have the same file open and write to it. Every error is an InputError that names the file: no
/// database, of another version, another sweep of that name, a full disk (what was written stays).
class Results {
 public:
  /// Makes the file and its folder, or goes on with it.
  static Results open_or_make(const std::string& path, const Sweep&, uint64_t cases);
  /// The same before there is a sweep in it.
  static Results open_or_make(const std::string& path);
  /// To read only.
  static Results open(const std::string& path);
  Results(Results&&) noexcept;
  Results& operator=(Results&&) noexcept;
  ~Results();

  /// The sweep may have rows. InputError if it is there with another text, from another version or of other cases.
  void add_sweep(const Sweep&, uint64_t cases);
  std::vector<SweepRecord> sweeps() const;
  /// Which cases of the sweep have a row.
  std::vector<bool> finished(const std::string& sweep, uint64_t cases) const;
  /// Rows that are there already stay as they are.
  void add(const std::string& sweep, const std::vector<Row>&);

  struct Query {
    std::string sweep;             ///< name; empty: all
    std::string where;             ///< an SQL expression over the columns; empty: all
    std::string by;                ///< figure to sort by, best first, rows without figures last; empty: by number
    uint64_t most = ~uint64_t{0};  ///< rows
  };
  void read(const Query&, const std::function<void(const Row&)>&) const;
  uint64_t count(const std::string& sweep, const std::string& where) const;

  /// The file itself, and the sweep's key in it: for what is kept beside the rows.
  const Database& database() const;
  int64_t key_of(const std::string& sweep) const;

 private:
  struct Impl;
  explicit Results(std::unique_ptr<Impl>);
  std::unique_ptr<Impl> impl_;
};

}  // namespace pgram::sweep
