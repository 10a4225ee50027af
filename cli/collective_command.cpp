// pgram collective: what a collective takes on a cluster, as nccl-tests prints it, and its steps as a timeline.
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "cli/collective_sizes.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "core/cluster/cluster.h"
#include "sim/collectives/timing.h"
#include "sim/collectives/trace.h"

namespace pgram::cli {
namespace {

struct Flags {
  std::string collective, cluster, sizes = "1K:8G", algorithm, protocol, network, timeline;
  uint32_t gpus = 0, channels = 0, chunks = 0;
  bool json = false;
};

enum class Level : uint8_t { analytic, flow, step };

constexpr const char* kLevels[] = {"analytic", "flow", "step"};

/// Of a run step by step.
struct Steps {
  uint32_t steps = 0, chunks = 1, channels = 1;
  uint64_t messages = 0;
  sim::FlowNetwork::Statistics rates;
};

struct Row {
  Bytes bytes = 0;
  CollectiveCost cost;
  Seconds time = 0;
  std::optional<Steps> steps;
  double algorithm_gb() const { return static_cast<double>(bytes) / time / 1e9; }
};

Level level_of(const Flags& flags) {
  const bool wants_steps = !flags.timeline.empty() || flags.channels > 0 || flags.chunks > 0;
  if (flags.network.empty()) return wants_steps ? Level::step : Level::flow;
  if (flags.network == "step") return Level::step;
  if (flags.network != "analytic" && flags.network != "flow")
    throw InputError("--network", "expected analytic, flow or step, got '" + flags.network.substr(0, 40) + "'");
  if (wants_steps) throw InputError("--network", "--timeline, --channels and --chunks are for 'step'");
  return flags.network == "flow" ? Level::flow : Level::analytic;
}

class Asked {
 public:
  explicit Asked(const Flags& flags)
      : flags_(flags),
        collective_(parse_collective(flags.collective)),
        cluster_(find_cluster(flags.cluster, flags.gpus)),
        level_(level_of(flags)),
        sizes_(parse_sizes(flags.sizes)) {
    if (!flags.algorithm.empty()) options_.algorithm = parse_algorithm(flags.algorithm);
    if (!flags.protocol.empty()) options_.protocol = parse_protocol(flags.protocol);
    if (!flags.timeline.empty() && sizes_.size() != 1)
      throw InputError("--timeline", "shows one size, for example --sizes 1M; got " + std::to_string(sizes_.size()));
    const uint32_t count = flags.gpus > 0 ? flags.gpus : cluster_.devices;
    if (count > cluster_.devices)
      throw InputError("--gpus", "expected at most " + std::to_string(cluster_.devices) + ", the devices of " +
                                     cluster_.name + "; got " + std::to_string(count));
    if (count < 2) throw InputError("--gpus", "a collective needs at least 2 devices");
    group_.resize(count);
    std::iota(group_.begin(), group_.end(), 0u);
  }

  /// False: interrupted.
  bool run() {
    Progress progress("collective");
    std::stop_token stop;
    if (level_ == Level::step) stop = stop_on_interrupt();
    for (size_t i = 0; i < sizes_.size(); ++i) {
      Row row;
      row.bytes = sizes_[i];
      row.cost = choose_collective(collective_, row.bytes, group_, cluster_, options_);
      const auto go_on = [&](double share) {
        progress.show((static_cast<double>(i) + share) / static_cast<double>(sizes_.size()));
        return !stop.stop_requested();
      };
      if (!go_on(0)) return false;
      if (!time(row, go_on)) return false;
      rows_.push_back(std::move(row));
    }
    return true;
  }

  void print_text() const {
    std::printf("%s over %zu x %s (%s), network %s\n", name_of(collective_), group_.size(),
                cluster_.device.name.c_str(), cluster_.name.c_str(), kLevels[static_cast<size_t>(level_)]);
    std::printf("%14s %14s %-16s %-8s %4s %12s %10s %10s\n", "size", "count", "algorithm", "protocol", "ch", "time",
                "algbw", "busbw");
    std::printf("%14s %14s %-16s %-8s %4s %12s %10s %10s\n", "(B)", "(float)", "", "", "", "(us)", "(GB/s)", "(GB/s)");
    for (const Row& row : rows_) {
      std::printf("%14lu %14lu %-16s %-8s %4u %12.2f %10.2f %10.2f\n", static_cast<unsigned long>(row.bytes),
                  static_cast<unsigned long>(count(row)), name_of(row.cost.algorithm), name_of(row.cost.protocol),
                  row.cost.channels, row.time * 1e6, row.algorithm_gb(), bus_gb(row));
    }
    if (level_ == Level::step && !rows_.empty()) print_steps();
  }

  void print_json() const {
    nlohmann::ordered_json rows = nlohmann::ordered_json::array();
    for (const Row& row : rows_) {
      nlohmann::ordered_json out{{"bytes", row.bytes},
                                 {"count", count(row)},
                                 {"algorithm", name_of(row.cost.algorithm)},
                                 {"protocol", name_of(row.cost.protocol)},
                                 {"channels", row.cost.channels},
                                 {"time_us", row.time * 1e6},
                                 {"algbw_gb_per_s", row.algorithm_gb()},
                                 {"busbw_gb_per_s", bus_gb(row)}};
      if (row.steps) {
        out["steps"] = row.steps->steps;
        out["rings"] = row.steps->channels;
        out["chunks"] = row.steps->chunks;
        out["messages"] = row.steps->messages;
        out["rates"] = {{"dates", row.steps->rates.changes},
                        {"flows_touched", row.steps->rates.touched},
                        {"flows_changed", row.steps->rates.changed}};
      }
      rows.push_back(std::move(out));
    }
    const nlohmann::ordered_json out{{"collective", name_of(collective_)},
                                     {"cluster", cluster_.name},
                                     {"device", cluster_.device.name},
                                     {"devices", group_.size()},
                                     {"network", kLevels[static_cast<size_t>(level_)]},
                                     {"rows", std::move(rows)}};
    std::printf("%s\n", out.dump(2).c_str());
  }

