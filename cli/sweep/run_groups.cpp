#include "cli/sweep/run_groups.h"

#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/enumerable_thread_specific.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/info.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>

#include "cli/sweep/run_case.h"

namespace pgram::sweep {
namespace {

using ThreadInputs = tbb::enumerable_thread_specific<Inputs>;

void run_group(const Grid& grid, uint64_t index, const GroupWork& work, ThreadInputs& inputs,
               const std::stop_token& stop) {
  const PlanGroup group = grid.group(index);
  std::vector<const Case*> missing;
  for (const Case& one : group.cases) {
    if (work.wanted(index, one.number)) missing.push_back(&one);
  }
  if (!missing.empty()) {
    const PlannedCase planned = plan_case(*missing.front(), inputs.local());
    // Isolated: a thread that waits for the others' cases must not begin another group, with another Plan in memory.
    tbb::this_task_arena::isolate([&] {
      tbb::parallel_for(size_t{0}, missing.size(), [&](size_t i) {
        if (!stop.stop_requested()) work.put({*missing[i], run_case(*missing[i], planned, inputs.local())});
      });
    });
    if (stop.stop_requested()) return;
  }
  work.finished(index);
}

}  // namespace

unsigned threads_or_all(unsigned threads) {
  return threads ? threads : static_cast<unsigned>(tbb::info::default_concurrency());
}

void run_groups(const Grid& grid, const GroupWork& work, unsigned threads, std::stop_token stop) {
  threads = threads_or_all(threads);
  const auto plans = std::make_shared<KnownPlans>();
  ThreadInputs inputs([&] { return Inputs(plans); });
  const tbb::global_control allowed(tbb::global_control::max_allowed_parallelism, threads);
  tbb::task_arena arena(static_cast<int>(threads));
  arena.execute([&] {
    tbb::parallel_for(
        tbb::blocked_range<unsigned>(0, threads, 1),
        [&](const tbb::blocked_range<unsigned>&) {
          while (!stop.stop_requested()) {
            const std::optional<uint64_t> index = work.next();
            if (!index) return;
            run_group(grid, *index, work, inputs, stop);
          }
        },
        tbb::simple_partitioner());
  });
}

}  // namespace pgram::sweep
