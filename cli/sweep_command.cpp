// pgram sweep: every case of a grid simulated, into one file. pgram sweep merge: files of shards joined.
#include <charconv>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/mpi/parts.h"
#include "cli/mpi/ranks.h"
#include "cli/progress.h"
#include "cli/sweep/emit.h"
#include "cli/sweep/merge.h"
#include "cli/sweep/row_columns.h"
#include "cli/sweep/run.h"
#include "cli/sweep/run_groups.h"
#include "cli/sweep/table.h"
#include "core/base/errors.h"
#include "core/base/units.h"

namespace pgram::cli {
namespace {

using namespace sweep;

struct Flags {
  std::string file, out, by = "step_time", where, csv, shard;
  std::string emit, image;
  uint64_t top = 10;
  uint32_t threads = 0, shards = 0;
  bool dry_run = false, yes = false, json = false;
  bool merges = false;  ///< `sweep merge` was asked for
  std::string merged;
  std::vector<std::string> parts;
};

/// "0/4": the first of four.
Shard parse_shard(const std::string& text) {
  Shard shard;
  if (text.empty()) return shard;
  const char *at = text.data(), *end = at + text.size();
  const auto first = std::from_chars(at, end, shard.shard);
  const bool slash = first.ec == std::errc() && first.ptr != end && *first.ptr == '/';
  const auto second = slash ? std::from_chars(first.ptr + 1, end, shard.shards) : first;
  if (!slash || second.ec != std::errc() || second.ptr != end || shard.shards > 1'000'000 ||
      shard.shard >= shard.shards) {
    throw InputError("--shard", "expected I/N with I from 0 to N - 1, for example 0/4; got '" + text + "'");
  }
  return shard;
}

/// For people: "12.3 s", "3.4 min", "5.6 h".
std::string duration(double seconds) {
  char text[32];
  if (seconds < 120)
    std::snprintf(text, sizeof text, "%.3g s", seconds);
  else if (seconds < 7200)
    std::snprintf(text, sizeof text, "%.3g min", seconds / 60);
  else
    std::snprintf(text, sizeof text, "%.3g h", seconds / 3600);
  return text;
}

/// What somebody who wrote the file would otherwise miss only in the results.
void warn_of_models_without_cases(const Grid& grid) {
  for (const std::string& model : grid.models_without_cases()) {
    std::fprintf(stderr, "pgram: %s is in no case: no layout is legal for it, or filters drop all of its cases\n",
                 model.c_str());
  }
}

int dry_run(const Flags& flags, const Sweep& sweep, const Grid& grid) {
  uint64_t rows = 0;
  if (!flags.out.empty() && std::filesystem::exists(flags.out)) {
    for (const SweepRecord& record : Results::open(flags.out).sweeps()) {
      if (record.name == sweep.name) rows = record.rows;
    }
  }
  const unsigned threads = threads_or_all(flags.threads);
  warn_of_models_without_cases(grid);
  const RunEstimate estimate = estimate_run(grid);
  const double left = 1 - static_cast<double>(rows) / static_cast<double>(grid.cases());
  const double seconds = estimate.seconds * left / threads;
  if (flags.json) {
    const nlohmann::ordered_json out{{"sweep", sweep.name},
                                     {"cases", grid.cases()},
                                     {"plans", grid.groups()},
                                     {"dropped", grid.dropped()},
                                     {"rows", rows},
                                     {"threads", threads},
                                     {"sampled_cases", estimate.sampled_cases},
                                     {"estimated_seconds", seconds},
                                     {"estimated_core_seconds", estimate.seconds}};
    std::printf("%s\n", out.dump(2).c_str());
    return kGood;
  }
  std::printf("%s: %s cases of %s plans; filters drop %s\n", sweep.name.c_str(), format_count(grid.cases()).c_str(),
              format_count(grid.groups()).c_str(), format_count(grid.dropped()).c_str());
  if (rows) std::printf("%s of them have rows in %s\n", format_count(rows).c_str(), flags.out.c_str());
  std::printf("about %s on %u threads, as %s sampled cases say\n", duration(seconds).c_str(), threads,
              format_count(estimate.sampled_cases).c_str());
  return kGood;
}

/// The best rows, and how many of the sweep's are no candidates.
int print_results(const Flags& flags, const Sweep& sweep, const Results& results, const RunReport& report,
                  double seconds) {
  if (!flags.csv.empty()) write_csv(results, {.sweep = sweep.name, .where = flags.where, .by = ""}, flags.csv);
  const std::string fits =
      std::string("unfit = '' AND error = ''") + (flags.where.empty() ? "" : " AND (" + flags.where + "\n)");
  std::vector<Row> best;
  results.read({.sweep = sweep.name, .where = fits, .by = flags.by, .most = flags.top},
               [&](const Row& row) { best.push_back(row); });
  SweepRecord record;
  for (const SweepRecord& other : results.sweeps()) {
    if (other.name == sweep.name) record = other;
  }
  const uint64_t failed = results.count(sweep.name, "error <> ''");
  const uint64_t unfit = results.count(sweep.name, "unfit <> '' AND error = ''");
  std::string failure;
  results.read({.sweep = sweep.name, .where = "error <> ''", .by = "", .most = 1}, [&](const Row& row) {
    failure = "case " + std::to_string(row.inputs.number) + ": " + row.outcome.error;
  });
  if (flags.json) {
    nlohmann::ordered_json out{
        {"sweep", sweep.name},      {"version", record.version}, {"cases", record.cases},     {"rows", record.rows},
        {"unfit", unfit},           {"failed", failed},          {"simulated", report.cases}, {"seconds", seconds},
        {"stopped", report.stopped}};
    out["top"] = nlohmann::ordered_json::array();
    for (const Row& row : best) out["top"].push_back(to_json(row));
    std::printf("%s\n", out.dump(2).c_str());
  } else if (flags.csv != "-") {
    std::printf("%s: %s of %s cases in %s", sweep.name.c_str(), format_count(record.rows).c_str(),
                format_count(record.cases).c_str(), flags.out.c_str());
    if (report.cases) {
      std::printf(", %s simulated now in %s (%.3g a second)", format_count(report.cases).c_str(),
                  duration(seconds).c_str(), static_cast<double>(report.cases) / std::max(seconds, 1e-6));
    }
    std::printf("\n\n");
    if (best.empty() && flags.top > 0)
      std::printf("no case that works%s\n", flags.where.empty() ? "" : " is among them by --where");
    else if (!best.empty())
      std::printf("%s", top_table(best, flags.by).c_str());
    std::printf("\n%s do not fit, %s failed%s%s\n", format_count(unfit).c_str(), format_count(failed).c_str(),
                failure.empty() ? "" : "; ", failure.c_str());
    if (!flags.csv.empty()) std::printf("wrote %s\n", flags.csv.c_str());
  }
  if (report.stopped) std::fprintf(stderr, "pgram: stopped; the same command goes on from here\n");
  return report.stopped ? kFailed : kGood;
}

int merge(const Flags& flags) {
  const MergeReport report = merge_results(flags.merged, flags.parts);
  std::printf("%s rows from %zu files into %s", format_count(report.rows).c_str(), flags.parts.size(),
              flags.merged.c_str());
  if (report.missing) std::printf("; %s cases still have none", format_count(report.missing).c_str());
  std::printf("\n");
  return kGood;
}

/// What is to be run: read and checked before hours of work.
struct Task {
  explicit Task(const Flags& flags)
      : shard(parse_shard(flags.shard)),
        sweep(read_sweep(flags.file)),
        grid(sweep, flags.yes ? UINT64_MAX : kMostCases) {}
  Shard shard;
  Sweep sweep;
  Grid grid;
};

int print_emitted(const Flags& flags, const Task& task) {
  Emission emission;
  emission.engine = flags.emit;
  emission.out = flags.out;
  emission.cases = task.grid.cases();
  emission.shards = flags.shards;
  emission.image = flags.image;
  emission.version = PGRAM_VERSION;
  require_emittable(emission);
  if (!flags.shards) emission.core_seconds = estimate_run(task.grid).seconds;
  std::printf("%s", emit(task.sweep, emission).c_str());
  return kGood;
}

/// What can be seen to be wrong before any file is read.
void require_good(const Flags& flags) {
  if (flags.emit.empty() && flags.shards)
    throw InputError("--shards", "is for --emit; to run one of several parts say --shard I/N");
  if (flags.emit.empty() && !flags.image.empty()) throw InputError("--image", "is for --emit k8s");
  if (!flags.emit.empty() && !flags.shard.empty())
    throw InputError("--shard", "is what each job runs; say --shards N to --emit");
  if (flags.file.empty())
    throw InputError("FILE", "missing: name a sweep file, for example pgram sweep models/sweeps/tiny.yaml --out x.db");
  find_figure(flags.by, "--by");
}

void require_out(const Flags& flags) {
  if (flags.out.empty())
    throw InputError("--out", "missing: the file of the results, for example --out out/results.db");
}

/// Before the first case: the results file, and whether --where can be asked of it.
Results open_results(const Flags& flags, const Task& task) {
  Results results = Results::open_or_make(flags.out, task.sweep, task.grid.cases());
  if (!flags.where.empty()) results.count(task.sweep.name, flags.where);
  return results;
}

/// `sweeping` runs all that has no row.
int run_and_print(const Flags& flags, const Task& task, const std::function<RunReport(const RunOptions&)>& sweeping,
                  bool prints) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  RunReport report;
  if (prints) warn_of_models_without_cases(task.grid);
  {
    Progress progress(task.sweep.name);
    RunOptions options;
    options.threads = flags.threads;
    options.shard = task.shard;
    options.stop = stop_on_interrupt(prints);
    if (prints) {
      options.progress = [&](double fraction, uint64_t cases) {
        progress.show(fraction, format_count(cases) + " cases");
      };
    }
    report = sweeping(options);
  }
  if (!prints) return kGood;
  return print_results(flags, task.sweep, Results::open(flags.out), report,
                       std::chrono::duration<double>(Clock::now() - begin).count());
}

int run_in_ranks(const Flags& flags, const Launch& launch) {
  std::unique_ptr<Ranks> ranks;
  try {
    ranks = std::make_unique<Ranks>(launch);
  } catch (const InputError&) {
    if (launch.rank != 0) return kGood;  // rank 0 says it for all
    throw;
  }
  std::unique_ptr<Task> task;
  const bool prepared = ranks->prepare([&] {
    require_good(flags);
    require_out(flags);
    task = std::make_unique<Task>(flags);
    if (ranks->rank() != 0) return;
    ranks->open(task->sweep, task->grid, flags.out, task->shard);
    open_results(flags, *task);
  });
  if (!prepared) return kGood;
  return run_and_print(
      flags, *task, [&](const RunOptions& o) { return ranks->run(task->sweep, task->grid, flags.out, o); },
      ranks->rank() == 0);
}

int run(const Flags& flags) {
  const Launch launch = launch_of_this_process();
  const bool only_tells = flags.merges || flags.dry_run || !flags.emit.empty();
  if (only_tells && launch.rank != 0) return kGood;
  if (flags.merges) return merge(flags);
  if (launch.size > 1 && !only_tells) return run_in_ranks(flags, launch);
  require_good(flags);
  const Task task(flags);
  if (!flags.emit.empty()) return print_emitted(flags, task);
  if (flags.dry_run) return dry_run(flags, task.sweep, task.grid);
  require_out(flags);
  if (!parts_of(flags.out).empty()) {  // of an mpirun that was cut off, if none is running
    const PartsLock lock(flags.out);
    if (lock.held()) join_parts(flags.out);
  }
  Results results = open_results(flags, task);
  return run_and_print(
      flags, task, [&](const RunOptions& options) { return run_sweep(task.sweep, task.grid, results, options); }, true);
}

}  // namespace

