// Rows on their way to the results file: written by a thread of its own, a few times a second, all of a time in one
// transaction.
#pragma once
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cli/sweep/results.h"

namespace pgram::sweep {

class RowWriter {
 public:
  /// `each_time`: called in every transaction, and now and then without rows. `file` is held while the file is used.
  RowWriter(Results&, std::string sweep, std::mutex& file, std::function<void()> each_time = {});
  /// Writes what is left.
  ~RowWriter();

  /// Thread-safe. Waits where far too much waits to be written.
  void put(Row);
  /// Called in the transaction that writes the rows put before it, or a later one.
  void then(std::function<void()>);
  /// All that was put is in the file. Throws what writing has thrown, as put does.
  void flush();

 private:
  void write_all();
  void work(std::stop_token);

  Results& results_;
  std::string sweep_;
  std::mutex& file_;
  std::function<void()> each_time_;
  std::mutex mutex_;  ///< of what follows; never taken before `file_`'s holder needs it for long
  std::condition_variable_any changed_;
  std::vector<Row> rows_;
  std::vector<std::function<void()>> then_;
  std::exception_ptr failure_;
  std::jthread thread_;
};

}  // namespace pgram::sweep
