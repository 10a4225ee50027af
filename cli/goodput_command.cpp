// pgram goodput: days of training with checkpoints and failures, on a simulated step.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/bill_text.h"
#include "cli/command.h"
#include "cli/goodput_text.h"
#include "cli/inputs.h"
#include "cli/simulation_flags.h"
#include "core/base/errors.h"
#include "core/timeline/summary.h"
#include "sim/simulate.h"
#include "sim/whole_run/formulas.h"
#include "sim/whole_run/goodput.h"

namespace pgram::cli {
namespace {

constexpr Seconds kDay = 86400;
constexpr size_t kGaps = 1 << 16;  ///< times between failures that the best interval is searched over

struct Flags {
  PlanFlags plan;
  SimulationFlags simulation;
  std::string file, device, every, node_mtbf, restart;
  std::vector<std::string> failures;
  double days = 30, write_speed = 0;
  uint32_t runs = 256;
  uint64_t seed = 1;
  bool json = false;
};

/// "90s", "30m", "3h", "2.5d"; at most ten years.
Seconds parse_duration(const std::string& flag, const std::string& text) {
  double number = 0;
  const auto [unit, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string suffix(unit, text.data() + text.size());
  const double scale = suffix == "s" ? 1 : suffix == "m" ? 60 : suffix == "h" ? 3600 : suffix == "d" ? kDay : 0;
  if (error != std::errc() || scale == 0 || !(number * scale >= 0 && number * scale <= 3653 * kDay))
    throw InputError(flag,
                     "expected a time as 90s, 30m, 3h or 2d, ten years at most, got '" + text.substr(0, 40) + "'");
  return number * scale;
}

struct GivenFailure {
  Seconds time = 0;
  uint32_t rank = 0;
};

/// "3h@rank17" or "3h@17".
GivenFailure parse_failure(const std::string& text, uint32_t ranks, Seconds wall) {
  const size_t at = text.find('@');
  GivenFailure failure;
  std::string rank = at == std::string::npos ? "" : text.substr(at + 1);
  if (rank.starts_with("rank")) rank.erase(0, 4);
  const auto [end, error] = std::from_chars(rank.data(), rank.data() + rank.size(), failure.rank);
  if (rank.empty() || error != std::errc() || end != rank.data() + rank.size() || failure.rank >= ranks)
    throw InputError("--fail", "expected TIME@RANK with a rank below " + std::to_string(ranks) +
                                   ", for example 3h@rank0, got '" + text.substr(0, 40) + "'");
  failure.time = parse_duration("--fail", text.substr(0, at));
  if (failure.time >= wall)
    throw InputError("--fail", "'" + text.substr(0, 40) + "' is not within the " + format_duration(wall) +
                                   " of the run; --days makes it longer");
  return failure;
}

/// The cluster's own, or what the flags say instead.
void set_failures(const Flags& flags, Cluster& cluster) {
  std::optional<Failures>& failures = cluster.operation.failures;
  const bool without_mtbf = !flags.failures.empty() && !flags.every.empty();
  const bool all_given = !flags.restart.empty() && flags.write_speed > 0 && (!flags.node_mtbf.empty() || without_mtbf);
  if (!failures && !all_given) {
    throw InputError("cluster", cluster.name + " says nothing of failures; give " +
                                    (without_mtbf ? "" : "--node-mtbf, ") +
                                    "--restart and --checkpoint-gb-per-s, or a cluster file with the key failures");
  }
  if (!failures) failures.emplace();
  if (!flags.node_mtbf.empty()) failures->node_mtbf = parse_duration("--node-mtbf", flags.node_mtbf);
  if (!flags.restart.empty()) failures->restart = parse_duration("--restart", flags.restart);
  if (flags.write_speed > 0) failures->checkpoint_bytes_per_second = flags.write_speed * 1e9;
  if (!without_mtbf && failures->node_mtbf < 1) throw InputError("--node-mtbf", "expected at least one second");
}

uint64_t steps_of(Seconds interval, Seconds step) {
  return static_cast<uint64_t>(std::clamp(std::round(interval / step), 1.0, 1e15));
}

/// One run with the given failures.
void run_given(const Flags& flags, const Cluster& cluster, uint64_t every, GoodputReport& report) {
  std::vector<GivenFailure> given;
  for (const std::string& text : flags.failures) given.push_back(parse_failure(text, report.ranks, report.wall));
  std::ranges::stable_sort(given, {}, &GivenFailure::time);
  std::vector<Seconds> times;
  for (const GivenFailure& failure : given) times.push_back(failure.time);
  std::vector<Recovery> recoveries;
  const RunRecord record = simulate_run(report.run, every, report.wall, times, &recoveries);
  for (size_t i = 0; i < recoveries.size(); ++i)
    report.given.push_back({given[i].rank, cluster.node_of(given[i].rank), recoveries[i]});
  report.days = {.every = every,
                 .goodput = record.goodput(),
                 .useful = record.useful,
                 .checkpoints = record.checkpoints,
                 .lost = record.lost,
                 .restarts = record.restarts,
                 .steps = static_cast<double>(record.steps),
                 .failures = static_cast<double>(record.failures)};
}

/// A table of intervals around the best one, Young's, Daly's and the one that was asked for.
void run_by_chance(const Flags& flags, uint64_t best, uint64_t asked, GoodputReport& report) {
  std::map<uint64_t, std::vector<std::string>> intervals;
  for (const double factor : {0.125, 0.25, 0.5, 2.0, 4.0, 8.0})
    intervals[steps_of(static_cast<double>(best) * factor, 1)];
  intervals[best].push_back("best");
  intervals[steps_of(young_interval(report.run), report.run.step)].push_back("Young");
  intervals[steps_of(daly_interval(report.run), report.run.step)].push_back("Daly");
  if (asked) intervals[asked].push_back("asked for");
  const FailureSample sample(report.run.mtbf, report.wall, flags.runs, flags.seed);
  report.runs = flags.runs;
  for (const auto& [every, marks] : intervals) {
    if (every == (asked ? asked : best)) report.chosen = report.rows.size();
    const Seconds interval = static_cast<double>(every) * report.run.step;
    report.rows.push_back({sample.days(report.run, every), expected_goodput(report.run, interval), marks});
  }
  report.days = report.rows[report.chosen].days;
}

GoodputReport report_of(const Flags& flags, const Plan& plan, const Cluster& cluster, const Timeline& timeline) {
  const Summary summary = summarise(timeline);
  const Seconds step = to_seconds(summary.step_time);
  const auto fact = [&](const char* key) {
    return plan.facts.contains(key) ? plan.facts.at(key) : std::string("plan");
  };
  GoodputReport report;
  report.model = fact("model");
  report.layout = fact("layout");
  report.cluster = cluster.name;
  report.ranks = plan.mesh.ranks();
  report.nodes = nodes_of(report.ranks, cluster);
  report.wall = flags.days * kDay;
  report.checkpoint_bytes = checkpoint_bytes(plan);
  report.tokens_per_step = summary.tokens_per_second * step;
  report.step = step_bill(timeline, summary, cluster);
  report.idle_watts = idle_watts(report.ranks, cluster);
  report.dollars_per_gpu_hour = cluster.operation.dollars_per_gpu_hour;
  const auto run = training_run(step, report.checkpoint_bytes, report.ranks, cluster);
  if (!run) throw RunError("a step takes no time, so that no run can be made of it");
  report.run = *run;
  report.node_mtbf = cluster.operation.failures->node_mtbf;

  const Seconds asked_interval = flags.every.empty() ? 0 : parse_duration("--checkpoint-every", flags.every);
  if (!flags.every.empty() && asked_interval == 0) throw InputError("--checkpoint-every", "expected more than no time");
  const uint64_t asked = flags.every.empty() ? 0 : steps_of(asked_interval, step);
  const uint64_t best = report.node_mtbf > 0 ? best_goodput(report.run, failure_gaps(kGaps, flags.seed)).every : asked;
  if (!flags.failures.empty())
    run_given(flags, cluster, asked ? asked : best, report);
  else
    run_by_chance(flags, best, asked, report);
  return report;
}

int run(const Flags& flags) {
  const Plan plan = plan_of(flags.file, flags.plan);
  Cluster cluster = cluster_of(plan, flags.plan.cluster, flags.device);
  set_failures(flags, cluster);
  const SimulationResult result = simulate(plan, cluster, flags.simulation.options(plan, cluster));
  if (!result.error.empty()) throw RunError(result.error);
  const GoodputReport report = report_of(flags, plan, cluster, result.timeline);
  std::printf("%s", flags.json ? (to_json(report).dump(2) + "\n").c_str() : to_text(report).c_str());
  return kGood;
}

}  // namespace

void add_goodput_command(Command& app, int& exit_code) {
  auto flags = std::make_shared<Flags>();
  Command* command = add_command(
      app, "goodput", "Days of training with failures: the best checkpoint interval, and what they cost",
      "pgram goodput --model llama-3.1-405b --cluster dgx-h100:2048 --layout tp8.pp16.dp128 --global-batch 2048 --seq "
      "8192 --days 54\n  pgram goodput plan.json --fail 3h@rank17 --checkpoint-every 30m",
      exit_code, [=] { return run(*flags); });
  command->add_option("FILE", flags->file, "Plan file; or describe the plan by --model and so on");
  flags->plan.add_to(*command);
  command->add_option("--device", flags->device, "Device file to use instead of the cluster's");
  flags->simulation.add_to(*command);
  command->add_option("--days", flags->days, "How long the run is")->check(Range(1e-3, 3653.0))->capture_default_str();
  command->add_option("--checkpoint-every", flags->every,
                      "Training time between checkpoints: 90s, 30m, 2h (default: the best)");
  command->add_option("--fail", flags->failures,
                      "A rank is lost: TIME@RANK, 3h@rank17, repeatable; then no failures come by chance");
  command->add_option("--node-mtbf", flags->node_mtbf,
                      "Mean time between failures of a node, 6330h (default: as the cluster file says)");
  command->add_option("--restart", flags->restart,
                      "From a failure until the checkpoint can be read, 10m (default: as the cluster file says)");
  command
      ->add_option("--checkpoint-gb-per-s", flags->write_speed,
                   "What a node writes and reads of a checkpoint (default: as the cluster file says)")
      ->check(Range(1e-3, 1e6));
  command->add_option("--runs", flags->runs, "Runs to take the mean of")
      ->check(Range(2u, 65536u))
      ->capture_default_str();
  command->add_option("--seed", flags->seed, "Of the failures")->capture_default_str();
  command->add_flag("--json", flags->json, "Machine-readable");
}

}  // namespace pgram::cli
