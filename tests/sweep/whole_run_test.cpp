// Energy, price and goodput of a case, from the files of models/.
#include <gtest/gtest.h>

#include <cmath>

#include "cli/sweep/run_case.h"
#include "cli/sweep/table.h"

namespace pgram::sweep {
namespace {

Case tiny(const std::string& cluster, uint32_t devices) {
  Case c;
  c.model = "tiny-llama";
  c.cluster = cluster;
  c.devices = devices;
  c.devices_per_node = 8;
  c.layout = parse_layout("dp" + std::to_string(devices));
  c.workload = {.global_batch = 32, .micro_batch = 1, .sequence = 64, .precision = Precision::bf16};
  c.network = "analytic";
  return c;
}

Figures figures_of(const Case& c) {
  Inputs inputs;
  const Outcome outcome = run_case(c, plan_case(c, inputs), inputs);
  EXPECT_EQ(outcome.unfit + outcome.error, "");
  return outcome.figures;
}

TEST(WholeRun, FollowsFromTheStepAndTheFiles) {
  const Figures f = figures_of(tiny("dgx-h100:2", 16));
  // 16 GPUs at 6.155 dollars an hour; 32 sequences of 64 tokens a step.
  EXPECT_NEAR(f.dollars, 16 * 6.155 / 3600 * f.step_seconds, 1e-12 * f.dollars);
  EXPECT_NEAR(f.dollars_per_million_tokens, f.dollars / (32 * 64) * 1e6, 1e-9 * f.dollars_per_million_tokens);
  // 80 W idle, 620 W at most, and two nodes of 2.8 kW besides.
  const double busy = f.forward + f.backward + f.optimizer + f.other_compute;
  EXPECT_GT(f.watts_per_device, 80 + (620 - 80) * busy - 1e-9);
  EXPECT_LT(f.watts_per_device, 620);
  EXPECT_NEAR(f.joules, (16 * f.watts_per_device + 2 * 2800) * f.step_seconds, 1e-9 * f.joules);
  // Two nodes: a failure every 3,165 h. A checkpoint of 14 bytes a parameter takes less than a millisecond.
  EXPECT_GT(f.goodput, 0.9998);
  EXPECT_LT(f.goodput, 1 - 600 / (3165.0 * 3600) + 1e-6);
  const double steps = f.checkpoint_interval_seconds / f.step_seconds;
  EXPECT_NEAR(steps, std::round(steps), 1e-6 * steps);
}

TEST(WholeRun, OfACpuIsNotKnown) {
  Case c = tiny("this:1", 1);
  c.workload.precision = Precision::fp32;
  const Figures f = figures_of(c);
  EXPECT_GT(f.step_seconds, 0);
  int unknown = 0;
  for (const FigureColumn& column : figure_columns()) {
    if (!column.zero_is_unknown) continue;
    EXPECT_FALSE(column.is_known(f)) << column.name;
    EXPECT_EQ(format_figure(column, f.*column.value), "-") << column.name;
    ++unknown;
  }
  EXPECT_EQ(unknown, 6);
}

}  // namespace
}  // namespace pgram::sweep
