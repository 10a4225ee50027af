#include "cli/mpi/ranks.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <mutex>

#include "cli/mpi/loader.h"
#include "cli/mpi/parts.h"
#include "cli/sweep/row_writer.h"
#include "cli/sweep/run_groups.h"
#include "core/base/errors.h"

namespace pgram::sweep {
namespace {

/// What rank 0 found to do, as all hear it.
struct Work {
  std::string text;                 ///< of the sweep
  std::vector<uint64_t> groups;     ///< with cases that have no row
  std::vector<uint64_t> with_rows;  ///< cases in them that have one, ascending

  std::string bytes() const {
    std::string all;
    for (const auto& numbers : {groups, with_rows}) {
      const uint64_t size = numbers.size();
      all.append(reinterpret_cast<const char*>(&size), sizeof size);
      all.append(reinterpret_cast<const char*>(numbers.data()), size * sizeof(uint64_t));
    }
    return all + text;
  }

  static Work from(const std::string& bytes) {
    Work work;
    size_t at = 0;
    for (auto* numbers : {&work.groups, &work.with_rows}) {
      uint64_t size = 0;
      std::memcpy(&size, bytes.data() + at, sizeof size);
      numbers->resize(size);
      std::memcpy(numbers->data(), bytes.data() + at + sizeof size, size * sizeof(uint64_t));
      at += sizeof size + size * sizeof(uint64_t);
    }
    work.text = bytes.substr(at);
    return work;
  }
};

Work work_of(const Sweep& sweep, const Grid& grid, const Results& results, Shard shard) {
  const std::vector<bool> finished = results.finished(sweep.name, grid.cases());
  Work work{sweep.text, {}, {}};
  if (std::ranges::find(finished, false) == finished.end()) return work;
  for (uint64_t i = 0; i < shard.size(grid.groups()); ++i) {
    const PlanGroup group = grid.group(shard.group(i));
    const auto begin = finished.begin() + static_cast<std::ptrdiff_t>(group.first);
    const auto end = begin + static_cast<std::ptrdiff_t>(group.cases.size());
    if (std::find(begin, end, false) == end) continue;
    work.groups.push_back(shard.group(i));
    for (auto one = begin; one != end; ++one)
      if (*one) work.with_rows.push_back(group.first + static_cast<uint64_t>(one - begin));
  }
  return work;
}

/// The groups that a rank takes from the shared list, a few at once: many while there are many, then fewer, so that all
/// ranks end together.
class Taken {
 public:
  Taken(const MpiApi& mpi, const std::vector<uint64_t>& groups, uint64_t workers)
      : mpi_(mpi), groups_(groups), workers_(workers) {}

  std::optional<uint64_t> next() {
    const std::lock_guard lock(mutex_);
    if (at_ == past_) {
      const uint64_t left = groups_.size() - std::min<uint64_t>(past_, groups_.size());
      const uint64_t count = std::clamp<uint64_t>(left / (8 * workers_), 1, 256);
      at_ = mpi_.next(count);
      past_ = at_ + count;
    }
    if (at_ >= groups_.size()) {
      past_ = at_;
      return std::nullopt;
    }
    past_ = std::min<uint64_t>(past_, groups_.size());
    return groups_[at_++];
  }

  /// Of all that there is to do, the share that was taken when this rank last asked.
  double fraction() const {
    const std::lock_guard lock(mutex_);
    return groups_.empty() ? 1 : std::min(1.0, static_cast<double>(at_) / static_cast<double>(groups_.size()));
  }

