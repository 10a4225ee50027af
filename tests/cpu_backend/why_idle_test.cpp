// Why streams are idle, on a measured timeline: by the same code as on a simulated one, and as exact.
#include "core/timeline/critical_path.h"
#include "core/timeline/idle.h"
#include "tests/cpu_backend/training.h"
#include "tests/timeline/idle_sums.h"

namespace pgram::testing {
namespace {

TEST(PlainWhyIdle, EveryStepAddsUpExactly) {
  for (const std::string layout : {"tp2.pp2", "dp2.pp2.paired"}) {
    const Plan plan = tiny_plan(tiny_llama(), layout);
    RunOptions options = tiny_options(3);
    options.keep_spans = true;
    CpuOptions cpu;
    cpu.kernels = KernelSet::plain;
    const RunResult result = train(plan, options, cpu);
    ASSERT_EQ(result.timeline.steps.size(), 3u);
    for (size_t step = 0; step < 3; ++step) test::expect_sums_exact(result.timeline, step, layout);
    // The second stage cannot begin before the first has sent: it is idle for the pipeline's reasons.
    const StepGraph graph(result.timeline, result.timeline.median_step());
    const IdleSums last = sum_idle(graph, idle_of_rank(graph, plan.mesh.ranks() - 1));
    EXPECT_GT(last.reason[static_cast<size_t>(IdleReason::fill)], 0) << layout;
  }
}

}  // namespace
}  // namespace pgram::testing
