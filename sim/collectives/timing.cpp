#include "sim/collectives/timing.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <unordered_map>

#include "core/base/errors.h"
#include "core/cost/closed_forms.h"
#include "core/cost/nccl.h"
#include "sim/collectives/routes.h"
#include "sim/collectives/uses.h"

namespace pgram::sim {

namespace {

constexpr double kPiece = 64 << 10;  // bytes of a chunk on a channel, where NCCL's model applies
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// How the group lies, every link being its own: `shape_of` counts on sharing.
GroupShape alone(std::span<const uint32_t> group, const Cluster& cluster) {
  GroupShape shape = shape_of(group, cluster);
  if (cluster.device.is_cpu) return shape;
  std::vector<uint32_t> members(group.begin(), group.end()), links;
  std::sort(members.begin(), members.end());
  shape.inside = shape.between = kInfinity;
  for (size_t i = 0; i < members.size(); ++i) {
    const uint32_t from = members[i], to = members[(i + 1) % members.size()];
    double& narrowest = cluster.node_of(from) == cluster.node_of(to) ? shape.inside : shape.between;
    cluster.route(from, to, links);
    for (const uint32_t link : links) narrowest = std::min(narrowest, cluster.topology->link(link).bytes_per_second);
  }
  return shape;
}

bool nccl_models(Collective collective, Algorithm algorithm, const GroupShape& shape, const Cluster& cluster) {
  return cluster.nccl && (shape.nodes == 1 || cluster.nccl->several_nodes) && nccl_has(collective, algorithm);
}

/// Latency and bandwidth with the links to itself; nullopt where the closed forms have none.
std::optional<CollectiveCost> alone_cost(Collective collective, Algorithm algorithm, Protocol protocol, Bytes bytes,
                                         const GroupShape& shape, const Cluster& cluster) {
  if (nccl_models(collective, algorithm, shape, cluster)) {
    auto cost = nccl_cost(collective, algorithm, protocol, bytes, shape, *cluster.nccl);
    if (!cost)
      throw InputError("collective", std::string(name_of(collective)) + " by " + name_of(algorithm) +
                                         " with protocol " + name_of(protocol) + " is nothing that NCCL does here");
    return cost;
  }
  auto cost = closed_form(collective, algorithm, bytes, shape, true);
  if (cost && cluster.nccl && protocol == Protocol::ll) cost->bytes_per_second /= 2;
  return cost;
}

/// NCCL starts its kernel and sends; see collective_cost.
std::optional<Seconds> exchange_latency(Collective collective, Protocol protocol, const GroupShape& shape,
                                        const Cluster& cluster) {
  const bool exchange = collective == Collective::all_to_all || collective == Collective::send_recv;
  if (!exchange || !cluster.nccl || (shape.nodes > 1 && !cluster.nccl->several_nodes)) return std::nullopt;
  return nccl_exchange_latency(protocol, *cluster.nccl, shape.nodes > 1);
}

bool pipelined(Collective collective, Algorithm algorithm) {
  const bool rooted = collective == Collective::broadcast || collective == Collective::reduce;
  return algorithm == Algorithm::tree || algorithm == Algorithm::nvls || algorithm == Algorithm::nvls_tree ||
         (algorithm == Algorithm::ring && rooted);
}

/// Instead of the links' own latencies, and beside their bandwidths.
struct Port {
  Seconds latency = 0;
  double bytes_per_second = kInfinity;  ///< of a member, on the wire
};

std::optional<Port> port_of(const StepProgram& program, Protocol protocol, Bytes bytes, const GroupNodes& nodes,
                            std::span<const uint32_t> group, const Cluster& cluster) {
  const GroupShape shape = alone(group, cluster);
  if (const auto latency = exchange_latency(program.collective, protocol, shape, cluster))
    return Port{*latency / program.steps, kInfinity};
  if (!nccl_models(program.collective, program.algorithm, shape, cluster)) return std::nullopt;
  const auto cost = alone_cost(program.collective, program.algorithm, protocol, bytes, shape, cluster);
  const std::vector<double> sent = program.sent();
  const double most = *std::max_element(sent.begin(), sent.begin() + program.members);
  const uint32_t steps =
      program.chunks == 1 ? program.steps
                          : make_steps(program.collective, program.algorithm, nodes, {program.asked_channels, 1}).steps;
  return Port{cost->latency / steps, most * cost->bytes_per_second * wire_bytes(protocol)};
}

/// Makes the links, and a route for each pair of places that sends.
class ProblemMaker {
 public:
  ProblemMaker(const StepProgram& program, std::span<const uint32_t> group, const GroupNodes& nodes,
               const Cluster& cluster, const std::optional<Port>& port, StepProblem& out)
      : program_(program),
        routes_(group, nodes, program.switches, cluster),
        cluster_(cluster),
        port_(port),
        problem_(out.fluid),
        cluster_link_(out.cluster_link),
        port_links_(program.members + program.switches, kNone) {}

