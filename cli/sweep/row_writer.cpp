#include "cli/sweep/row_writer.h"

#include <algorithm>
#include <chrono>

#include "cli/sweep/database.h"

namespace pgram::sweep {

using std::chrono::milliseconds;

// The first rows are soon there; later a transaction's cost is spread over more of them.
constexpr milliseconds kFirstPause(10), kPause(200);
constexpr size_t kManyRows = 16384;  // about 10 MB

RowWriter::RowWriter(Results& results, std::string sweep, std::mutex& file, std::function<void()> each_time)
    : results_(results),
      sweep_(std::move(sweep)),
      file_(file),
      each_time_(std::move(each_time)),
      thread_([this](std::stop_token stop) { work(std::move(stop)); }) {}

RowWriter::~RowWriter() {
  thread_.request_stop();
  thread_.join();
}

void RowWriter::put(Row row) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return rows_.size() < kManyRows || failure_; });
  if (failure_) std::rethrow_exception(failure_);
  rows_.push_back(std::move(row));
  if (rows_.size() == kManyRows) changed_.notify_all();
}

void RowWriter::then(std::function<void()> what) {
  const std::lock_guard lock(mutex_);
  then_.push_back(std::move(what));
}

void RowWriter::flush() {
  write_all();
  const std::lock_guard lock(mutex_);
  if (failure_) std::rethrow_exception(failure_);
}

void RowWriter::write_all() {
  const std::lock_guard file(file_);
  std::vector<Row> rows;
  std::vector<std::function<void()>> then;
  {
    const std::lock_guard lock(mutex_);
    if (failure_) return;
    rows.swap(rows_);
    then.swap(then_);
    changed_.notify_all();
  }
  try {
    if (rows.empty() && then.empty()) {
      if (each_time_) each_time_();
      return;
    }
    results_.database().transaction([&] {
      results_.add(sweep_, rows);
      for (const auto& what : then) what();
      if (each_time_) each_time_();
    });
  } catch (...) {
    const std::lock_guard lock(mutex_);
    failure_ = std::current_exception();
    changed_.notify_all();
  }
}

void RowWriter::work(std::stop_token stop) {
  for (milliseconds pause = kFirstPause; !stop.stop_requested(); pause = std::min(2 * pause, kPause)) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, stop, pause, [&] { return rows_.size() >= kManyRows; });
    }
    write_all();
  }
  write_all();
}

}  // namespace pgram::sweep
