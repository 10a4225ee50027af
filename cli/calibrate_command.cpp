// pgram calibrate: measures this machine's kernels and copies into a device file.
#include <cstdio>

#include "cli/command.h"
#include "cli/progress.h"
#include "cli/reference_plans.h"
#include "core/base/errors.h"
#include "core/base/units.h"
#include "core/plan/plan_file.h"
#include "cpu_backend/calibrate.h"

namespace pgram::cli {
namespace {

struct Flags {
  std::string out, plan;
  double seconds = CalibrateOptions{}.seconds_budget;
  bool quick = false;
};

int run(const Flags& flags) {
  CalibrateOptions options;
  options.seconds_budget = flags.quick ? std::min(flags.seconds, 20.0) : flags.seconds;
  std::vector<Plan> plans;
  if (!flags.plan.empty()) plans.push_back(read_plan(flags.plan));
  for (Plan& reference : reference_plans()) plans.push_back(std::move(reference));
  for (const Plan& plan : plans) options.plans.push_back(&plan);
  options.stop = stop_on_interrupt();
  Progress progress("calibrating");
  options.progress = [&](double fraction, const std::string& what) { progress.show(fraction, what); };
  const Device device = calibrate_cpu(options);
  write_device(device, flags.out);
  std::printf("%s: %zu kernel shapes, %zu transfers; fp32 peak %.0f GFLOP/s, memory %.1f GB/s per device%s\n",
              device.name.c_str(), device.kernels.size(), device.transfers.size(), device.fp32_flops_per_second / 1e9,
              device.memory_bytes_per_second / 1e9, options.stop.stop_requested() ? " (stopped early)" : "");
  std::printf("wrote %s; next: pgram simulate plan.json --device %s\n", flags.out.c_str(), flags.out.c_str());
  return kGood;
}

}  // namespace

void add_calibrate_command(Command& app, int& exit_code) {
  auto flags = std::make_shared<Flags>();
  Command* command = add_command(app, "calibrate", "Measure this machine's kernels and copies into a device file",
                                  "pgram calibrate --out here.yaml", exit_code, [=] { return run(*flags); });
  command->add_option("--out", flags->out, "Device file to write (YAML)")->required();
  command->add_option("--plan", flags->plan,
                      "Also measure the exact shapes of this plan's kernels, each alone (the plan is not run)");
  command->add_option("--seconds", flags->seconds, "Time to spend, about")
      ->check(Range(1.0, 36000.0))
      ->capture_default_str();
  command->add_flag("--quick", flags->quick, "At most 20 seconds");
}

}  // namespace pgram::cli
