// How fast the simulator is: tasks per second of both engines on a long pipeline, and the whole way from a large model
// to its predicted step, on one core. Medians of several runs by CPU time, beside what the same core needs for the bare
// arithmetic of as many tasks, for machines differ.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/cluster/cluster.h"
#include "core/layout/layout.h"
#include "core/model/model.h"
#include "core/plan/verify.h"
#include "core/planner/planner.h"
#include "core/workload/workload.h"
#include "sim/simulate.h"

namespace {

using namespace pgram;

/// Of 11 runs, or of as many as begin within four seconds.
double median_ms(const std::function<void()>& work) {
  std::vector<double> times;
  double sum = 0;
  while (times.size() < 11 && sum < 4000) {
    const std::clock_t begin = std::clock();
    work();
    times.push_back(1e3 * static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC);
    sum += times.back();
  }
  std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
  return times[times.size() / 2];
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

void bench_large() {
  const Model model = find_model("llama-3.1-405b");
  const Cluster cluster = find_cluster("dgx-h100:2048");
  Layout layout;
  layout.tp = 8, layout.pp = 16, layout.dp = 128;
  Workload work;
  work.global_batch = 2048, work.sequence = 8192;
  work.precision = Precision::bf16;
  std::printf("\n%s on 16,384 GPUs, %s, %u micro-batches:\n", model.name.c_str(), to_text(layout).c_str(),
              micro_batches(layout, work));

  std::shared_ptr<const Plan> plan;
  std::string problem;
  SimulationResult result;
  SimulationOptions options;
  options.keep_spans = false;
  const double planned = median_ms([&] { plan = std::make_shared<const Plan>(make_plan(model, layout, work)); });
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
  const Model model = find_model("llama-3.1-405b");
  const Cluster cluster = find_cluster("dgx-h100:128");
  Layout layout;
  layout.tp = 8, layout.pp = 16, layout.dp = 8;
  Workload work;
  work.global_batch = 128, work.sequence = 8192;
  work.precision = Precision::bf16;
  const auto plan = std::make_shared<const Plan>(make_plan(model, layout, work));
  std::printf("\n%s on 1,024 GPUs, %s, %u micro-batches, nothing folded:\n", model.name.c_str(),
              to_text(layout).c_str(), micro_batches(layout, work));
  SimulationOptions options;
  options.keep_spans = false;
  options.unfold = true;
  options.engine = Engine::events;
  report_engine("event loop, flow", plan, cluster, options, 0);
  options.network = NetworkLevel::analytic;
  options.collective_share = 0;
  report_engine("event loop, analytic", plan, cluster, options, 0);
  options.engine = Engine::evaluator;
  report_engine("evaluator, analytic", plan, cluster, options, 0);
}

}  // namespace

int main() {
  bench_engines();
  bench_large();
  bench_unfolded();
}
