#include "cli/sweep/run.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

#include "cli/sweep/database.h"
#include "cli/sweep/row_writer.h"
#include "cli/sweep/run_case.h"
#include "cli/sweep/run_groups.h"

namespace pgram::sweep {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// Claims ranges of groups, keeps what of them is under way, and ends each claim with its last row.
class Distribution {
 public:
  Distribution(const Sweep& sweep, const Grid& grid, Results& results, const RunOptions& options)
      : sweep_(sweep),
        grid_(grid),
        results_(results),
        options_(options),
        threads_(threads_or_all(options.threads)),
        size_(options.shard.size(grid.groups())),
        list_(results, sweep.name, options.shard, size_),
        before_(list_.handed_out()),
        writer_(results, sweep.name, file_, [this] {
          list_.stay_alive();
          if (!options_.stop.stop_requested()) claim_ahead();
        }) {}

  RunReport run() {
    const GroupWork work{
        [this] { return next(); },
        [this](uint64_t group, uint64_t number) { return wanted(group, number); },
        [this](Row row) { put(std::move(row)); },
        [this](uint64_t group) { finish(group); },
    };
    while (!options_.stop.stop_requested()) {
      run_groups(grid_, work, threads_, options_.stop);
      writer_.flush();
      if (is_finished()) break;
      // The rest is another process's; should that end, it is ours.
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    writer_.flush();
    return {cases_, options_.stop.stop_requested()};
  }

 private:
  struct Range {
    int64_t claim = 0;
    uint64_t groups_left = 0;
    std::vector<uint64_t> have_rows;  // ascending
  };

  bool is_finished() {
    const std::lock_guard file(file_);
    return list_.is_finished();
  }

  std::optional<uint64_t> next() {
    if (const auto group = next_waiting()) return group;
    const std::lock_guard file(file_);
    if (const auto group = next_waiting()) return group;  // another thread has claimed meanwhile
    claim();
    return next_waiting();
  }

  std::optional<uint64_t> next_waiting() {
    const std::lock_guard lock(mutex_);
    if (waiting_.empty()) return std::nullopt;
    const uint64_t group = waiting_.front();
    waiting_.pop_front();
    return group;
  }

  double groups_per_second() const { return static_cast<double>(groups_done_) / std::max(seconds_since(begin_), 1e-3); }

  /// With the rows, so that threads seldom wait for a claim of their own to reach the disk.
  void claim_ahead() {
    {
      const std::lock_guard lock(mutex_);
      if (static_cast<double>(waiting_.size()) >= 0.4 * groups_per_second()) return;
    }
    claim();
  }

  /// Holds the file.
  void claim() {
    // About half a second of work: few transactions, and no process has much to finish alone at the end.
    const auto most = static_cast<uint64_t>(std::clamp(groups_per_second() / 2, double(threads_), 65536.0));
    const auto claimed = list_.claim(most);
    if (!claimed) return;
    auto range = std::make_shared<Range>();
    range->claim = claimed->claim;
    range->groups_left = claimed->past - claimed->first;
    const PlanGroup last = grid_.group(options_.shard.group(claimed->past - 1));
    Statement rows(results_.database(),
                   "SELECT number FROM cases WHERE sweep = ? AND number >= ? AND number < ? ORDER BY number");
    rows.bind(0, results_.key_of(sweep_.name))
        .bind(1, static_cast<int64_t>(grid_.group(options_.shard.group(claimed->first)).first))
        .bind(2, static_cast<int64_t>(last.first + last.cases.size()));
    while (rows.step()) range->have_rows.push_back(static_cast<uint64_t>(rows.integer(0)));
    const uint64_t handed_out = list_.handed_out();
    const std::lock_guard lock(mutex_);
    for (uint64_t i = claimed->first; i < claimed->past; ++i) {
      waiting_.push_back(options_.shard.group(i));
      range_of_[options_.shard.group(i)] = range;
    }
    handed_out_ = handed_out;
  }

  bool wanted(uint64_t group, uint64_t number) {
    const std::lock_guard lock(mutex_);
    return !std::ranges::binary_search(range_of_.at(group)->have_rows, number);
  }

  void put(Row row) {
    writer_.put(std::move(row));
    ++cases_;
    report();
  }

  void finish(uint64_t group) {
    {
      const std::lock_guard lock(mutex_);
      const auto found = range_of_.find(group);
      const std::shared_ptr<Range> range = found->second;
      range_of_.erase(found);
      ++groups_done_;
      if (--range->groups_left == 0) writer_.then([this, claim = range->claim] { list_.finish(claim); });
    }
    report();
  }

  void report() {
    if (!options_.progress) return;
    double done = 0;
    {
      const std::lock_guard lock(mutex_);
      done = static_cast<double>(handed_out_) - static_cast<double>(range_of_.size()) - static_cast<double>(before_);
    }
    options_.progress(std::clamp(done / std::max(1.0, static_cast<double>(size_ - before_)), 0.0, 1.0), cases_);
  }

  const Sweep& sweep_;
  const Grid& grid_;
  Results& results_;
  const RunOptions& options_;
  unsigned threads_;
  uint64_t size_;
  std::mutex file_;  ///< the results file; never taken by who holds `mutex_`
  WorkList list_;
  std::mutex mutex_;
  std::deque<uint64_t> waiting_;                         ///< claimed groups that nobody has begun
  std::map<uint64_t, std::shared_ptr<Range>> range_of_;  ///< of claimed groups that are not finished
  uint64_t before_, handed_out_ = 0;
  std::atomic<uint64_t> groups_done_ = 0, cases_ = 0;
  Clock::time_point begin_ = Clock::now();
  RowWriter writer_;  ///< ends first: its thread uses the others
};

}  // namespace

RunReport run_sweep(const Sweep& sweep, const Grid& grid, Results& results, const RunOptions& options) {
  // Also where other shards, merged here, have done it all.
  for (const SweepRecord& record : results.sweeps()) {
    if (record.name == sweep.name && record.rows == record.cases) return {};
  }
  return Distribution(sweep, grid, results, options).run();
}

RunEstimate estimate_run(const Grid& grid, Shard shard) {
  constexpr uint64_t kGroups = 32;
  constexpr size_t kCases = 8;  // of a group
  constexpr double kSeconds = 3;
  const uint64_t groups = shard.size(grid.groups()), sampled = std::min(groups, kGroups);
  const Clock::time_point begin = Clock::now();
  Inputs inputs;
  RunEstimate estimate;
  uint64_t done = 0;
  // The middles of equal stretches, every second first, so that an early end still has seen the whole grid.
  for (const uint64_t odd : {0, 1}) {
    for (uint64_t i = odd; i < sampled && seconds_since(begin) < kSeconds; i += 2, ++done) {
      const PlanGroup group = grid.group(shard.group((2 * i + 1) * groups / (2 * sampled)));
      const Clock::time_point start = Clock::now();
      const PlannedCase planned = plan_case(group.cases.front(), inputs);
      const double plan_seconds = seconds_since(start);
      const size_t cases = std::min(group.cases.size(), kCases);
      for (size_t k = 0; k < cases; ++k) run_case(group.cases[k * group.cases.size() / cases], planned, inputs);
      estimate.sampled_cases += cases;
      estimate.seconds += plan_seconds + (seconds_since(start) - plan_seconds) / static_cast<double>(cases) *
                                             static_cast<double>(group.cases.size());
    }
  }
  if (done) estimate.seconds *= static_cast<double>(groups) / static_cast<double>(done);
  return estimate;
}

}  // namespace pgram::sweep
