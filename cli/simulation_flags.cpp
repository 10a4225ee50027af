#include "cli/simulation_flags.h"

#include "sim/option_text.h"

namespace pgram::cli {

void SimulationFlags::add_to(Command& command) {
  command.add_option("--engine", engine, "auto, evaluator or events")->capture_default_str();
  command
      .add_option("--network", network,
                  "flow: transfers share the links of their routes max-min fairly; analytic: each as if alone; step: "
                  "every message of a collective is a flow, and no rank is folded (at most " +
                      std::to_string(kMostStepRanks) + ")")
      ->capture_default_str();
  command.add_option("--algorithm", algorithm, "Of collectives: ring, tree, nvls ... (default: as NCCL chooses)");
  command.add_option("--protocol", protocol, "Of collectives: ll, ll128 or simple (default: as NCCL chooses)");
  command.add_option(
      "--collective-share", collective_share,
      "Share of a GPU's compute that a collective on it takes, 0 to 0.95 (default: its channels over the "
      "GPU's SMs)");
  command.add_option("--slow", slow, "Make a rank slower: RANK:FACTOR, repeatable");
  command.add_option("--jitter", jitter, "Compute tasks take by chance longer or shorter: SIGMA[:SEED], log-normal");
  command.add_option("--link", links, "A link gets slower: FROM>TO:FACTOR@TIME, 'down' for 0; repeatable");
  command.add_option("--launch-window", window, "Tasks a rank may have launched and unfinished (events engine)")
      ->check(Range(1u, 1u << 24))
      ->capture_default_str();
  command.add_flag("--unfold", unfold, "Simulate every rank, even those that behave alike");
}

SimulationOptions SimulationFlags::options(const Plan& plan, const Cluster& cluster) const {
  SimulationOptions options;
  options.engine = parse_engine(engine);
  options.network = parse_network_level(network);
  options.unfold = unfold;
  options.launch_window = window;
  if (!algorithm.empty()) options.collectives.algorithm = parse_algorithm(algorithm);
  if (!protocol.empty()) options.collectives.protocol = parse_protocol(protocol);
  if (!collective_share.empty()) options.collective_share = parse_collective_share(collective_share);
  for (const std::string& text : slow) options.slow_ranks.push_back(parse_slow_rank(text, plan.mesh.ranks()));
  if (!jitter.empty()) options.jitter = parse_jitter(jitter);
  for (const std::string& text : links) options.link_changes.push_back(parse_link_change(text, cluster));
  return options;
}

}  // namespace pgram::cli
