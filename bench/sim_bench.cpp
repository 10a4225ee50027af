// How fast the simulator is: tasks per second of both engines on a long pipeline, the whole way from a large model to
// its predicted step, and how time grows with ranks and tasks, on one core. Medians of several runs by CPU time, beside
// what the same core needs for the bare arithmetic of as many tasks, for machines differ.
#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/heap.h"
#include "core/cluster/cluster.h"
#include "core/layout/layout.h"
#include "core/model/model.h"
#include "core/plan/verify.h"
#include "core/planner/planner.h"
#include "core/workload/workload.h"
#include "sim/simulate.h"

namespace {

using namespace pgram;

double cpu_ms(const std::function<void()>& work) {
  const std::clock_t begin = std::clock();
  work();
  return 1e3 * static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

/// Of 11 runs, or of as many as begin within 4 seconds.
double median_ms(const std::function<void()>& work) {
  std::vector<double> times;
  for (double sum = 0; times.size() < 11 && sum < 4000; sum += times.back()) times.push_back(cpu_ms(work));
  return median(times);
}

/// Of each, run in turn: a shared machine is slower for a second and faster for the next, and so it is for all of them.
std::vector<double> medians_in_turn(const std::vector<std::function<void()>>& works, int rounds) {
  std::vector<std::vector<double>> times(works.size());
  for (int round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < works.size(); ++i) times[i].push_back(cpu_ms(works[i]));
  }
  std::vector<double> medians;
  for (std::vector<double>& of_work : times) medians.push_back(median(std::move(of_work)));
  return medians;
}

/// "VmHWM" (the peak) or "VmRSS" (now) of this process.
double memory_mb(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind(field + ":", 0) == 0) return std::strtod(line.c_str() + field.size() + 1, nullptr) / 1024;
  }
  return 0;
}

/// By how much the memory of a process grows at most while it works: a fork's, whose peak begins anew.
double peak_mb(const std::function<void()>& work) {
  int ends[2];
  if (pipe(ends) != 0) return NAN;
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    malloc_trim(0);  // what was freed before must not serve unseen
    const double before = memory_mb("VmRSS");
    work();
    const double grown = memory_mb("VmHWM") - before;
    _exit(write(ends[1], &grown, sizeof grown) == sizeof grown ? 0 : 1);
  }
  close(ends[1]);
  double grown = NAN;
  if (child < 0 || read(ends[0], &grown, sizeof grown) != sizeof grown) grown = NAN;
  close(ends[0]);
  if (child > 0) waitpid(child, nullptr, 0);
  return grown;
}

/// A task costs at least a maximum and a sum that wait for those of the task before.
double bare_ms(uint64_t tasks) {
  std::vector<Picoseconds> arrivals(1024), costs(1024);
  for (size_t i = 0; i < arrivals.size(); ++i) {
    arrivals[i] = static_cast<Picoseconds>(i * 7919 % 1013);
    costs[i] = static_cast<Picoseconds>(i % 3);
  }
  volatile Picoseconds kept = 0;
  return median_ms([&] {
    Picoseconds time = 0;
    for (uint64_t i = 0; i < tasks; ++i) time = std::max(time, arrivals[i % 1024]) + costs[i % 1024];
    kept = time;
  });
}

void print_engine(const char* what, uint64_t tasks, double ms, double aim) {
  std::printf("  %-38s %9.2f ms %11lu tasks %8.1f M tasks/s %6.1f x bare", what, ms, static_cast<unsigned long>(tasks),
              static_cast<double>(tasks) / ms / 1e3, ms / bare_ms(tasks));
  if (aim > 0) std::printf("   (aim: %.0f)", aim);
  std::printf("\n");
}

void report_engine(const char* what, const std::shared_ptr<const Plan>& plan, const Cluster& cluster,
                   const SimulationOptions& options) {
  SimulationResult result;
  const double ms = median_ms([&] { result = simulate(plan, cluster, options); });
  print_engine(what, result.tasks, ms, 0);
}

void bench_engines() {
  const auto plan = std::make_shared<const Plan>(make_schedule_plan(one_f_one_b(64, 512)));
  std::printf("1F1B, 64 stages, 512 micro-batches, one op each:\n");
  SimulationOptions options;
  options.laws.enabled = true;
  options.laws.cost = {1000, 2000, 0, 0};
  options.laws.latency = 100;
  for (bool spans : {false, true}) {
    options.keep_spans = spans;
    uint64_t tasks = 0;
    const auto work = [&](Engine engine) {
      return [&plan, &tasks, options, engine]() mutable {
        options.engine = engine;
        tasks = simulate(plan, Cluster(), options).tasks;
      };
    };
    const std::vector<double> medians = medians_in_turn({work(Engine::evaluator), work(Engine::events)}, 61);
    const std::string tail = spans ? ", spans and memory kept" : "";
    print_engine(("evaluator" + tail).c_str(), tasks, medians[0], spans ? 0 : 50);
    print_engine(("event loop" + tail).c_str(), tasks, medians[1], spans ? 0 : 12);
  }
}

struct LargeCase {
  Model model = find_model("llama-3.1-405b");
  Cluster cluster;
  Layout layout;
  Workload work;

  /// tp8.pp16 on as many nodes of 8 GPUs as that takes.
  LargeCase(uint32_t dp, uint32_t micro_batches) : cluster(find_cluster("dgx-h100:" + std::to_string(16 * dp))) {
    layout.tp = 8, layout.pp = 16, layout.dp = dp;
    work.global_batch = micro_batches * dp, work.sequence = 8192;
    work.precision = Precision::bf16;
  }
  std::shared_ptr<const Plan> plan() const { return std::make_shared<const Plan>(make_plan(model, layout, work)); }
};

