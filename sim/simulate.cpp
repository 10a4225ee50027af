#include "sim/simulate.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>

#include "core/base/errors.h"
#include "sim/cost_tables.h"
#include "sim/costs.h"
#include "sim/folding.h"
#include "sim/kept.h"
#include "sim/memory.h"
#include "sim/plan_index.h"
#include "sim/problem.h"
#include "sim/simulation_cache.h"
#include "sim/step_runs.h"
#include "sim/traffic.h"

namespace pgram {
namespace {

using sim::Costs;
using sim::Folding;
using sim::Instance;
using sim::PlanIndex;
using sim::Problem;
using sim::Quotient;
using sim::SharedLinks;
using sim::Usage;

void check_link_changes(const Cluster& cluster, const SimulationOptions& options) {
  if (options.link_changes.empty()) return;
  if (!sim::shares_links(cluster, options)) {
    throw InputError("link", "changes need the network level flow or step, and a cluster of GPUs");
  }
  for (const LinkChange& change : options.link_changes) {
    const uint32_t links = cluster.topology->num_links();
    if (change.link >= links) {
      throw InputError("link",
                       std::to_string(change.link) + " is none of the " + std::to_string(links) + " of the cluster");
    }
    if (change.time < 0 || !(change.factor >= 0 && change.factor <= 1)) {
      throw InputError("link", "changes need a time of 0 or more and a factor from 0 (down) to 1 (as before), got " +
                                   format_time(change.time) + " and " + std::to_string(change.factor));
    }
  }
}

void check(const Plan& plan, const Cluster& cluster, const SimulationOptions& options) {
  const uint32_t ranks = plan.mesh.ranks();
  if (!options.laws.enabled && cluster.devices < ranks) {
    throw InputError("cluster", cluster.name + " has " + std::to_string(cluster.devices) +
                                    " devices but the plan needs " + std::to_string(ranks) +
                                    "; take a larger cluster or a smaller layout");
  }
  if (options.launch_window == 0) {
    throw InputError("launch window", "is 0 tasks; expected at least 1 (1024 is usual)");
  }
  for (const auto& [rank, factor] : options.slow_ranks) {
    if (rank >= ranks) {
      throw InputError("slow rank",
                       std::to_string(rank) + " is not a rank of the plan; expected 0 to " + std::to_string(ranks - 1));
    }
    if (!std::isfinite(factor) || factor <= 0) {
      throw InputError("slow rank", std::to_string(rank) + " has factor " + std::to_string(factor) +
                                        "; expected a number above 0 (2 = half as fast)");
    }
  }
  if (!(options.jitter.sigma >= 0 && options.jitter.sigma <= 2)) {
    throw InputError("jitter", "expected a sigma from 0 to 2, got " + std::to_string(options.jitter.sigma));
  }
  if (options.collective_share && !(*options.collective_share >= 0 && *options.collective_share <= 0.95)) {
    throw InputError("collective share",
                     "expected 0 to 0.95 of a device's compute, got " + std::to_string(*options.collective_share));
  }
  if (options.network == NetworkLevel::step && sim::shares_links(cluster, options) && ranks > kMostStepRanks) {
    throw InputError("network", "'step' simulates every rank and message of at most " + std::to_string(kMostStepRanks) +
                                    " ranks, the plan has " + std::to_string(ranks) + "; take 'flow'");
  }
  check_link_changes(cluster, options);
}

/// Everything that one simulation has; Problem points into it.
struct Setup {
  Costs costs;
  std::vector<LinkChange> changes;  // by time
  std::shared_ptr<const Folding> folding;
  std::shared_ptr<const sim::LinksOfFolding> links;  // null if none are shared
  std::optional<sim::CostTables> tables;             // of the folded classes
  SharedLinks links_and_ports;                       // of the level `step`
  std::vector<Cluster> epochs;                       // the same
  std::unique_ptr<sim::StepRuns> steps;
  Engine engine = Engine::evaluator;
  Problem problem;
  std::vector<uint64_t> first_span;  // per instance, and one past the end

