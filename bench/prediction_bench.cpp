// How well the prediction meets the measurement: layouts of two small models, each simulated with a device file that
// was made before any of them ran, and then really trained on this machine. Predicted step, median of the measured
// steps, error, and the measurement's own noise (p10 to p90 over the median).
//
//   bench_prediction [--device FILE] [--out FILE] [--seconds N] [--steps N] [--only MODEL/LAYOUT] [--pin] [--kernels]
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "core/base/errors.h"
#include "core/cluster/cluster.h"
#include "core/exec/interpreter.h"
#include "core/layout/layout.h"
#include "core/model/model.h"
#include "core/planner/planner.h"
#include "core/timeline/compare.h"
#include "cpu_backend/calibrate.h"
#include "cpu_backend/cpu_backend.h"
#include "sim/simulate.h"

namespace {

using namespace pgram;

constexpr uint32_t kWarmUp = 2;

struct Flags {
  std::string device, out, only;
  double seconds = 60;
  uint32_t steps = 22;
  bool kernels = false, pin = false;
};

struct Case {
  std::string model, layout;
  uint32_t sequence = 0;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const auto& [model, sequence] : {std::pair("tiny-llama", 128u), std::pair("demo-llama", 256u)}) {
    for (const char* layout : {"tp1", "tp2", "tp2.sp", "pp2", "dp2", "tp2.pp2", "dp2.tp2.pp2", "pp4"})
      all.push_back({model, layout, sequence});
  }
  return all;
}

Plan plan_of(const Case& c) {
  Workload work;
  work.global_batch = 8;
  work.sequence = c.sequence;
  return make_plan(find_model(c.model), parse_layout(c.layout), work);
}

/// Random bytes: durations do not depend on them.
void tokens(uint64_t step, uint32_t index, uint32_t sequence, int32_t* tokens, int32_t* targets) {
  uint32_t state = static_cast<uint32_t>(step * 7919 + index * 104729 + 5);
  for (uint32_t i = 0; i <= sequence; ++i) {
    state = state * 1664525u + 1013904223u;
    const int32_t token = static_cast<int32_t>(state >> 24);
    if (i < sequence) tokens[i] = token;
    if (i > 0) targets[i - 1] = token;
  }
}

/// The measured timeline without its first steps.
Timeline without_warm_up(Timeline timeline) {
  timeline.steps.erase(timeline.steps.begin(),
                       timeline.steps.begin() + std::min<size_t>(kWarmUp, timeline.steps.size() - 1));
  return timeline;
}

Timeline measure(const Plan& plan, const Cluster& cluster, const Flags& flags) {
  CpuOptions cpu;
  cpu.pin = flags.pin;
  cpu.threads_per_rank = static_cast<int>(std::max(1u, cluster.cores_per_device));
  CpuBackend backend(plan, cpu);
  RunOptions options;
  options.steps = flags.steps;
  options.tokens = tokens;
  return without_warm_up(run(plan, backend, options).timeline);
}

struct Noise {
  double p10 = 0, median = 0, p90 = 0;  ///< ms
};

Noise noise_of(const Timeline& timeline) {
  std::vector<double> times;
  for (const Step& step : timeline.steps) times.push_back(1e3 * to_seconds(step.end - step.start));
  std::sort(times.begin(), times.end());
  const auto at = [&](double share) {
    return times[static_cast<size_t>(share * static_cast<double>(times.size() - 1))];
  };
  return {at(0.1), at(0.5), at(0.9)};
}

void compare_case(const Case& c, const Device& device, const Flags& flags) {
  const Plan plan = plan_of(c);
  Cluster cluster = find_cluster("this", plan.mesh.ranks());
  const Bytes memory = cluster.device.memory_bytes;
  cluster.device = device;
  cluster.device.memory_bytes = memory;
  const SimulationResult predicted = simulate(plan, cluster);
  if (!predicted.error.empty()) throw RunError(predicted.error);
  const double before = 1e3 * to_seconds(predicted.makespan);
  const Timeline measured = measure(plan, cluster, flags);
  const Noise noise = noise_of(measured);
  const double known = 100.0 * static_cast<double>(predicted.provenance[0]) /
                       static_cast<double>(predicted.provenance[0] + predicted.provenance[1] + predicted.provenance[2]);
  std::printf("%-12s %-12s %5u %10.2f %10.2f %+8.1f %%  %5.2f .. %4.2f %9.0f %%\n", c.model.c_str(), c.layout.c_str(),
              plan.mesh.ranks(), before, noise.median, 100 * (before / noise.median - 1), noise.p10 / noise.median,
              noise.p90 / noise.median, known);
  std::fflush(stdout);
  if (flags.kernels)
    std::printf("%s\n",
                comparison_to_text(predicted.timeline, measured, compare(predicted.timeline, measured)).c_str());
}

/// A device file made by measuring kernels and transfers of these plans, never the plans.
Device device_of(const Flags& flags) {
  if (!flags.device.empty()) return find_device(flags.device);
  std::vector<Plan> plans;
  for (const Case& c : cases()) plans.push_back(plan_of(c));
  CalibrateOptions options;
  options.seconds_budget = flags.seconds;
  for (const Plan& plan : plans) options.plans.push_back(&plan);
  options.progress = [](double fraction, const std::string& what) {
    std::fprintf(stderr, "\rcalibrating %3.0f %% %-40s", 100 * fraction, what.c_str());
  };
  const Device device = calibrate_cpu(options);
  std::fprintf(stderr, "\n");
  if (!flags.out.empty()) write_device(device, flags.out);
  return device;
}

Flags parse(int count, char** arguments) {
  Flags flags;
  for (int i = 1; i < count; ++i) {
    const std::string name = arguments[i];
    if (name == "--kernels" || name == "--pin") {
      (name == "--pin" ? flags.pin : flags.kernels) = true;
      continue;
    }
    if (i + 1 == count) throw InputError(name, "expected a value behind it");
    const std::string value = arguments[++i];
    if (name == "--device")
      flags.device = value;
    else if (name == "--out")
      flags.out = value;
    else if (name == "--only")
      flags.only = value;
    else if (name == "--seconds")
      flags.seconds = std::atof(value.c_str());
    else if (name == "--steps")
      flags.steps = kWarmUp + std::max(1, std::atoi(value.c_str()));
    else
      throw InputError(name, "is not known: --device, --out, --seconds, --steps, --only, --pin, --kernels");
  }
  return flags;
}

}  // namespace

int main(int count, char** arguments) {
  try {
    const Flags flags = parse(count, arguments);
    const Device device = device_of(flags);
    std::printf("%s: %s\n", device.name.c_str(), device.source.c_str());
    std::printf("%zu kernels, %zu transfers, %.0f GFLOP/s, %.1f GB/s, task overhead %.2f us; %u steps each\n\n",
                device.kernels.size(), device.transfers.size(), device.fp32_flops_per_second / 1e9,
                device.memory_bytes_per_second / 1e9, device.launch_seconds * 1e6, flags.steps - kWarmUp);
    std::printf("%-12s %-12s %5s %10s %10s %10s  %13s %11s\n", "model", "layout", "ranks", "predicted", "measured",
                "error", "p10 .. p90", "in table");
    std::printf("%-12s %-12s %5s %10s %10s %10s  %13s\n", "", "", "", "ms", "ms", "", "of the median");
    for (const Case& c : cases()) {
      if (!flags.only.empty() && (c.model + "/" + c.layout).find(flags.only) == std::string::npos) continue;
      compare_case(c, device, flags);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_prediction: %s\n", error.what());
    return 1;
  }
  return 0;
}