void bench_large() {
  const LargeCase large(128, 16);
  const auto& [model, cluster, layout, work] = large;
  std::printf("\n%s on 16,384 GPUs, %s, %u micro-batches:\n", model.name.c_str(), to_text(layout).c_str(),
              micro_batches(layout, work));

  std::shared_ptr<const Plan> plan;
  std::string problem;
  SimulationResult result;
  SimulationOptions options;
  options.keep_spans = false;
  const double planned = median_ms([&] { plan = large.plan(); });
  const double verified = median_ms([&] { problem = verify(*plan); });
  const auto whole = [&](const char* what, double aim) {
    const double simulated = median_ms([&] { result = simulate(plan, cluster, options); });
    if (!problem.empty() || !result.error.empty()) std::printf("  BAD: %s%s\n", problem.c_str(), result.error.c_str());
    std::printf("  %-9s plan %.1f ms + verify %.1f ms + simulate %.1f ms = %.1f ms", what, planned, verified, simulated,
                planned + verified + simulated);
    if (aim > 0) std::printf("   (aim: %.0f)", aim);
    std::printf("\n            %lu tasks of %u classes of ranks, %s, step %s\n",
                static_cast<unsigned long>(result.tasks), result.classes, result.timeline.facts.at("network").c_str(),
                format_time(result.makespan).c_str());
  };
  whole("flow", 50);
  std::printf("            plan and simulate take %.0f MB   (aim: 200)\n",
              peak_mb([&] { simulate(large.plan(), cluster, options); }));
  options.network = NetworkLevel::analytic;
  options.collective_share = 0;
  whole("analytic", 0);
  options.engine = Engine::events;
  report_engine("event loop", plan, cluster, options);
  options.engine = Engine::evaluator;
  report_engine("evaluator", plan, cluster, options);
  options.keep_spans = true;
  report_engine("evaluator, spans and memory kept", plan, cluster, options);
  options.keep_spans = false;
  options.slow_ranks = {{5, 1.3}};
  report_engine("evaluator, one rank slow", plan, cluster, options);
  options = {};
  options.keep_spans = false;
  options.slow_ranks = {{5, 1.3}};
  report_engine("flow, one rank slow", plan, cluster, options);
}

/// The same layout on a sixteenth of the GPUs, every rank simulated.
void bench_unfolded() {
  const LargeCase large(8, 16);
  const auto& [model, cluster, layout, work] = large;
  const auto plan = large.plan();
  std::printf("\n%s on 1,024 GPUs, %s, %u micro-batches, nothing folded:\n", model.name.c_str(),
              to_text(layout).c_str(), micro_batches(layout, work));
  SimulationOptions options;
  options.keep_spans = false;
  options.unfold = true;
  options.engine = Engine::events;
  report_engine("event loop, flow (aim: 2000 ms)", plan, cluster, options);
  std::printf("    plan and simulate take %.0f MB   (aim: 2000)\n",
              peak_mb([&] { simulate(large.plan(), cluster, options); }));
  options.network = NetworkLevel::analytic;
  options.collective_share = 0;
  report_engine("event loop, analytic", plan, cluster, options);
  options.engine = Engine::evaluator;
  report_engine("evaluator, analytic", plan, cluster, options);
}

/// Times over n log2 n, relative to the first case's.
void report_growth(const std::vector<LargeCase>& cases, const SimulationOptions& options, bool by_ranks) {
  std::vector<uint64_t> tasks(cases.size());
  std::vector<std::function<void()>> works;
  for (size_t i = 0; i < cases.size(); ++i) {
    works.push_back([plan = cases[i].plan(), &cluster = cases[i].cluster, &options, &count = tasks[i]] {
      count = simulate(plan, cluster, options).tasks;
    });
  }
  const std::vector<double> medians = medians_in_turn(works, 9);
  double first = 0;
  for (size_t i = 0; i < cases.size(); ++i) {
    const LargeCase& large = cases[i];
    const double n = static_cast<double>(by_ranks ? large.layout.ranks() : tasks[i]);
    const double scaled = medians[i] / (n * std::log2(n));
    if (i == 0) first = scaled;
    std::printf("  %6lu ranks %4u micro-batches %9lu tasks %9.2f ms %6.2f x n log n\n",
                static_cast<unsigned long>(large.layout.ranks()), micro_batches(large.layout, large.work),
                static_cast<unsigned long>(tasks[i]), medians[i], scaled / first);
  }
}

void bench_growth() {
  SimulationOptions options;
  options.keep_spans = false;
  std::printf("\nThe same with twice the ranks, folded, flow; n: ranks:\n");
  report_growth({{8, 16}, {16, 16}, {32, 16}, {64, 16}, {128, 16}}, options, true);
  std::printf("with twice the micro-batches, folded, flow; n: tasks:\n");
  report_growth({{8, 16}, {8, 32}, {8, 64}, {8, 128}, {8, 256}}, options, false);
  std::printf("with twice the ranks, nothing folded, flow; n: tasks:\n");
  options.unfold = true;
  report_growth({{1, 16}, {2, 16}, {4, 16}, {8, 16}}, options, false);
}

}  // namespace

int main() {
  keep_freed_memory();
  bench_engines();
  bench_large();
  bench_unfolded();
  bench_growth();
}