 private:
  const MpiApi& mpi_;
  const std::vector<uint64_t>& groups_;
  uint64_t workers_;
  mutable std::mutex mutex_;
  uint64_t at_ = 0, past_ = 0;
};

std::string this_host() {
  std::array<char, 256> name{};
  gethostname(name.data(), name.size() - 1);
  return name.data();
}

}  // namespace

Ranks::Ranks(const Launch& launch) : launch_(launch) {
  const std::string started = "started " + std::to_string(launch.size) + " processes, but ";
  if (!launch.can_meet) {
    throw InputError(launch.launcher, started +
                                          "gave them no PMIx to meet by; use srun --mpi=pmix where this Slurm has "
                                          "it, or mpirun");
  }
  const LoadedMpi mpi = load_mpi();
  if (!mpi) throw InputError(launch.launcher, started + mpi.reason);
  if (!mpi.api->start(rank_, size_))
    throw InputError(launch.launcher, started + mpi.api->library + " here has no support for threads");
  mpi_ = mpi.api;
  if (size_ != launch.size) {
    mpi_->finish();
    throw InputError(launch.launcher, started + mpi.api->library + ", with which pgram is built, knows of " +
                                          std::to_string(size_) + "; start them by its own mpirun");
  }
}

Ranks::~Ranks() {
  lock_.reset();
  mpi_->finish();
}

void Ranks::fail(const std::exception_ptr& error) const {
  int code = 1;
  try {
    std::rethrow_exception(error);
  } catch (const InputError& e) {
    code = 2;
    std::fprintf(stderr, "pgram: rank %u on %s: %s\n", rank_, this_host().c_str(), e.what());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "pgram: rank %u on %s: %s\n", rank_, this_host().c_str(), e.what());
  }
  std::fflush(stderr);
  mpi_->abort(code);
  std::_Exit(code);
}

bool Ranks::prepare(const std::function<void()>& what) {
  std::exception_ptr error;
  try {
    what();
  } catch (...) {
    error = std::current_exception();
  }
  std::string verdict = error ? "failed" : "";
  mpi_->broadcast(verdict);
  if (!verdict.empty()) {
    if (rank_ != 0) return false;
    std::rethrow_exception(error);
  }
  if (error) fail(error);
  return true;
}

void Ranks::open(const Sweep& sweep, const Grid& grid, const std::string& out, Shard shard) {
  lock_ = std::make_unique<PartsLock>(out);
  if (!lock_->held())
    throw InputError(out, 0, "", "another mpirun is writing it; wait for that, or give another --out");
  join_parts(out);
  work_ = work_of(sweep, grid, Results::open_or_make(out, sweep, grid.cases()), shard).bytes();
}

RunReport Ranks::run(const Sweep& sweep, const Grid& grid, const std::string& out, const RunOptions& options) {
  try {
    return run_or_throw(sweep, grid, out, options);
  } catch (...) {
    fail(std::current_exception());
  }
}

RunReport Ranks::run_or_throw(const Sweep& sweep, const Grid& grid, const std::string& out, const RunOptions& options) {
  mpi_->broadcast(work_);
  const Work work = Work::from(work_);
  if (work.text != sweep.text) throw InputError(sweep.path, 0, "", "is another file than that of rank 0");
  if (work.groups.empty()) return {};
  const std::string part = part_of_rank(out, rank_);
  {
    Results results = Results::open_or_make(part, sweep, grid.cases());
    const uint32_t cores = static_cast<uint32_t>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
    const unsigned threads =
        options.threads ? options.threads : threads_of_rank(cores, threads_or_all(0), launch_.local_size);
    mpi_->share();
    Taken taken(*mpi_, work.groups, uint64_t{size_} * threads);
    std::mutex file;
    RowWriter writer(results, sweep.name, file);
    std::atomic<uint64_t> cases = 0;
    const GroupWork groups{
        [&] { return taken.next(); },
        [&](uint64_t, uint64_t number) { return !std::ranges::binary_search(work.with_rows, number); },
        [&](Row row) {
          writer.put(std::move(row));
          ++cases;
          if (options.progress) options.progress(taken.fraction(), cases);
        },
        [](uint64_t) {},
    };
    run_groups(grid, groups, threads, options.stop);
    writer.flush();
  }
  mpi_->wait_for_all();
  RunReport report;
  if (rank_ == 0) {
    for (uint32_t rank = 0; rank < size_; ++rank) {
      if (!std::filesystem::exists(part_of_rank(out, rank))) {
        throw InputError(part_of_rank(out, rank), 0, "",
                         "rank " + std::to_string(rank) + " wrote it, but it is not seen on " + this_host() +
                             "; --out must lie on a file system that all nodes share");
      }
    }
    report.cases = join_parts(out);
    report.stopped = !work_of(sweep, grid, Results::open(out), options.shard).groups.empty();
  }
  mpi_->wait_for_all();
  return report;
}

}  // namespace pgram::sweep
