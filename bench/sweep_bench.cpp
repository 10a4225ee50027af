// How fast sweeps are: cases a second on one core with and without the Plan reused, a hundred thousand cases with their
// memory and file, the same file gone on with, two threads against one, and a thousand kill -9. CPU times where one
// core is meant, else wall times; both sides of a comparison in turn, medians.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <functional>
#include <iterator>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "cli/sweep/grid.h"
#include "cli/sweep/results.h"
#include "cli/sweep/run.h"
#include "cli/sweep/run_case.h"
#include "cli/sweep/table.h"
#include "core/base/heap.h"
#include "core/planner/planner.h"
#include "tests/support/folder.h"
#include "tests/support/text.h"

namespace {

using namespace pgram;
using namespace pgram::sweep;
using pgram::test::Folder;
using Clock = std::chrono::steady_clock;
namespace fs = std::filesystem;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

double cpu_seconds(const std::function<void()>& work) {
  const std::clock_t begin = std::clock();
  work();
  return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

struct Child {
  double seconds = 0;
  double peak_mb = 0;
  bool good = false, killed = false;
};

/// `pgram` with what it prints thrown away; killed after `limit` seconds.
Child run_program(const std::vector<std::string>& arguments, double limit = 1e9) {
  std::vector<char*> argv{const_cast<char*>("pgram")};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const Clock::time_point begin = Clock::now();
  const pid_t child = fork();
  if (child == 0) {
    dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO);
    execv(PGRAM_PROGRAM, argv.data());
    _exit(127);
  }
  Child result;
  rusage usage{};
  int status = 0;
  while (wait4(child, &status, WNOHANG, &usage) == 0) {
    if (seconds_since(begin) >= limit && !result.killed) {
      kill(child, SIGKILL);
      result.killed = true;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  result.seconds = seconds_since(begin);
  result.peak_mb = static_cast<double>(usage.ru_maxrss) / 1024;
  result.good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  result.killed = WIFSIGNALED(status);
  return result;
}

std::string csv_of(const Folder& folder, const std::string& database) {
  write_csv(Results::open(database), {}, folder / "rows.csv");
  return pgram::test::file_text(folder / "rows.csv");
}

/// A shared machine is slower for a second and faster for the next: so many that the median stands for some seconds.
constexpr int kRounds = 25;

/// As in a sweep over clusters: each Plan is made for the first of three, and reused on the others at once.
void bench_cases() {
  const Grid grid(parse_sweep(
      "pgram_sweep: 1\nname: bench\nmodels: llama-3.1-70b\nclusters: [dgx-h100:64, dgx-h200:64, dgx-a100:64]\n"
      "layouts: all\nglobal_batch: [64, 128, 256, 512]\nmicro_batch: [1, 2, 4]\nsequence: 8192\nnetwork: flow\n"
      "filters: micro_batches <= 32\n",
      "bench"));
  Inputs inputs;
  std::vector<PlanGroup> groups;
  double batches = 0;
  for (uint64_t g = 0; g < grid.groups(); ++g) {
    PlanGroup group = grid.group(g);
    const PlannedCase planned = plan_case(group.cases.front(), inputs);
    const auto fits = [&](const Case& one) { return run_case(one, planned, inputs).figures.step_seconds > 0; };
    if (!std::ranges::all_of(group.cases, fits)) continue;
    batches += micro_batches(group.cases.front().layout, group.cases.front().workload);
    groups.push_back(std::move(group));
  }
  const auto count = static_cast<double>(groups.size());
  const double others = static_cast<double>(groups.front().cases.size()) - 1;
  std::printf(
      "%s on 512 GPUs, flow, folded: %zu layouts that fit and have at most 32 micro-batches (%.1f in the mean)\n",
      groups.front().cases.front().model.c_str(), groups.size(), batches / count);
  std::vector<double> whole, reused;
  for (int round = 0; round < kRounds; ++round) {
    // Cases help those after them, as in a sweep, but none its own repetition in another round.
    Inputs known;
    for (const Case& one : groups.front().cases) {
      known.keep(one.model, inputs.model(one.model));
      known.keep(one.cluster, inputs.cluster(one.cluster));
    }
    double first = 0, later = 0;
    for (const PlanGroup& group : groups) {
      PlannedCase planned;
      first += cpu_seconds([&] {
        planned = plan_case(group.cases.front(), known);
        run_case(group.cases.front(), planned, known);
      });
      later += cpu_seconds([&] {
        for (size_t i = 1; i < group.cases.size(); ++i) run_case(group.cases[i], planned, known);
      });
    }
    whole.push_back(first);
    reused.push_back(later / others);
  }
  std::printf("  plan, verify, simulate, explain   %8.1f cases/s on one core   (aim: 200)\n", count / median(whole));
  std::printf("  the plan reused, on two clusters  %8.1f cases/s on one core   (aim: 500)\n", count / median(reused));
}

/// Its cases have every kind of layout of 8 to 64 GPUs; twelve share a Plan.
constexpr const char* kMany =
    "pgram_sweep: 1\nname: many\nmodels: [llama-3.1-8b, qwen2.5-7b, mistral-7b, llama-2-13b]\n"
    "clusters: {name: dgx-h100, nodes: [1, 2, 4, 8]}\nlayouts: all\nschedules: [1f1b, gpipe]\n"
    "global_batch: [32, 64, 128]\nmicro_batch: [1, 2, 4]\nsequence: [2048, 4096, 8192]\nnetwork: analytic\n"
    "filters: [micro_batches <= 16, \"sp = 1 or tp = 1\"]\ndisturbances:\n  - none\n";

std::string many() {
  std::string text = kMany;
  for (int i = 1; i <= 11; ++i) {
    const std::string factor = "1." + std::to_string(10 + i);
    text += "  - {name: slow-" + factor + ", slow: \"" + std::to_string(i % 8) + ":" + factor + "\"}\n";
  }
  return text;
}

void bench_many(const Folder& folder) {
  const std::string file = folder.write("many.yaml", many()), database = folder / "many.db";
  const Grid grid(read_sweep(file));
  std::printf("\n%lu cases of %lu plans by analytic:\n", static_cast<unsigned long>(grid.cases()),
              static_cast<unsigned long>(grid.groups()));
  std::fflush(stdout);
  const std::vector<std::string> command{"sweep", file, "--out", database};
  const Child made = run_program(command);
  std::printf("  all of them                       %8.1f s on %u cores%s   (aim: 300 s for 100,000)\n", made.seconds,
              std::thread::hardware_concurrency(), made.good ? "" : ", BAD");
  std::printf("  memory of the process             %8.1f MB at most   (aim: 500)\n", made.peak_mb);
  std::printf("  the file                          %8.1f MB   (aim: 100 for 100,000)\n",
              static_cast<double>(fs::file_size(database)) / 1e6);
  std::vector<double> again;
  bool good = true;
  for (int i = 0; i < 5; ++i) {
    const Child child = run_program(command);
    again.push_back(child.seconds);
    good &= child.good;
  }
  std::printf("  the same command again            %8.2f s%s   (aim: 2 s)\n", median(again), good ? "" : ", BAD");
}

constexpr const char* kSome =
    "pgram_sweep: 1\nname: some\nmodels: llama-3.1-8b\nclusters: {name: dgx-h100, nodes: [1, 2, 4]}\nlayouts: all\n"
    "global_batch: 64\nmicro_batch: [1, 2]\nsequence: 4096\nfilters: micro_batches <= 32\n";

/// Some seconds of one thread.
constexpr const char* kMore =
    "pgram_sweep: 1\nname: more\nmodels: [llama-3.1-8b, mistral-7b]\nclusters: {name: dgx-h100, nodes: [1, 2, 4]}\n"
    "layouts: all\nglobal_batch: [32, 64, 128, 256, 512]\nmicro_batch: [1, 2, 4]\nsequence: [2048, 4096, 8192]\n"
    "filters: micro_batches <= 32\n";

void bench_threads(const Folder& folder) {
  const Sweep sweep = parse_sweep(kMore, "more");
  const Grid grid(sweep);
  const std::string file = folder.write("more.yaml", kMore);
  std::vector<double> times[2], apart;
  std::string rows[2];
  for (int round = 0; round < 9; ++round) {
    for (const unsigned threads : {1u, 2u}) {
      const std::string database = folder / "threads.db";
      fs::remove(database);
      Results results = Results::open_or_make(database, sweep, grid.cases());
      RunOptions options;
      options.threads = threads;
      const Clock::time_point begin = Clock::now();
      run_sweep(sweep, grid, results, options);
      times[threads - 1].push_back(seconds_since(begin));
      rows[threads - 1] = csv_of(folder, database);
    }
    const Clock::time_point begin = Clock::now();
    {
      const auto whole = [&](const char* name) {
        fs::remove(folder / name);
        run_program({"sweep", file, "--out", folder / name, "--threads", "1"});
      };
      std::jthread beside([&] { whole("beside.db"); });
      whole("apart.db");
    }
    apart.push_back(2 * times[0].back() / seconds_since(begin));
  }
  std::vector<double> gains;  // of neighbours in time: the machine is faster for some rounds than for others
  std::ranges::transform(times[0], times[1], std::back_inserter(gains), std::divides());
  std::printf("\n%lu cases: one thread %.2f s, two %.2f s: %.2f x (aim: 1.8); rows %s\n",
              static_cast<unsigned long>(grid.cases()), median(times[0]), median(times[1]), median(gains),
              rows[0] == rows[1] ? "the same" : "DIFFER");
  std::printf("  what the machine gives to two processes, each with all of it on one thread: %.2f x\n", median(apart));
}

void bench_kills(const Folder& folder, int most) {
  const std::string file = folder.write("some.yaml", kSome);
  const auto command = [&](const std::string& out) {
    return std::vector<std::string>{"sweep", file, "--out", out, "--threads", "1"};
  };
  const double whole = run_program(command(folder / "one.db")).seconds;
  const std::string expected = csv_of(folder, folder / "one.db");
  std::mt19937 random(1);
  std::uniform_real_distribution<double> limit(0, whole / 4);
  int kills = 0, sweeps = 0, bad = 0;
  const Clock::time_point begin = Clock::now();
  while (kills < most) {
    const std::string database = folder / "kills.db";
    fs::remove(database);
    for (bool finished = false; !finished;) {
      const Child child = run_program(command(database), kills < most ? limit(random) : 1e9);
      finished = !child.killed;
      kills += child.killed;
      bad += finished && !child.good;
    }
    ++sweeps;
    bad += csv_of(folder, database) != expected;
  }
  std::printf("%d kill -9 in %d sweeps, %.0f s: %d with other rows than an undisturbed one%s\n", kills, sweeps,
              seconds_since(begin), bad, bad ? ", BAD" : "");
}

}  // namespace

/// All, or those that are named: cases, threads, kills, many.
int main(int argc, char** argv) {
  keep_freed_memory();
  const std::vector<std::string> names(argv + 1, argv + argc);
  const auto wanted = [&](const char* name) {
    return names.empty() || std::find(names.begin(), names.end(), name) != names.end();
  };
  const Folder folder;
  if (wanted("cases")) bench_cases();
  if (wanted("threads")) bench_threads(folder);
  if (wanted("kills")) bench_kills(folder, 1000);
  if (wanted("many")) bench_many(folder);
}