 private:
  bool time(Row& row, const std::function<bool(double)>& go_on) {
    if (level_ == Level::step) return time_steps(row, go_on);
    row.time = row.cost.time(row.bytes);
    if (level_ == Level::flow)
      row.time = sim::collective_flow(collective_, row.cost.algorithm, row.cost.protocol, row.bytes, group_, cluster_)
                     .time(row.bytes, cluster_);
    return true;
  }

  bool time_steps(Row& row, const std::function<bool(double)>& go_on) {
    const CollectiveCost& cost = row.cost;
    sim::StepOptions options{flags_.channels, flags_.chunks};
    if (options.chunks == 0)
      options.chunks = sim::default_chunks(collective_, cost.algorithm, cost.protocol, row.bytes, group_, cluster_);
    const sim::StepProgram program =
        sim::make_steps(collective_, cost.algorithm, sim::GroupNodes::of(group_, cluster_), options);
    const sim::StepTimes times = sim::step_times(program, cost.protocol, row.bytes, group_, cluster_, go_on);
    if (times.stopped) return false;
    row.time = times.time;
    row.steps = Steps{program.steps, program.chunks, program.channels, program.messages(), times.statistics};
    if (!flags_.timeline.empty())
      write_timeline(sim::step_timeline(program, times, cost.protocol, row.bytes, cluster_), flags_.timeline);
    return true;
  }

  uint64_t count(const Row& row) const {
    const bool parts = collective_ == Collective::all_gather || collective_ == Collective::reduce_scatter ||
                       collective_ == Collective::all_to_all;
    return row.bytes / 4 / (parts ? group_.size() : 1);
  }
  double bus_gb(const Row& row) const {
    return row.algorithm_gb() * bus_factor(collective_, static_cast<uint32_t>(group_.size()));
  }

  void print_steps() const {
    Steps sum;
    for (const Row& row : rows_) {
      sum.messages += row.steps->messages;
      sum.rates.changes += row.steps->rates.changes;
      sum.rates.touched += row.steps->rates.touched;
      sum.rates.changed += row.steps->rates.changed;
    }
    const auto many = [](uint32_t count, const char* what) {
      return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
    };
    const Steps& last = *rows_.back().steps;
    std::printf("last row: %s, %s, %s, %s messages\n", many(last.steps, "step").c_str(),
                many(last.channels, "channel").c_str(), many(last.chunks, "chunk").c_str(),
                format_count(last.messages).c_str());
    std::printf("all rows: %s messages; rates worked out at %s dates, %s flows looked at, %s rates changed\n",
                format_count(sum.messages).c_str(), format_count(sum.rates.changes).c_str(),
                format_count(sum.rates.touched).c_str(), format_count(sum.rates.changed).c_str());
  }

  const Flags& flags_;
  Collective collective_;
  Cluster cluster_;
  Level level_;
  std::vector<Bytes> sizes_;
  CollectiveOptions options_;
  std::vector<uint32_t> group_;
  std::vector<Row> rows_;
};

int run(const Flags& flags) {
  Asked asked(flags);
  const bool complete = asked.run();
  if (flags.json) {
    asked.print_json();
  } else {
    asked.print_text();
  }
  if (!complete) return kFailed;
  if (!flags.timeline.empty() && !flags.json)
    std::printf("wrote %s; next: pgram gui %s\n", flags.timeline.c_str(), flags.timeline.c_str());
  return kGood;
}

}  // namespace

void add_collective_command(Command& app, int& exit_code) {
  auto flags = std::make_shared<Flags>();
  Command* command = add_command(app, "collective", "What a collective takes, by size; its steps as a timeline",
                                 "pgram collective all_reduce --cluster dgx-h100 --sizes 1K:8G\n  pgram collective "
                                 "all_reduce --cluster dgx-h100 --algorithm ring --sizes 1M --timeline ring.timeline",
                                 exit_code, [=] { return run(*flags); });
  command
      ->add_option("COLLECTIVE", flags->collective,
                   "all_reduce, reduce_scatter, all_gather, broadcast, reduce, all_to_all or send_recv")
      ->required();
  command->add_option("--cluster", flags->cluster, "Name or file of the cluster")->required();
  command->add_option("--sizes", flags->sizes, "Bytes as nccl-tests counts them: FIRST:LAST[:FACTOR] or a list")
      ->capture_default_str();
  command->add_option("--gpus", flags->gpus, "The first so many devices (all of the cluster)")
      ->check(Range(1u, 1u << 18));
  command->add_option("--algorithm", flags->algorithm,
                      "ring, tree, halving_doubling, direct, nvls, nvls_tree, hierarchical or pat (NCCL's choice)");
  command->add_option("--protocol", flags->protocol, "ll, ll128 or simple (NCCL's choice)");
  command->add_option("--network", flags->network,
                      "analytic (alone, by formula), flow (one flow over the links) or step (every message)  [flow]");
  command->add_option("--channels", flags->channels, "Step: rings or pairs of trees, each over other NICs")
      ->check(Range(1u, sim::kMostChannels));
  command->add_option("--chunks", flags->chunks, "Step: parts that follow one another")
      ->check(Range(1u, sim::kMostChunks));
  command->add_option("--timeline", flags->timeline, "Step: write every message of one size into this timeline");
  command->add_flag("--json", flags->json, "Machine-readable");
}

}  // namespace pgram::cli
