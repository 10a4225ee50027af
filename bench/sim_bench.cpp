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

/// Of 11 runs, or of as many as begin within the budget.
double median_ms(const std::function<void()>& work, double budget_ms = 4000) {
  std::vector<double> times;
  double sum = 0;
  while (times.size() < 11 && sum < budget_ms) {
    const std::clock_t begin = std::clock();
    work();
    times.push_back(1e3 * static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC);
    sum += times.back();
  }
  std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
  return times[times.size() / 2];
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

void report_engine(const char* what, const std::shared_ptr<const Plan>& plan, const Cluster& cluster,
                   const SimulationOptions& options, double aim) {
  SimulationResult result;
  const double ms = median_ms([&] { result = simulate(plan, cluster, options); });
  std::printf("  %-38s %9.2f ms %11lu tasks %8.1f M tasks/s %6.1f x bare", what, ms,
              static_cast<unsigned long>(result.tasks), static_cast<double>(result.tasks) / ms / 1e3,
              ms / bare_ms(result.tasks));
  if (aim > 0) std::printf("   (aim: %.0f)", aim);
  std::printf("\n");
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
    const std::string tail = spans ? ", spans and memory kept" : "";
    options.engine = Engine::evaluator;
    report_engine(("evaluator" + tail).c_str(), plan, Cluster(), options, spans ? 0 : 50);
    options.engine = Engine::events;
    report_engine(("event loop" + tail).c_str(), plan, Cluster(), options, spans ? 0 : 12);
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
  report_engine("event loop", plan, cluster, options, 0);
  options.engine = Engine::evaluator;
  report_engine("evaluator", plan, cluster, options, 0);
  options.keep_spans = true;
  report_engine("evaluator, spans and memory kept", plan, cluster, options, 0);
  options.keep_spans = false;
  options.slow_ranks = {{5, 1.3}};
  report_engine("evaluator, one rank slow", plan, cluster, options, 0);
  options = {};
  options.keep_spans = false;
  options.slow_ranks = {{5, 1.3}};
  report_engine("flow, one rank slow", plan, cluster, options, 0);
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
  report_engine("event loop, flow (aim: 2000 ms)", plan, cluster, options, 0);
  std::printf("    plan and simulate take %.0f MB   (aim: 2000)\n",
              peak_mb([&] { simulate(large.plan(), cluster, options); }));
  options.network = NetworkLevel::analytic;
  options.collective_share = 0;
  report_engine("event loop, analytic", plan, cluster, options, 0);
  options.engine = Engine::evaluator;
  report_engine("evaluator, analytic", plan, cluster, options, 0);
}

/// Times over n log2 n, relative to the first case's.
class Growth {
 public:
  void report(const LargeCase& large, const SimulationOptions& options, bool by_ranks) {
    const auto plan = large.plan();
    SimulationResult result;
    const double ms = median_ms([&] { result = simulate(plan, large.cluster, options); }, 700);
    const double n = by_ranks ? plan->mesh.ranks() : static_cast<double>(result.tasks);
    const double scaled = ms / (n * std::log2(n));
    if (first_ == 0) first_ = scaled;
    std::printf("  %6u ranks %4u micro-batches %9lu tasks %9.2f ms %6.2f x n log n\n", plan->mesh.ranks(),
                micro_batches(large.layout, large.work), static_cast<unsigned long>(result.tasks), ms, scaled / first_);
  }

 private:
  double first_ = 0;
};

void bench_growth() {
  SimulationOptions options;
  options.keep_spans = false;
  std::printf("\nThe same with twice the ranks, folded, flow; n: ranks:\n");
  Growth folded, unfolded, tasks;
  for (uint32_t dp = 8; dp <= 128; dp *= 2) folded.report(LargeCase(dp, 16), options, true);
  std::printf("with twice the micro-batches, folded, flow; n: tasks:\n");
  for (uint32_t batches = 16; batches <= 256; batches *= 2) tasks.report(LargeCase(8, batches), options, false);
  std::printf("with twice the ranks, nothing folded, flow; n: tasks:\n");
  options.unfold = true;
  for (uint32_t dp = 1; dp <= 8; dp *= 2) unfolded.report(LargeCase(dp, 16), options, false);
}

}  // namespace

int main() {
  keep_freed_memory();
  bench_engines();
  bench_large();
  bench_unfolded();
  bench_growth();
}