  /// Without its latency: as `latency_route` comes before it.
  uint32_t route(const Transfer& t, bool without_latency) {
    const auto [found, is_new] = known_.try_emplace(uint64_t{t.source} << 32 | t.target, 0);
    if (!is_new) return found->second;
    const auto first = static_cast<uint32_t>(problem_.route_links.size());
    for (const uint32_t link : routes_.links(t.source, t.target)) {
      const auto [at, is_new_link] = links_.try_emplace(link, static_cast<uint32_t>(problem_.links.size()));
      if (is_new_link) {
        const Topology::LinkSpeed speed = cluster_.topology->link(link);
        add_link(link, {speed.bytes_per_second, port_ ? 0 : speed.latency});
      }
      problem_.route_links.push_back(at->second);
    }
    if (port_) problem_.route_links.push_back(port_link(t.source, without_latency));
    const auto count = static_cast<uint32_t>(problem_.route_links.size()) - first;
    problem_.routes.push_back({0, 0, first, count});
    return found->second = static_cast<uint32_t>(problem_.routes.size() - 1);
  }

  /// Of all messages alike.
  uint32_t latency_route() {
    if (latency_route_ != kNone) return latency_route_;
    add_link(kNoLink, {kNoLimit, port_->latency});
    problem_.route_links.push_back(static_cast<uint32_t>(problem_.links.size() - 1));
    problem_.routes.push_back({0, 0, static_cast<uint32_t>(problem_.route_links.size() - 1), 1});
    return latency_route_ = static_cast<uint32_t>(problem_.routes.size() - 1);
  }

 private:
  static constexpr uint32_t kNone = ~0u;

  void add_link(uint32_t cluster_link, const FluidLink& link) {
    problem_.links.push_back(link);
    cluster_link_.push_back(cluster_link);
  }

  uint32_t port_link(uint32_t place, bool without_latency) {
    uint32_t& link = port_links_[place];
    if (link == kNone) {
      link = static_cast<uint32_t>(problem_.links.size());
      const bool limited = !routes_.is_switch(place) && port_->bytes_per_second < kNoLimit;
      add_link(kNoLink, {limited ? port_->bytes_per_second : kNoLimit, without_latency ? 0 : port_->latency});
    }
    return link;
  }

