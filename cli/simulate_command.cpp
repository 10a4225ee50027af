// pgram simulate: predicts the timeline of a plan on its cluster.
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/bill_text.h"
#include "cli/command.h"
#include "cli/inputs.h"
#include "cli/memory_text.h"
#include "cli/simulation_flags.h"
#include "core/base/errors.h"
#include "core/base/units.h"
#include "core/timeline/explanation.h"
#include "core/timeline/summary.h"
#include "sim/simulate.h"

namespace pgram::cli {
namespace {

struct Flags {
  PlanFlags plan;
  SimulationFlags simulation;
  std::string file, device, out;
  bool json = false;
};

int run(const Flags& flags) {
  using Clock = std::chrono::steady_clock;
  const auto ms = [](Clock::time_point a, Clock::time_point b) {
    return std::chrono::duration<double, std::milli>(b - a).count();
  };
  const Clock::time_point begin = Clock::now();
  const Plan plan = plan_of(flags.file, flags.plan);
  const Cluster cluster = cluster_of(plan, flags.plan.cluster, flags.device);
  const SimulationOptions options = flags.simulation.options(plan, cluster);
  const Clock::time_point planned = Clock::now();
  const SimulationResult result = simulate(plan, cluster, options);
  const Clock::time_point simulated = Clock::now();
  if (!result.error.empty()) throw RunError(result.error);
  if (!flags.out.empty()) write_timeline(result.timeline, flags.out);
  const Summary summary = summarise(result.timeline);
  const Explanation explanation = explain(result.timeline);
  const StepBill bill = step_bill(result.timeline, summary, cluster);
  if (flags.json) {
    nlohmann::ordered_json out;
    for (const auto& [key, value] : plan.facts) out["plan"][key] = value;
    out["memory"] = memory_to_json(plan, cluster);
    out["memory"]["peak_per_rank"] = peak_to_json(result.timeline, cluster);
    out["summary"] = nlohmann::ordered_json::parse(summary_to_json(result.timeline, summary));
    if (const auto json = to_json(bill); !json.empty()) out["bill"] = json;
    out["explanation"] = nlohmann::ordered_json::parse(explanation_to_json(result.timeline, explanation));
    out["simulation"] = {{"ranks", plan.mesh.ranks()},
                         {"ranks_simulated", result.classes},
                         {"tasks", result.tasks},
                         {"plan_ms", ms(begin, planned)},
                         {"simulate_ms", ms(planned, simulated)}};
    for (const char* fact : {"network", "engine"}) out["simulation"][fact] = result.timeline.facts.at(fact);
    for (int p = 0; p < kProvenances; ++p)
      out["simulation"]["durations"][name_of(static_cast<Provenance>(p))] = result.provenance[p];
    std::printf("%s\n", out.dump(2).c_str());
    return kGood;
  }
  std::printf("%s", summary_to_text(result.timeline, summary).c_str());
  std::printf("%s\n", explanation_to_text(result.timeline, explanation).c_str());
  std::printf("%s", to_text(bill).c_str());
  std::printf("%s", memory_to_text(plan, cluster).c_str());
  std::printf("%s", peak_to_text(result.timeline, cluster).c_str());
  const bool folded = result.classes < plan.mesh.ranks();
  std::printf("%s of %s ranks simulated%s, %s tasks; plan and verify %.3g ms, simulate %.3g ms\n",
              format_count(result.classes).c_str(), format_count(plan.mesh.ranks()).c_str(),
              folded ? " (the others behave alike)" : "", format_count(result.tasks).c_str(), ms(begin, planned),
              ms(planned, simulated));
  const auto& facts = result.timeline.facts;
  std::printf("network %s; %s\n", facts.at("network").c_str(), facts.at("engine").c_str());
  std::printf("durations of compute tasks:");
  for (int p = 0; p < kProvenances; ++p) {
    std::printf("%s %s %s", p ? "," : "", format_count(result.provenance[p]).c_str(),
                name_of(static_cast<Provenance>(p)));
  }
  std::printf("\n");
  if (!cluster.device.kernels.empty())
    std::printf("device %s, %s\n", cluster.device.name.c_str(), cluster.device.source.c_str());
  if (!flags.out.empty()) std::printf("wrote %s; next: pgram gui %s\n", flags.out.c_str(), flags.out.c_str());
  return kGood;
}

}  // namespace

void add_simulate_command(Command& app, int& exit_code) {
  auto flags = std::make_shared<Flags>();
  Command* command =
      add_command(app, "simulate", "Predict the timeline of a plan",
                  "pgram simulate plan.json --out sim.timeline\n  pgram simulate --model llama-3.1-405b --cluster "
                  "dgx-h100:2048 --layout tp8.pp16.dp128 --global-batch 2048 --seq 8192",
                  exit_code, [=] { return run(*flags); });
  command->add_option("FILE", flags->file, "Plan file; or describe the plan by --model and so on");
  flags->plan.add_to(*command);
  command->add_option("--device", flags->device,
                      "Device file to use instead of the cluster's (pgram calibrate writes one)");
  command->add_option("--out", flags->out, "Write the timeline");
  flags->simulation.add_to(*command);
  command->add_flag("--json", flags->json, "Machine-readable");
}

}  // namespace pgram::cli