  Setup(const PlanIndex& index, const Cluster& cluster, const SimulationOptions& options, const sim::CoreDemand& demand,
        sim::Kept& kept)
      : costs(index, find_wirings(index, cluster, options, kept), cluster, options),
        changes(in_order(options.link_changes)),
        folding(find_folding(index, cluster, options, demand, kept)),
        problem{index} {
    const Plan& plan = index.plan();
    engine = choose_engine(options, demand);
    const Quotient& quotient = folding->quotient;
    const bool events = engine == Engine::events;
    const bool shares = events && (folding->shares_links() || costs.takes_sms());
    tables.emplace(index, costs, folding->table_ranks, sim::slow_factors(plan, options.slow_ranks), shares);
    check_range(index);
    problem.meeting_size = quotient.meeting_size;
    problem.launch_window = options.launch_window;
    problem.shared_cores = events ? demand.cores : 0;
    problem.cores_per_rank = std::max(1u, cluster.cores_per_device);
    problem.shared_sms = events && costs.takes_sms();
    problem.jitter = options.jitter;
    problem.task_by_task = options.task_by_task;
    if (folding->shares_links()) {
      links = kept.links.get(sim::shared_links_key(folding, costs), [&] {
        return sim::LinksOfFolding{folding, SharedLinks(folding->links, costs)};
      });
      problem.links = &links->links;
    }
    if (links && options.network == NetworkLevel::step) {
      epochs = sim::epochs_of(cluster, changes);
      steps = std::make_unique<sim::StepRuns>(index, costs, quotient, epochs);
      links_and_ports = links->links;
      links_and_ports.capacities.resize(links_and_ports.capacities.size() + steps->ports());
      problem.links = &links_and_ports;
      problem.steps = steps.get();
    }
    problem.instances.reserve(quotient.representative.size());
    for (size_t i = 0; i < quotient.representative.size(); ++i) {
      Instance& instance = problem.instances.emplace_back();
      instance.rank = quotient.representative[i];
      instance.program = &plan.programs[plan.role(instance.rank)];
      instance.costs = tables->costs(quotient.cost_table[i]);
      if (shares) instance.transfers = tables->transfers(quotient.cost_table[i]);
      instance.meetings = quotient.meeting.data() + i * plan.comms.size();
    }
  }

  static std::vector<LinkChange> in_order(std::vector<LinkChange> changes) {
    std::ranges::stable_sort(changes, {}, &LinkChange::time);
    return changes;
  }

  static std::shared_ptr<const sim::Wirings> find_wirings(const PlanIndex& index, const Cluster& cluster,
                                                          const SimulationOptions& options, sim::Kept& kept) {
    const sim::PathsSeen seen = sim::paths_seen(cluster, options);
    return kept.wirings.get(sim::wirings_key(index, cluster, seen),
                            [&] { return sim::find_wirings(index, cluster, seen); });
  }

  std::shared_ptr<const Folding> find_folding(const PlanIndex& index, const Cluster& cluster,
                                              const SimulationOptions& options, const sim::CoreDemand& demand,
                                              sim::Kept& kept) const {
    sim::FoldingOptions what;
    what.flows = sim::shares_links(cluster, options);
    what.every_link = options.network == NetworkLevel::step;
    // A class of one rank stands for all its ranks in time, but not in the cores that they want, and not in their luck.
    const bool shares_cores = demand.cores > 0 && options.engine != Engine::evaluator;
    what.unfold = options.unfold || shares_cores || options.jitter.sigma > 0;
    what.slow_ranks = options.slow_ranks;
    what.changes = changes;
    return kept.foldings.get(sim::folding_key(costs, cluster, what), [&] {
      Folding made = sim::make_folding(index, costs, cluster, what, kept.link_facts);
      kept.link_facts.keep_at_most(sim::Kept::kMostBytes);
      return made;
    });
  }