void add_sweep_command(Command& app, int& exit_code) {
  auto flags = std::make_shared<Flags>();
  Command* command =
      add_command(app, "sweep", "Simulate every case of a grid, into one file that a second run goes on with",
                  "pgram sweep models/sweeps/tiny.yaml --out out/tiny.db\n  pgram sweep "
                  "models/sweeps/tiny.yaml --out out/tiny.db --top 5 --by memory --where 'tp = 2'\n  pgram "
                  "sweep merge all.db shard0.db shard1.db",
                  exit_code, [=] { return run(*flags); });
  command->add_option("FILE", flags->file, "Sweep file; docs/file-formats.md describes it");
  command->add_option("--out", flags->out, "Results file (SQLite); made, or gone on with");
  command->add_option("--top", flags->top, "Rows to show")->capture_default_str();
  command->add_option("--by", flags->by, "Figure to sort by: step_time, cost_per_token, memory ...")
      ->capture_default_str();
  command->add_option("--where", flags->where,
                      "Show only these: an SQLite expression over the columns, such as 'tp = 8 and mfu > 0.4'");
  command->add_option("--csv", flags->csv, "Write all rows (of --where) as CSV; '-' is standard output");
  command->add_option("--threads", flags->threads, "Default: all cores")->check(Range(1u, 4096u));
  command->add_option("--shard", flags->shard, "Only the I-th of N parts: I/N, from 0");
  command->add_option("--emit", flags->emit,
                      "Print a file to submit instead: a Slurm array (slurm), a Kubernetes Indexed Job (k8s), a Ray "
                      "program (ray)");
  command->add_option("--shards", flags->shards, "For --emit (default: each takes some minutes)")
      ->check(Range(1u, kMostShards));
  command->add_option("--image", flags->image, "For --emit k8s: the image that has pgram in it");
  command->add_flag("--dry-run", flags->dry_run, "Only count cases and estimate the time");
  command->add_flag("--yes", flags->yes, "More than 10,000,000 cases are meant");
  command->add_flag("--json", flags->json, "Machine-readable");
  Command* merge = command->add_command("merge", "Join the results of shards", "pgram sweep merge all.db a.db b.db",
                                        [=] { flags->merges = true; });
  merge->add_option("OUT", flags->merged, "Results file; made, or added to")->required();
  merge->add_option("PARTS", flags->parts, "Results files of the same sweep")->required();
}

}  // namespace pgram::cli
