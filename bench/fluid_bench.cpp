// How fast flows on shared links are replayed, beside SimGrid with the same problems in the same run, and how the time
// grows. Times are CPU seconds on one core without reading the problem; medians.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <functional>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "core/base/heap.h"
#include "core/base/units.h"
#include "sim/network/fluid_problem.h"
#include "tests/network/fluid_cases.h"
#include "tests/support/folder.h"

namespace {

using namespace pgram;
using pgram::test::Folder;

constexpr int kRuns = 15, kRunsOfSimGrid = 3;

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

struct Measured {
  sim::FluidTimes times;
  double seconds = 0;
};

/// In turn, so that a machine that gets slower for a while does so for all of them.
std::vector<Measured> measure(std::span<const sim::FluidProblem> problems) {
  std::vector<Measured> results(problems.size());
  std::vector<std::vector<double>> seconds(problems.size());
  for (int i = 0; i < kRuns; ++i) {
    for (size_t p = 0; p < problems.size(); ++p) {
      const std::clock_t begin = std::clock();
      results[p].times = sim::replay(problems[p]);
      seconds[p].push_back(static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC);
    }
  }
  for (size_t p = 0; p < problems.size(); ++p) results[p].seconds = median(seconds[p]);
  return results;
}

[[maybe_unused]] std::string first_line(const std::string& path) {
  std::string line;
  std::ifstream file(path);
  std::getline(file, line);
  return line;
}

#ifdef PGRAM_SIMGRID_REPLAY
/// The number behind "key": in a line of JSON.
double field(const std::string& line, const std::string& key) {
  const size_t at = line.find('"' + key + "\":");
  return at == std::string::npos ? NAN : std::strtod(line.c_str() + at + key.size() + 3, nullptr);
}

/// SimGrid's CPU seconds; its times in folder / "theirs".
double run_simgrid(const Folder& folder) {
  const std::string command = std::string(PGRAM_SIMGRID_REPLAY) +
                              " --log=root.thresh:error --out=" + folder / "theirs" + " " + folder / "problem" + " >" +
                              folder / "log";
  std::vector<double> seconds;
  for (int i = 0; i < kRunsOfSimGrid; ++i) {
    if (std::system(command.c_str()) != 0) return NAN;
    const std::string line = first_line(folder / "log");
    seconds.push_back(field(line, "cpu_s") - field(line, "parse_s"));
  }
  return median(seconds);
}

/// The largest difference of a task's start or finish, relative to its finish.
double compare(const std::string& path, const sim::FluidTimes& times) {
  std::ifstream file(path);
  double worst = 0, start = 0, finish = 0;
  for (size_t id = 0; file >> id >> start >> finish;) {
    if (finish <= 0) continue;
    worst = std::max({worst, std::abs(times.start[id] - start) / finish, std::abs(times.finish[id] - finish) / finish});
  }
  return worst;
}
#endif

#ifdef PGRAM_VERIFY_TIMES
void verify(const Folder& folder, const sim::FluidTimes& times) {
  std::FILE* file = std::fopen((folder / "ours").c_str(), "w");
  for (size_t task = 0; file != nullptr && task < times.start.size(); ++task) {
    std::fprintf(file, "%zu %.17g %.17g\n", task, times.start[task], times.finish[task]);
  }
  if (file != nullptr) std::fclose(file);
  const std::string command = std::string(PGRAM_VERIFY_TIMES) + " " + folder / "problem" + " " + folder / "ours" +
                              " >" + folder / "log" + " 2>&1";
  const bool good = std::system(command.c_str()) == 0;
  std::printf("    verify: %s: %s\n", good ? "passes" : "BAD", first_line(folder / "log").c_str());
}
#endif

void beside_simgrid(const char* what, const sim::FluidProblem& problem, double aim, [[maybe_unused]] bool chaotic) {
  const Measured ours = measure({&problem, 1}).front();
  const auto& s = ours.times.statistics;
  const double tasks = static_cast<double>(problem.tasks.size()), dates = static_cast<double>(s.changes);
  std::printf("\n%s\n  %s tasks on %s hosts and %s links\n", what, format_count(problem.tasks.size()).c_str(),
              format_count(problem.hosts.size()).c_str(), format_count(problem.links.size()).c_str());
  std::printf(
      "    ours   %8.3f s  %8.2f M tasks/s   rates worked out at %s dates; per date %.2f flows touched, %.2f rates "
      "changed\n",
      ours.seconds, tasks / ours.seconds / 1e6, format_count(s.changes).c_str(), static_cast<double>(s.touched) / dates,
      static_cast<double>(s.changed) / dates);
  const Folder folder;
  folder.write("problem", test::to_text(problem));
#ifdef PGRAM_SIMGRID_REPLAY
  const double theirs = run_simgrid(folder);
  std::printf("    SimGrid%8.3f s  %8.2f M tasks/s   ours is %.1f times as fast   (aim: %.0f)\n", theirs,
              tasks / theirs / 1e6, theirs / ours.seconds, aim);
  std::printf(
      "    times differ by %.1e at most%s\n", compare(folder / "theirs", ours.times),
      chaotic ? " (this problem is chaotic: rounding grows in it, so only verify can judge)" : "   (aim: 1e-06)");
#else
  std::printf(
      "    SimGrid: not measured, it needs libsimgrid-dev and ../shared/tools/fluid-oracle   (aim: %.0f times)\n", aim);
#endif
#ifdef PGRAM_VERIFY_TIMES
  verify(folder, ours.times);
#endif
}

/// What a problem and its times take; a replay holds about as much again.
double bytes_of(const sim::FluidProblem& problem) {
  const auto bytes = [](const auto& values) { return static_cast<double>(values.size() * sizeof(values[0])); };
  return bytes(problem.hosts) + bytes(problem.links) + bytes(problem.route_links) + bytes(problem.routes) +
         bytes(problem.tasks) + bytes(problem.predecessors) +
         2 * sizeof(double) * bytes(problem.tasks) / sizeof(sim::FluidTask);
}

/// Seconds for a read somewhere in so much memory that waits for the read before it: what a cache miss costs here, now.
double read_seconds(double bytes) {
  constexpr size_t kLine = 8;
  const size_t lines = std::max<size_t>(64, static_cast<size_t>(bytes / 64));
  std::vector<uint32_t> order(lines);
  std::iota(order.begin(), order.end(), 0U);
  std::shuffle(order.begin(), order.end(), std::mt19937(1));
  std::vector<uint64_t> next(lines * kLine);
  for (size_t i = 0; i < lines; ++i) next[order[i] * kLine] = order[i + 1 < lines ? i + 1 : 0] * kLine;
  constexpr int kReads = 1 << 20;
  std::vector<double> seconds;
  [[maybe_unused]] volatile uint64_t end = 0;
  for (int run = 0; run < 3; ++run) {
    const std::clock_t begin = std::clock();
    uint64_t at = 0;
    for (int i = 0; i < kReads; ++i) at = next[at];
    end = at;
    seconds.push_back(static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC / kReads);
  }
  return median(seconds);
}

/// Five problems, each with twice the `size` of the one before: how the time grows beside n log n, and beside what it
/// is made of: flows that are looked at, and reads that miss the caches the more the larger the problem is.
void growth(const char* what, const std::function<sim::FluidProblem(uint32_t)>& make, uint32_t first) {
  std::printf("\n%s\n  %12s %10s %12s %13s %13s %9s %8s   %s\n", what, "tasks", "seconds", "us per task",
              "touched/task", "changed/date", "problem", "a read",
              "beside the row above: time (n log n; flows touched; a read)");
  struct Row {
    double seconds = 0, n_log_n = 0, touched = 0, read = 0;
  };
  Row first_row, before;
  std::vector<sim::FluidProblem> problems;
  for (uint32_t size = first; size <= 16 * first; size *= 2) problems.push_back(make(size));
  const std::vector<Measured> measured = measure(problems);
  for (size_t row = 0; row < problems.size(); ++row) {
    const sim::FluidProblem& problem = problems[row];
    const Measured& m = measured[row];
    const double bytes = bytes_of(problem), read = read_seconds(bytes);
    const double tasks = static_cast<double>(problem.tasks.size());
    const auto& s = m.times.statistics;
    const double touched = static_cast<double>(s.touched);
    std::printf("  %12s %10.4f %12.3f %13.2f %13.2f %6.1f MB %5.1f ns", format_count(problem.tasks.size()).c_str(),
                m.seconds, 1e6 * m.seconds / tasks, touched / tasks,
                static_cast<double>(s.changed) / static_cast<double>(std::max<uint64_t>(s.changes, 1)), bytes / 1e6,
                1e9 * read);
    const Row here{m.seconds, tasks * std::log2(tasks), touched, read};
    if (row == 0) {
      first_row = here;
    } else {
      std::printf("   x %.2f (%.2f; %.2f; %.2f)", here.seconds / before.seconds, here.n_log_n / before.n_log_n,
                  here.touched / before.touched, here.read / before.read);
    }
    std::printf("\n");
    before = here;
  }
  std::printf("  from the first to the last: x %.1f (%.1f; %.1f; %.1f)\n", before.seconds / first_row.seconds,
              before.n_log_n / first_row.n_log_n, before.touched / first_row.touched, before.read / first_row.read);
}

}  // namespace

int main() {
  keep_freed_memory();
  beside_simgrid("100,000 random tasks on a leaf-spine network of 512 hosts, up to 931 of them at once",
                 test::random_flows(100000, 512, 1), 10, true);
  beside_simgrid("A training step as ring steps: tp8, pp8, dp16", test::training_step(16), 20, false);

  growth(
      "More random flows on 512 hosts", [](uint32_t n) { return test::random_flows(n, 512, 1); }, 12500);
  growth(
      "More random flows on more hosts, 100 for each",
      [](uint32_t hosts) { return test::random_flows(100 * hosts, hosts, 1); }, 128);
  growth("A training step of more replicas", test::training_step, 1);
  growth(
      "A ring around a switch, 64 to 1,024 ranks: tasks grow four times each time",
      [](uint32_t hosts) { return test::ring_on_a_star(hosts, 1e9); }, 64);
}
