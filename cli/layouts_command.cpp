// pgram layouts: every legal layout of a model on a cluster, simulated and ranked.
#include <atomic>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/estimate.h"
#include "cli/inputs.h"
#include "cli/progress.h"
#include "core/base/errors.h"
#include "core/base/units.h"

namespace pgram::cli {
namespace {

struct Flags {
  PlanFlags plan;
  std::string device;
  std::vector<uint32_t> micro_batches;
  uint32_t devices = 0;
  int top = 15;
  bool json = false, all = false;
};

std::string name_of(const Candidate& c) {
  return to_text(c.layout) + " mb" + std::to_string(c.workload.micro_batch) + " " + c.layout.schedule;
}

nlohmann::ordered_json to_json(const Candidate& c) {
  nlohmann::ordered_json out{{"layout", to_text(c.layout)},
                             {"schedule", c.layout.schedule},
                             {"micro_batch", c.workload.micro_batch},
                             {"memory_bytes", c.memory_bytes}};
  if (!c.unfit.empty()) {
    out["unfit"] = c.unfit;
    return out;
  }
  out["step_seconds"] = c.estimate.step_seconds;
  out["bubble"] = c.estimate.bubble;
  out["exposed_communication"] = c.estimate.exposed_comm;
  out["model_flops_utilisation"] = c.estimate.model_flops_utilisation;
  return out;
}

void print_row(size_t place, const Candidate& c) {
  std::printf("%4zu  %-26s %10s %8.1f %% %9.1f %% %8.1f %% %11s\n", place, name_of(c).c_str(),
              format_time(to_picoseconds(c.estimate.step_seconds)).c_str(), c.estimate.bubble * 100,
              c.estimate.exposed_comm * 100, c.estimate.model_flops_utilisation * 100,
              format_bytes(c.memory_bytes).c_str());
}

void print_text(const Flags& flags, const std::vector<Candidate>& found, const SearchSpace& space,
                const Cluster& cluster, bool stopped) {
  size_t fit = 0;
  while (fit < found.size() && found[fit].unfit.empty()) ++fit;
  std::printf("%s on %s (%u devices, %s each): %zu layouts simulated, %zu unfit%s\n\n", flags.plan.model.c_str(),
              cluster.name.c_str(), space.devices, format_bytes(space.memory_bytes).c_str(), fit, found.size() - fit,
              stopped ? " (stopped early)" : "");
  const size_t shown = flags.all ? fit : std::min(fit, static_cast<size_t>(flags.top));
  if (fit) std::printf("      %-26s %10s %10s %11s %10s %11s\n", "layout", "step", "idle", "exposed", "MFU", "memory");
  for (size_t i = 0; i < shown; ++i) print_row(i + 1, found[i]);
  if (shown < fit) std::printf("      ... %zu more (--top %zu)\n", fit - shown, fit);
  if (fit) {
    std::printf("\n%s\n", why_first(found).c_str());
    const int rule = rule_of_thumb(found, space);
    if (rule > 0) {
      std::printf(
          "The rule \"tensor parallel inside the node, then pipeline, then data\" would pick %s: place %d, %.1f %% "
          "slower.\n",
          name_of(found[rule]).c_str(), rule + 1,
          (found[rule].estimate.step_seconds / found[0].estimate.step_seconds - 1) * 100);
    } else if (rule == 0) {
      std::printf("The rule \"tensor parallel inside the node, then pipeline, then data\" picks the same layout.\n");
    } else {
      std::printf(
          "The rule \"tensor parallel inside the node, then pipeline, then data\" finds no layout that fits.\n");
    }
    if (!cluster.device.is_cpu)
      std::printf("Steps are by the analytic network; pgram simulate lets transfers share links and SMs too.\n");
  }
  if (fit < found.size()) std::printf("\nunfit:\n");
  const size_t unfit_shown = flags.all ? found.size() : std::min(found.size(), fit + static_cast<size_t>(flags.top));
  for (size_t i = fit; i < unfit_shown; ++i)
    std::printf("      %-26s %s\n", name_of(found[i]).c_str(), found[i].unfit.c_str());
  if (unfit_shown < found.size()) std::printf("      ... %zu more (--all)\n", found.size() - unfit_shown);
}

int run(const Flags& flags) {
  if (flags.plan.cluster.empty())
    throw InputError("--cluster", "missing: where it shall run, for example --cluster dgx-h100:4");
  Cluster cluster = find_cluster(flags.plan.cluster);
  if (!flags.device.empty()) cluster.device = find_device(flags.device);
  SearchSpace space;
  space.devices = flags.devices ? flags.devices : cluster.devices;
  if (space.devices > cluster.devices) {
    throw InputError("--devices", cluster.name + " has " + std::to_string(cluster.devices) + ", not " +
                                      std::to_string(space.devices));
  }
  space.devices_per_node = cluster.devices_per_node;
  space.memory_bytes = cluster.device.memory_bytes;
  if (!flags.micro_batches.empty()) space.micro_batch_sizes = flags.micro_batches;
  space.schedules = {flags.plan.schedule};
  if (!flags.plan.p2p.empty()) space.p2p = parse_point_to_point(flags.plan.p2p);
  const std::stop_token stop = stop_on_interrupt();
  Progress progress("simulating layouts");
  std::atomic<size_t> done = 0;
  std::atomic<size_t> total = 0;
  const Estimator estimator = simulating_estimator(cluster);
  const ParallelFor parallel = parallel_for_all_cores();
  const std::vector<Candidate> found = search_layouts(
      flags.plan.find_model(), flags.plan.workload(cluster), space, estimator,
      [&](size_t n, const std::function<void(size_t)>& f) {
        total = n;
        done = 0;
        parallel(n, [&](size_t i) {
          f(i);
          progress.show(static_cast<double>(++done) / static_cast<double>(total));
        });
      },
      stop);
  if (flags.json) {
    nlohmann::ordered_json out;
    out["model"] = flags.plan.model;
    out["cluster"] = cluster.name;
    out["stopped"] = stop.stop_requested();
    out["layouts"] = nlohmann::ordered_json::array();
    for (const Candidate& c : found) out["layouts"].push_back(to_json(c));
    if (!found.empty() && found[0].unfit.empty()) out["why"] = why_first(found);
    out["rule_of_thumb"] = rule_of_thumb(found, space);
    std::printf("%s\n", out.dump(2).c_str());
  } else {
    print_text(flags, found, space, cluster, stop.stop_requested());
  }
  return !found.empty() && found[0].unfit.empty() ? kGood : kFailed;
}

}  // namespace

void add_layouts_command(Command& app, int& exit_code) {
  auto flags = std::make_shared<Flags>();
  Command* command = add_command(app, "layouts", "Simulate and rank every legal layout of a model on a cluster",
                                 "pgram layouts llama-3.1-70b --cluster dgx-h100:4 --global-batch 64 --seq 8192",
                                 exit_code, [=] { return run(*flags); });
  command->add_option("MODEL", flags->plan.model, "Model: a name of `pgram models`, or a path to a config.json")
      ->required();
  command->add_option("--cluster", flags->plan.cluster, "Cluster; see `pgram clusters`")->required();
  command->add_option("--global-batch", flags->plan.global_batch, "Sequences per step")->required();
  command->add_option("--seq", flags->plan.sequence, "Tokens per sequence")->required();
  command->add_option("--devices", flags->devices, "Use this many devices (default: all)");
  command->add_option("--micro-batch", flags->micro_batches, "Micro-batch sizes to try (default 1 2 4)")
      ->check(Range(1u, 65536u));
  command->add_option("--schedule", flags->plan.schedule, "1f1b or gpipe")->capture_default_str();
  flags->plan.add_p2p_to(*command);
  command->add_option("--precision", flags->plan.precision, "fp32 or bf16 (default: bf16 on GPUs, fp32 on CPUs)");
  command->add_option("--device", flags->device, "Device file to use instead of the cluster's");
  command->add_option("--top", flags->top, "Rows to show")->check(Range(1, 1000000))->capture_default_str();
  command->add_flag("--all", flags->all, "Show all rows");
  command->add_flag("--json", flags->json, "Machine-readable");
}

}  // namespace pgram::cli
