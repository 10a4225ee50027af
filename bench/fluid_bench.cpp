// How fast flows on shared links are replayed, beside SimGrid with the same problems in the same run, and how the time
// grows. Times are CPU seconds on one core without reading the problem; medians.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "core/base/units.h"
#include "sim/network/fluid_problem.h"
#include "tests/network/fluid_cases.h"

namespace {

using namespace pgram;

constexpr int kRuns = 7, kRunsOfSimGrid = 3;

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

struct Measured {
  sim::FluidTimes times;
  double seconds = 0;
};

Measured measure(const sim::FluidProblem& problem, int runs = kRuns) {
  Measured result;
  std::vector<double> seconds;
  for (int i = 0; i < runs; ++i) {
    const std::clock_t begin = std::clock();
    result.times = sim::replay(problem);
    seconds.push_back(static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC);
  }
  result.seconds = median(seconds);
  return result;
}

class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "pgram-bench-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string operator/(const char* name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

std::string first_line(const std::string& path) {
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
  const Measured ours = measure(problem);
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
  std::ofstream(folder / "problem") << test::to_text(problem);
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

/// Five problems, each with twice the `size` of the one before: how the time grows beside n log n.
void growth(const char* what, const std::function<sim::FluidProblem(uint32_t)>& make, uint32_t first) {
  std::printf("\n%s\n  %12s %10s %14s %16s %16s %22s\n", what, "tasks", "seconds", "us per task", "touched/date",
              "changed/date", "beside the row above");
  double before = 0, tasks_before = 0;
  for (uint32_t size = first; size <= 16 * first; size *= 2) {
    const sim::FluidProblem problem = make(size);
    const Measured m = measure(problem, 5);
    const double tasks = static_cast<double>(problem.tasks.size());
    const auto& s = m.times.statistics;
    const double dates = static_cast<double>(std::max<uint64_t>(s.changes, 1));
    std::printf("  %12s %10.4f %14.3f %16.2f %16.2f", format_count(problem.tasks.size()).c_str(), m.seconds,
                1e6 * m.seconds / tasks, static_cast<double>(s.touched) / dates,
                static_cast<double>(s.changed) / dates);
    if (before > 0) {
      const double n_log_n = tasks * std::log2(tasks) / (tasks_before * std::log2(tasks_before));
      std::printf("   x %.2f (n log n: %.2f)", m.seconds / before, n_log_n);
    }
    std::printf("\n");
    before = m.seconds;
    tasks_before = tasks;
  }
}

}  // namespace

int main() {
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