  const StepProgram& program_;
  PlaceRoutes routes_;
  const Cluster& cluster_;
  const std::optional<Port>& port_;
  FluidProblem& problem_;
  std::vector<uint32_t>& cluster_link_;
  std::vector<uint32_t> port_links_;
  std::unordered_map<uint64_t, uint32_t> known_;
  std::unordered_map<uint32_t, uint32_t> links_;
  uint32_t latency_route_ = kNone;
};

}  // namespace

CollectiveFlow collective_flow(Collective collective, Algorithm algorithm, Protocol protocol, Bytes bytes,
                               std::span<const uint32_t> group, const Cluster& cluster) {
  CollectiveFlow flow;
  const bool on_nccl = cluster.nccl.has_value();
  flow.uses = collective_uses(collective, algorithm, group, cluster, on_nccl ? wire_bytes(protocol) : 1);
  const GroupShape shape = alone(group, cluster);
  const auto cost = alone_cost(collective, algorithm, protocol, bytes, shape, cluster);
  if (!cost)
    throw InputError("collective", std::string(name_of(collective)) + " by " + name_of(algorithm) + " among " +
                                       std::to_string(group.size()) +
                                       " has no closed form: take the network level 'step'");
  flow.latency = exchange_latency(collective, protocol, shape, cluster).value_or(cost->latency);
  flow.limit = cost->bytes_per_second;
  return flow;
}

Seconds CollectiveFlow::time(Bytes bytes, const Cluster& cluster) const {
  double rate = limit;
  for (const LinkUse& use : uses) rate = std::min(rate, cluster.topology->link(use.link).bytes_per_second / use.weight);
  return latency + static_cast<double>(bytes) / rate;
}

uint32_t default_chunks(Collective collective, Algorithm algorithm, Protocol protocol, Bytes bytes,
                        std::span<const uint32_t> group, const Cluster& cluster) {
  if (!pipelined(collective, algorithm)) return 1;
  const GroupShape shape = alone(group, cluster);
  const GroupNodes nodes = GroupNodes::of(group, cluster);
  const StepProgram program = make_steps(collective, algorithm, nodes);
  const double size = static_cast<double>(bytes), pieces = program.channels;
  const double most = std::clamp(static_cast<double>(1u << 20) / static_cast<double>(program.messages()), 1.0, 128.0);
  if (nccl_models(collective, algorithm, shape, cluster))
    return static_cast<uint32_t>(std::clamp(size / pieces / kPiece, 1.0, most));
  const auto cost = alone_cost(collective, algorithm, protocol, bytes, shape, cluster);
  const double step = std::max(shape.inside_latency, shape.between_latency);
  const double best = cost && step > 0 ? std::sqrt((program.steps - 1) * size / cost->bytes_per_second / step) : most;
  return static_cast<uint32_t>(std::clamp(best, 1.0, most));
}

StepProblem step_problem(const StepProgram& program, Protocol protocol, Bytes bytes, std::span<const uint32_t> group,
                         const Cluster& cluster) {
  check_group(group, cluster);
  const GroupNodes nodes = GroupNodes::of(group, cluster);
  const std::optional<Port> port = port_of(program, protocol, bytes, nodes, group, cluster);
  StepProblem out;
  FluidProblem& problem = out.fluid;
  problem.hosts = {1};
  ProblemMaker maker(program, group, nodes, cluster, port, out);
  out.split = port && port->latency > 0 && program.chunks > 1;
  out.task_of.reserve(program.transfers.size());
  problem.tasks.reserve(program.transfers.size() * (out.split ? 2 : 1));
  problem.predecessors.reserve(program.predecessors.size() + problem.tasks.capacity());
  const double block = static_cast<double>(bytes) / program.blocks * (cluster.nccl ? wire_bytes(protocol) : 1);
  const auto add = [&](bool is_message, uint32_t place, double work) {
    FluidTask task;
    task.is_message = is_message, task.place = place, task.work = work;
    task.first_predecessor = static_cast<uint32_t>(problem.predecessors.size());
    problem.tasks.push_back(task);
  };
  const auto need = [&](uint32_t task) {
    problem.predecessors.push_back(task);
    ++problem.tasks.back().num_predecessors;
  };
  for (const Transfer& t : program.transfers) {
    const bool has_latency_task = out.split && !t.joins();
    if (t.joins()) {
      add(false, 0, 0);
    } else if (has_latency_task) {
      add(true, maker.latency_route(), 0);
    } else {
      add(true, maker.route(t, false), block * t.count);
    }
    for (const uint32_t p : program.predecessors_of(t)) need(out.task_of[p]);
    if (has_latency_task) {
      const auto latency = static_cast<uint32_t>(problem.tasks.size() - 1);
      add(true, maker.route(t, true), block * t.count);
      need(latency);
    }
    if (t.before != kNoTransfer) need(out.task_of[t.before]);
    out.task_of.push_back(static_cast<uint32_t>(problem.tasks.size() - 1));
  }
  return out;
}

StepTimes step_times(const StepProgram& program, Protocol protocol, Bytes bytes, std::span<const uint32_t> group,
                     const Cluster& cluster, const std::function<bool(double)>& go_on) {
  const StepProblem problem = step_problem(program, protocol, bytes, group, cluster);
  const double tasks = static_cast<double>(problem.fluid.tasks.size());
  std::function<bool(size_t)> report;
  if (go_on) report = [&](size_t done) { return go_on(static_cast<double>(done) / tasks); };
  const FluidTimes times = replay(problem.fluid, report);
  StepTimes out;
  out.time = times.makespan;
  out.stopped = times.num_finished < problem.fluid.tasks.size();
  out.statistics = times.statistics;
  out.start.reserve(program.transfers.size());
  out.finish.reserve(program.transfers.size());
  for (size_t i = 0; i < program.transfers.size(); ++i) {
    const uint32_t task = problem.task_of[i];
    const bool has_latency_task = problem.split && !program.transfers[i].joins();
    double start = times.start[has_latency_task ? task - 1 : task];
    // While the one before is on the wire, only the latency passes.
    if (has_latency_task && program.transfers[i].before != kNoTransfer)
      start = std::max(start, out.finish[program.transfers[i].before]);
    out.start.push_back(start);
    out.finish.push_back(times.finish[task]);
  }
  return out;
}

}  // namespace pgram::sim