  Engine choose_engine(const SimulationOptions& options, const sim::CoreDemand& demand) const {
    const bool shares = folding->shares_links() || costs.takes_sms() || options.jitter.sigma > 0;
    if (options.engine == Engine::automatic) return demand.cores || shares ? Engine::events : Engine::evaluator;
    if (options.engine == Engine::evaluator && demand.by_compute) {
      throw InputError("engine", "the evaluator cannot share " + std::to_string(demand.cores) +
                                     " cores among more ranks; use the event loop");
    }
    if (options.engine == Engine::evaluator && shares) {
      const char* what = folding->shares_links() ? "links: use the event loop, or the analytic network"
                         : costs.takes_sms()     ? "SMs: use the event loop, or let collectives take none of them"
                                                 : "by chance: use the event loop";
      throw InputError("engine", std::string("the evaluator cannot let tasks slow each other down on shared ") + what);
    }
    return options.engine;
  }

  /// Times are 64-bit picoseconds: 106 days. No step of a use comes near; absurd sizes must not wrap around.
  void check_range(const PlanIndex& index) const {
    const Usage& usage = index.usage();
    double total = 0;
    for (uint32_t c = 0; c < folding->table_ranks.size(); ++c) {
      const uint32_t role = index.plan().role(folding->table_ranks[c]);
      for (const uint16_t body : usage.bodies[role]) total += tables->once(c, body) * usage.calls[role][body];
    }
    constexpr double kMost = 1e18;
    if (total > kMost) {
      throw InputError("step",
                       "takes more than 10^6 seconds of device time per step, beyond what is simulated; "
                       "check the sizes of model and workload and the speeds of the cluster");
    }
  }

