// What the whole-run figures of a case cost, and how far the goodput and interval found by simulation are from Daly's
// formulas. CPU times of one core, medians of 101.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <functional>
#include <vector>

#include "core/planner/planner.h"
#include "core/timeline/summary.h"
#include "sim/simulate.h"
#include "sim/whole_run/failure_sample.h"
#include "sim/whole_run/formulas.h"
#include "sim/whole_run/goodput.h"
#include "sim/whole_run/step_bill.h"

namespace {

using namespace pgram;

double median_us(const std::function<void()>& work) {
  std::vector<double> times(101);
  for (double& time : times) {
    timespec begin{}, end{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
    work();
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    time =
        static_cast<double>(end.tv_sec - begin.tv_sec) * 1e6 + static_cast<double>(end.tv_nsec - begin.tv_nsec) / 1e3;
  }
  std::ranges::nth_element(times, times.begin() + 50);
  return times[50];
}

/// The part of a case of a sweep that is in sim/whole_run.
void bench_case(const char* model, const char* cluster_name, const char* layout, uint32_t global_batch) {
  const Cluster cluster = find_cluster(cluster_name);
  const Workload work{.global_batch = global_batch, .micro_batch = 1, .sequence = 8192, .precision = Precision::bf16};
  const Plan plan = make_plan(find_model(model), parse_layout(layout), work);
  SimulationOptions options;
  options.network = NetworkLevel::analytic;
  const SimulationResult result = simulate(plan, cluster, options);
  const Summary summary = summarise(result.timeline);
  const uint32_t ranks = plan.mesh.ranks();
  Goodput best;
  const double bill = median_us([&] { step_bill(result.timeline, summary, cluster); });
  const double goodput = median_us([&] {
    best = best_goodput(*training_run(to_seconds(summary.step_time), checkpoint_bytes(plan), ranks, cluster));
  });
  std::printf("%-16s %-14s %-18s bill %6.1f us   best interval %6.1f us (every %llu steps: %.4f)\n", model,
              cluster_name, layout, bill, goodput, static_cast<unsigned long long>(best.every), best.share);
}

void bench_run(const TrainingRun& run) {
  const double daly = daly_interval(run), highest = expected_goodput(run, daly);
  Goodput few, many;
  const double us = median_us([&] { few = best_goodput(run); });
  many = best_goodput(run, failure_gaps(1 << 18, 1));
  std::printf(
      "C %5.1f s  M %9.0f s   %5.1f us   goodput %.5f of %.5f (2^18 gaps %.6f)   interval %6.0f of %6.0f s (%6.0f)\n",
      run.checkpoint, run.mtbf, us, few.share, highest, many.share, few.interval, daly, many.interval);
}

}  // namespace

int main() {
  bench_case("llama-3.1-70b", "dgx-h100:64", "tp8.pp4.dp16", 512);
  bench_case("llama-3.1-405b", "dgx-h100:2048", "tp8.pp16.dp128", 2048);
  std::printf("\nby 1,024 times between failures, and Daly's formulas\n");
  for (const TrainingRun& run : {TrainingRun{.step = 0.5, .checkpoint = 2, .restart = 600, .mtbf = 2e6},
                                 {.step = 10, .checkpoint = 0.5, .restart = 600, .mtbf = 10800},
                                 {.step = 10, .checkpoint = 30, .restart = 630, .mtbf = 10800},
                                 {.step = 5, .checkpoint = 60, .restart = 660, .mtbf = 356'000},
                                 {.step = 12, .checkpoint = 300, .restart = 900, .mtbf = 3600}})
    bench_run(run);
  const TrainingRun run{.step = 10, .checkpoint = 30, .restart = 630, .mtbf = 10800};
  const FailureSample sample(run.mtbf, 30 * 86400, 256, 1);
  ExpectedDays days;
  const double us = median_us([&] { days = sample.days(run, 80); });
  std::printf("\n256 runs of 30 days, %.0f failures each: %.2f ms, %.1f ns a failure\n", days.failures, us / 1e3,
              us * 1e3 / (256 * days.failures));
  return 0;
}
