// Calibration with a tiny budget: what must be in the device file however short the time. No durations are asserted,
// only their order where it is beyond doubt.
#include "cpu_backend/calibrate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "core/cost/cost.h"
#include "core/exec/calibration_grid.h"
#include "core/layout/layout.h"
#include "core/planner/planner.h"
#include "sim/simulate.h"
#include "tests/support/folder.h"

namespace pgram {
namespace {

Model tiny_model() {
  Model m;
  m.name = "test-llama";
  m.kind = "llama";
  m.layers = 2, m.hidden = 32, m.heads = 4, m.kv_heads = 2, m.head_dim = 8, m.ffn = 48, m.vocabulary = 61;
  m.max_positions = 64;
  m.rotary_dims = 8;
  return m;
}

Plan tiny_plan(const std::string& layout) {
  Workload w;
  w.global_batch = 4;
  w.sequence = 16;
  return make_plan(tiny_model(), parse_layout(layout), w);
}

void expect_every_kernel_of_the_plan(const Device& device, const Plan& plan) {
  Cluster cluster = this_machine(plan.mesh.ranks());
  cluster.device = device;
  const SimulationResult result = simulate(plan, cluster);
  EXPECT_EQ(result.error, "");
  EXPECT_GT(result.makespan, 0);
  EXPECT_GT(result.provenance[static_cast<size_t>(Provenance::measured)], 0u);
  EXPECT_EQ(result.provenance[static_cast<size_t>(Provenance::interpolated)], 0u);
  EXPECT_EQ(result.provenance[static_cast<size_t>(Provenance::roofline)], 0u);
}

void expect_all_kernels_and_transfers(const Device& device) {
  std::set<std::string> kernels, transfers;
  for (const MeasuredKernel& kernel : device.kernels) {
    EXPECT_GT(kernel.seconds, 0) << kernel.kernel;
    kernels.insert(kernel.kernel);
  }
  for (const MeasuredTransfer& transfer : device.transfers) {
    EXPECT_GT(transfer.seconds, 0) << transfer.operation;
    transfers.insert(transfer.operation);
  }
  for (int k = 0; k < static_cast<int>(Kernel::opaque); ++k) {
    const std::string name(name_of(static_cast<Kernel>(k)));
    EXPECT_TRUE(kernels.contains(name)) << name;
  }
  EXPECT_EQ(transfers, (std::set<std::string>{"all_reduce", "all_gather", "reduce_scatter", "send"}));
}

void expect_file_gives_it_back(const Device& device) {
  const test::Folder folder;
  const std::string path = folder / "device.yaml";
  write_device(device, path);
  const Device read = read_device(path);
  ASSERT_EQ(read.kernels.size(), device.kernels.size());
  EXPECT_EQ(read.transfers.size(), device.transfers.size());
  EXPECT_TRUE(read.is_cpu);
  EXPECT_EQ(read.fp32_flops_per_second, device.fp32_flops_per_second);
  EXPECT_EQ(read.launch_seconds, device.launch_seconds);
  // The file lists teams of several threads behind the single ones.
  for (const MeasuredKernel& k : device.kernels) {
    EXPECT_TRUE(std::any_of(read.kernels.begin(), read.kernels.end(), [&](const MeasuredKernel& r) {
      return r.kernel == k.kernel && r.shape == k.shape && r.busy == k.busy && r.threads == k.threads &&
             r.seconds == k.seconds;
    })) << k.kernel;
  }
}

/// 512 x 512 x 512 is 64 times the work of 128 x 128 x 128; 4 times as long is beyond any doubt about noise.
void expect_larger_products_to_take_longer(const Device& device) {
  const auto seconds = [&](uint64_t size) {
    const std::array<uint64_t, 4> shape{size, size, size};
    Seconds least = 0;
    for (const MeasuredKernel& kernel : device.kernels) {
      if (kernel.kernel != "matmul" || kernel.threads != 1 || kernel.shape != shape) continue;
      if (least == 0 || kernel.seconds < least) least = kernel.seconds;
    }
    return least;
  };
  ASSERT_GT(seconds(128), 0);
  EXPECT_GT(seconds(512), 4 * seconds(128));
}

/// One calibration for all that must hold of it.
TEST(Calibrate, TinyBudgetGivesAUsableDevice) {
  const Plan plan = tiny_plan("tp2.pp2");
  CalibrateOptions options;
  options.seconds_budget = 0.2;
  options.plans = {&plan};
  const Device device = calibrate_cpu(options);
  expect_every_kernel_of_the_plan(device, plan);
  expect_all_kernels_and_transfers(device);
  expect_file_gives_it_back(device);
  expect_larger_products_to_take_longer(device);
}

TEST(Calibrate, StopKeepsWhatWasFound) {
  const Plan plan = tiny_plan("tp2");
  std::stop_source source;
  CalibrateOptions options;
  options.seconds_budget = 5;
  options.plans = {&plan};
  options.stop = source.get_token();
  double last = 0;
  options.progress = [&](double fraction, const std::string& what) {
    EXPECT_GE(fraction, last);
    last = fraction;
    if (what.starts_with("body")) source.request_stop();
  };
  const Device device = calibrate_cpu(options);
  EXPECT_FALSE(device.kernels.empty());
  EXPECT_FALSE(device.transfers.empty());
  EXPECT_NE(device.source.find("stopped early"), std::string::npos);
}

/// Every case of the grid is a plan whose one op has the kernel's operands: its shape is the table's key.
void expect_every_compute_kernel_at_the_coarsest_level(GridScale scale) {
  const auto grid = calibration_grid(scale);
  ASSERT_GE(grid.size(), 2u);
  std::set<Kernel> kernels;
  std::set<std::pair<Kernel, std::array<uint64_t, 4>>> shapes;
  for (const auto& level : grid) {
    for (const GridCase& item : level) {
      const Plan plan = grid_plan(item);
      ASSERT_EQ(plan.bodies.size(), 1u);
      const Op& op = plan.bodies[0].ops[0];
      EXPECT_EQ(op.kernel, item.kernel);
      if (&level == &grid[0]) kernels.insert(op.kernel);
      shapes.insert({op.kernel, kernel_shape(plan, plan.bodies[0], op)});
    }
  }
  EXPECT_EQ(kernels.size(), static_cast<size_t>(Kernel::opaque));  // all before it
  EXPECT_GT(shapes.size(), 5 * kernels.size());
}

TEST(CalibrationGrid, CoversEveryComputeKernelAtTheCoarsestLevel) {
  expect_every_compute_kernel_at_the_coarsest_level(GridScale::core);
  expect_every_compute_kernel_at_the_coarsest_level(GridScale::gpu);
}

}  // namespace
}  // namespace pgram