  /// Room for all spans, divided among ranks and streams: a stream is in order, so each task's place is known before
  /// its time. Nothing is written yet; the engines do, all of it if the step finishes.
  std::shared_ptr<Span> place_spans(sim::SpanRoom& room) {
    const auto tasks_of = [&](const Instance& instance) -> const auto& {
      return problem.index.tasks(problem.plan.role(instance.rank));
    };
    uint64_t total = 0;
    for (const Instance& instance : problem.instances) {
      first_span.push_back(total);
      for (uint64_t n : tasks_of(instance)) total += n;
    }
    first_span.push_back(total);
    std::shared_ptr<Span> spans = room.take(total);
    problem.first_span = spans.get();
    Span* next = spans.get();
    for (Instance& instance : problem.instances) {
      const auto& tasks = tasks_of(instance);
      for (int stream = 0; stream < kStreams; ++stream) {
        instance.spans[stream] = next;
        next += tasks[stream];
      }
    }
    return spans;
  }
};

void count_provenance(const Setup& setup, SimulationResult& result) {
  const Usage& usage = setup.problem.index.usage();
  for (const Instance& instance : setup.problem.instances) {
    const uint32_t role = setup.problem.plan.role(instance.rank);
    for (uint16_t body : usage.bodies[role]) {
      const auto& ops = setup.costs.provenance(body);
      for (int p = 0; p < kProvenances; ++p) result.provenance[p] += uint64_t{ops[p]} * usage.calls[role][body];
    }
  }
}

const char* name_of(Engine engine) {
  return engine == Engine::events ? "event loop" : "evaluator";
}

/// "flow: 24 classes of 32768 links that may be full"
std::string network_text(const Setup& setup, const Cluster& cluster, const SimulationOptions& options) {
  if (!sim::shares_links(cluster, options)) return "analytic";
  if (setup.steps) {
    return "step: " + std::to_string(setup.steps->messages()) + " messages of collectives over " +
           std::to_string(setup.folding->shared_links) + " links; ranks are not folded";
  }
  if (options.network == NetworkLevel::step) return "step: nothing is sent";
  if (!setup.folding->shares_links()) return "flow: no link is ever full";
  return "flow: " + std::to_string(setup.folding->quotient.link_representative.size()) + " classes of " +
         std::to_string(setup.folding->shared_links) + " links that may be full";
}

void state_facts(const Setup& setup, const Cluster& cluster, const SimulationOptions& options,
                 SimulationResult& result) {
  const Plan& plan = setup.problem.plan;
  auto& facts = result.timeline.facts;
  facts["engine"] = name_of(result.engine);
  facts["network"] = network_text(setup, cluster, options);
  facts["folded classes"] = std::to_string(result.classes) + " of " + std::to_string(plan.mesh.ranks()) + " ranks";
  // The evaluator issues without bound.
  facts["launch_window"] = result.engine == Engine::events ? std::to_string(options.launch_window) : "unbounded";
  if (!cluster.name.empty()) facts["cluster"] = cluster.name;
  if (!cluster.device.name.empty()) facts["device"] = cluster.device.name;
  if (!cluster.device.kernels.empty()) facts["device_source"] = cluster.device.source;
  for (const char* name : {"flops_per_step", "tokens_per_step"}) {
    if (const auto fact = plan.facts.find(name); fact != plan.facts.end()) facts[name] = fact->second;
  }
  const auto precision = plan.facts.find("precision");
  const bool bf16 = precision != plan.facts.end() && precision->second == "bf16";
  const double peak = bf16 ? cluster.device.bf16_flops_per_second : cluster.device.fp32_flops_per_second;
  if (peak > 0) facts["peak_flops_per_rank"] = std::to_string(peak);
}

}  // namespace

std::shared_ptr<const sim::PlanIndex> make_plan_index(std::shared_ptr<const Plan> plan) {
  return std::make_shared<const PlanIndex>(std::move(plan));
}

SimulationResult simulate(const PlanIndex& index, const Cluster& cluster, const SimulationOptions& options,
                          SimulationCache& cache) {
  const Plan& plan = index.plan();
  check(plan, cluster, options);
  const sim::CoreDemand demand =
      options.laws.enabled && !cluster.shared_cores ? sim::CoreDemand() : sim::core_demand(plan, cluster);
  SimulationResult result;
  Setup setup(index, cluster, options, demand, cache.kept());
  result.engine = setup.engine;
  result.classes = static_cast<uint32_t>(setup.problem.instances.size());
  std::shared_ptr<Span> spans;
  if (options.keep_spans) spans = setup.place_spans(cache.kept().spans);

  sim::Outcome outcome =
      result.engine == Engine::events ? sim::run_events(setup.problem) : sim::evaluate(setup.problem);
  result.makespan = outcome.makespan;
  result.tasks = outcome.tasks;
  result.error = std::move(outcome.error);
  count_provenance(setup, result);

  Timeline& timeline = result.timeline;
  timeline.plan = index.shared_plan();
  timeline.source = TimelineSource::simulated;
  const Quotient& quotient = setup.folding->quotient;
  if (result.classes < plan.mesh.ranks()) {
    timeline.representative.reserve(quotient.class_of.size());
    for (uint32_t c : quotient.class_of) timeline.representative.push_back(quotient.representative[c]);
  }
  timeline.counter_names = {"memory"};
  if (result.error.empty()) {  // else some spans were never written
    if (spans) timeline.spans = {spans.get(), setup.first_span.back()};
    timeline.storage = std::move(spans);
    timeline.contention = std::move(outcome.contention);
    timeline.alike = std::move(outcome.alike);
    timeline.in_plan_order = index.ends_in_order();
  }
  timeline.steps.push_back({0, timeline.spans.size(), 0, result.makespan, 0, 0});
  if (!timeline.spans.empty() && options.keep_counters) {
    for (size_t i = 0; i < setup.problem.instances.size(); ++i) {
      const auto own = timeline.spans.subspan(setup.first_span[i], setup.first_span[i + 1] - setup.first_span[i]);
      const auto samples = sim::memory_over_time(plan, setup.problem.instances[i].rank, own);
      timeline.counters.insert(timeline.counters.end(), samples.begin(), samples.end());
    }
  }
  state_facts(setup, cluster, options, result);
  return result;
}

SimulationResult simulate(std::shared_ptr<const Plan> plan, const Cluster& cluster, const SimulationOptions& options,
                          SimulationCache& cache) {
  return simulate(PlanIndex(std::move(plan)), cluster, options, cache);
}

SimulationResult simulate(std::shared_ptr<const Plan> plan, const Cluster& cluster, const SimulationOptions& options) {
  SimulationCache cache;
  return simulate(std::move(plan), cluster, options, cache);
}

SimulationResult simulate(const Plan& plan, const Cluster& cluster, const SimulationOptions& options) {
  return simulate(std::make_shared<const Plan>(plan), cluster, options);
}

}  // namespace pgram
