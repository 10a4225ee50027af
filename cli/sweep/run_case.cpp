#include "cli/sweep/run_case.h"

#include <algorithm>
#include <array>

#include "core/base/errors.h"
#include "core/planner/planner.h"
#include "core/timeline/idle.h"
#include "core/timeline/step_graph.h"
#include "core/timeline/summary.h"
#include "core/timeline/text_table.h"
#include "sim/option_text.h"
#include "sim/whole_run/goodput.h"
#include "sim/whole_run/step_bill.h"

namespace pgram::sweep {
namespace {

using Shares = std::array<double, kCategories>;

/// Shares of the step that compute streams are busy with each category, mean over all ranks.
Shares busy_shares(const Timeline& timeline, const Summary& summary) {
  const double whole = static_cast<double>(summary.step_time) * timeline.plan->mesh.ranks();
  Shares shares{};
  for (const RankSummary& rank : summary.ranks) {
    for (size_t i = 0; i < shares.size(); ++i) shares[i] += static_cast<double>(rank.busy_with[i]) * rank.represented;
  }
  for (double& value : shares) value = share_of(value, whole);
  return shares;
}

void add_shares(const StepGraph& graph, const Summary& summary, Figures& figures) {
  const Shares busy = busy_shares(graph.timeline(), summary);
  const IdleSummary idle = summarise_idle(graph);
  const auto of = [](const Shares& shares, Category category) { return shares[static_cast<size_t>(category)]; };
  const auto why = [&](IdleReason reason) { return idle.share[static_cast<size_t>(reason)]; };

  figures.forward = of(busy, Category::forward);
  figures.backward = of(busy, Category::backward);
  figures.optimizer = of(busy, Category::optimizer);
  for (const Category category :
       {Category::tensor_comm, Category::data_comm, Category::pipeline_comm, Category::other}) {
    figures.other_compute += of(busy, category);
  }
  figures.tensor_parallel = of(idle.task_share, Category::tensor_comm);
  figures.data_parallel = of(idle.task_share, Category::data_comm);
  figures.pipeline_parallel = of(idle.task_share, Category::pipeline_comm);
  figures.shared_links = why(IdleReason::link);
  figures.fill = why(IdleReason::fill);
  figures.steady = why(IdleReason::steady);
  figures.drain = why(IdleReason::drain);
  figures.imbalance = why(IdleReason::member);
  for (const Category category : {Category::forward, Category::backward, Category::optimizer, Category::other}) {
    figures.other_idle += of(idle.task_share, category);
  }
  for (const IdleReason reason : {IdleReason::sender, IdleReason::receiver, IdleReason::barrier, IdleReason::host}) {
    figures.other_idle += why(reason);
  }
}

void add_whole_run(const Timeline& timeline, const Summary& summary, const Cluster& cluster, Figures& figures) {
  const StepBill bill = step_bill(timeline, summary, cluster);
  figures.joules = bill.joules;
  figures.watts_per_device = bill.watts_per_device;
  figures.dollars = bill.dollars;
  figures.dollars_per_million_tokens = bill.dollars_per_million_tokens;
  const Plan& plan = *timeline.plan;
  const auto run = training_run(figures.step_seconds, checkpoint_bytes(plan), plan.mesh.ranks(), cluster);
  if (!run) return;
  const Goodput best = best_goodput(*run);
  figures.goodput = best.share;
  figures.checkpoint_interval_seconds = best.interval;
}

SimulationOptions options_of(const Case& inputs, const Plan& plan, const Cluster& cluster) {
  SimulationOptions options;
  options.keep_counters = false;
  options.network = parse_network_level(inputs.network);
  const Disturbance& disturbance = inputs.disturbance;
  for (const std::string& text : disturbance.slow)
    options.slow_ranks.push_back(parse_slow_rank(text, plan.mesh.ranks()));
  if (!disturbance.jitter.empty()) options.jitter = parse_jitter(disturbance.jitter);
  for (const std::string& text : disturbance.links) options.link_changes.push_back(parse_link_change(text, cluster));
  return options;
}

void simulate_case(const Case& inputs, const PlannedCase& planned, const Cluster& cluster, SimulationCache& cache,
                   Outcome& outcome) {
  const SimulationOptions options = options_of(inputs, *planned.plan, cluster);
  const SimulationResult result = simulate(*planned.verdict->index, cluster, options, cache);
  if (!result.error.empty()) throw RunError(result.error);
  const StepGraph graph(result.timeline, result.timeline.median_step(), *planned.verdict->order);
  const Summary summary = summarise(graph);
  Figures& figures = outcome.figures;
  figures.step_seconds = to_seconds(summary.step_time);
  figures.tokens_per_second = summary.tokens_per_second;
  figures.model_flops_utilisation = summary.model_flops_utilisation;
  const auto flops = result.timeline.facts.find("flops_per_step");
  if (flops != result.timeline.facts.end())
    figures.model_flops_per_second = share_of(std::stod(flops->second), figures.step_seconds);
  add_shares(graph, summary, figures);
  add_whole_run(result.timeline, summary, cluster, figures);
}

void require_verified(const PlannedCase& planned, KnownPlans& known) {
  PlannedCase::Verdict& verdict = *planned.verdict;
  std::call_once(verdict.once, [&] {
    verdict.error = known.link_and_verify(verdict.plan);
    if (!verdict.error.empty()) return;
    verdict.order.emplace(*planned.plan);
    verdict.index = make_plan_index(planned.plan);
  });
  if (!verdict.error.empty()) throw RunError("the plan is not valid: " + verdict.error);
}

}  // namespace

const Model& Inputs::model(const std::string& name) {
  const auto found = models_.find(name);
  return found != models_.end() ? found->second : models_.emplace(name, find_model(name)).first->second;
}

const Cluster& Inputs::cluster(const std::string& name) {
  const auto found = clusters_.find(name);
  return found != clusters_.end() ? found->second : clusters_.emplace(name, find_cluster(name)).first->second;
}

PlannedCase plan_case(const Case& inputs, Inputs& known) {
  PlannedCase planned;
  if (inputs.layout.ranks() != inputs.devices) {
    planned.unfit = "layout: " + to_text(inputs.layout) + " is for " + format_count(inputs.layout.ranks()) +
                    " devices, the cluster has " + format_count(inputs.devices);
    return planned;
  }
  try {
    const Model& model = known.model(inputs.model);
    try {
      auto plan = std::make_shared<Plan>(make_unlinked_plan(model, inputs.layout, inputs.workload));
      const std::vector<MemoryBill> bills = memory_bill(*plan);
      planned.memory = bills[fullest_role(bills)];
      planned.verdict = std::make_shared<PlannedCase::Verdict>();
      planned.verdict->plan = plan;
      planned.plan = std::move(plan);
    } catch (const InputError& error) {  // degrees, or a schedule that is for others
      planned.unfit = error.what();
      return planned;
    }
  } catch (const std::exception& error) {
    planned.error = error.what();
  }
  return planned;
}

Outcome run_case(const Case& inputs, const PlannedCase& planned, Inputs& known) {
  Outcome outcome;
  outcome.unfit = planned.unfit;
  outcome.error = planned.error;
  if (!planned.plan) return outcome;
  try {
    const Cluster& cluster = known.cluster(inputs.cluster);
    const MemoryBill& fullest = planned.memory;
    const Bytes available = cluster.device.memory_bytes;
    outcome.figures.memory_bytes = static_cast<double>(fullest.total);
    outcome.figures.memory_headroom = static_cast<double>(available) - static_cast<double>(fullest.total);
    if (fullest.total > available) {
      outcome.unfit = "needs " + format_bytes(fullest.total) + " of " + format_bytes(available) + " a device, " +
                      format_bytes(fullest.total - available) + " too much: " + breakdown_text(fullest);
    } else {
      require_verified(planned, known.plans());
      simulate_case(inputs, planned, cluster, known.simulations(), outcome);
    }
  } catch (const std::exception& error) {
    const Figures planned_only{.memory_bytes = outcome.figures.memory_bytes,
                               .memory_headroom = outcome.figures.memory_headroom};
    outcome.error = error.what();
    outcome.figures = planned_only;
  }
  return outcome;
}

}  // namespace pgram::sweep
