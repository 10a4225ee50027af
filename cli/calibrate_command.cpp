// pgram calibrate: measures this machine's kernels and copies into a device file.
#include <cstdio>

#include "cli/command.h"
#include "cli/cuda.h"
#include "cli/progress.h"
#include "cli/reference_plans.h"
#include "core/base/errors.h"
#include "core/base/units.h"
#include "core/cost/cost.h"
#include "core/plan/plan_file.h"
#include "cpu_backend/calibrate.h"

namespace pgram::cli {
namespace {

struct Flags {
  std::string out, plan, backend = "cpu";
  double seconds = CalibrateOptions{}.seconds_budget;
  bool quick = false;
};

/// What both backends are told.
template <class Options>
Options options_of(const Flags& flags, const std::vector<Plan>& plans, const std::stop_token& stop,
                   Progress& progress) {
  Options options;
  options.seconds_budget = flags.quick ? std::min(flags.seconds, 20.0) : flags.seconds;
  for (const Plan& plan : plans) options.plans.push_back(&plan);
  options.stop = stop;
  options.progress = [&](double fraction, const std::string& what) { progress.show(fraction, what); };
  return options;
}

Device measure(const Flags& flags, const CudaApi* cuda, const std::stop_token& stop) {
  std::vector<Plan> plans;
  if (!flags.plan.empty()) plans.push_back(read_plan(flags.plan));
  for (Plan& reference : reference_plans()) plans.push_back(std::move(reference));
  Progress progress("calibrating");
  if (cuda) return cuda->calibrate(options_of<CudaCalibrateOptions>(flags, plans, stop, progress));
  return calibrate_cpu(options_of<CalibrateOptions>(flags, plans, stop, progress));
}

/// By nccl-tests' columns.
void print_transfers(const Device& device) {
  std::printf("%-14s %5s %6s %10s %10s %12s\n", "transfer", "ranks", "groups", "size", "time", "busbw GB/s");
  for (const MeasuredTransfer& t : device.transfers) {
    std::printf("%-14s %5u %6u %10s %10s %12.3f\n", t.operation.c_str(), t.ranks, t.busy, format_bytes(t.bytes).c_str(),
                format_time(to_picoseconds(t.seconds)).c_str(), bus_bytes_per_second(t) / 1e9);
  }
}

int run(const Flags& flags) {
  if (flags.backend != "cpu" && flags.backend != "cuda")
    throw InputError("--backend", "expected cpu or cuda, got '" + flags.backend + "'");
  const CudaApi* cuda = flags.backend == "cuda" ? &usable_cuda() : nullptr;
  const std::stop_token stop = stop_on_interrupt();
  const Device device = measure(flags, cuda, stop);
  write_device(device, flags.out);
  if (cuda) print_transfers(device);
  std::printf("%s: %zu kernel shapes, %zu transfers; fp32 peak %.0f GFLOP/s, memory %.1f GB/s per device%s\n",
              device.name.c_str(), device.kernels.size(), device.transfers.size(), device.fp32_flops_per_second / 1e9,
              device.memory_bytes_per_second / 1e9, stop.stop_requested() ? " (stopped early)" : "");
  std::printf("wrote %s; next: pgram simulate plan.json --device %s\n", flags.out.c_str(), flags.out.c_str());
  return kGood;
}

}  // namespace

void add_calibrate_command(Command& app, int& exit_code) {
  auto flags = std::make_shared<Flags>();
  Command* command = add_command(app, "calibrate", "Measure this machine's kernels and copies into a device file",
                                 "pgram calibrate --out here.yaml", exit_code, [=] { return run(*flags); });
  command->add_option("--out", flags->out, "Device file to write (YAML)")->required();
  command->add_option("--backend", flags->backend, "cpu or cuda")->capture_default_str();
  command->add_option("--plan", flags->plan,
                      "Also measure the exact shapes of this plan's kernels, each alone (the plan is not run)");
  command->add_option("--seconds", flags->seconds, "Time to spend, about")
      ->check(Range(1.0, 36000.0))
      ->capture_default_str();
  command->add_flag("--quick", flags->quick, "At most 20 seconds");
}

}  // namespace pgram::cli
