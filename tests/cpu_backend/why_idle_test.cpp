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
    Picoseconds bubble = 0;
    for (uint32_t step = 0; step < 3; ++step) {
      test::expect_sums_exact(result.timeline, step, layout);
      const StepGraph graph(result.timeline, step);
      for (uint32_t rank = 0; rank < plan.mesh.ranks(); ++rank) {
        const IdleSums sums = sum_idle(graph, idle_of_rank(graph, rank));
        for (const IdleReason reason : {IdleReason::fill, IdleReason::steady, IdleReason::drain})
          bubble += sums.reason[static_cast<size_t>(reason)];
      }
    }
    // Stages wait for each other, if not each in every step: on a machine that others use a rank may come so late that
    // its message is there.
    EXPECT_GT(bubble, 0) << layout;
  }
}

}  // namespace
}  // namespace pgram::testing
