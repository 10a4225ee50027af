#include "sim/step_runs.h"

#include <algorithm>
#include <limits>

#include "core/plan/plan.h"
#include "sim/collectives/timing.h"
#include "sim/traffic.h"

namespace pgram::sim {

StepRuns::StepRuns(const PlanIndex& index, const Costs& costs, const Quotient& unfolded,
                   std::span<const Cluster> epochs)
    : epochs_(epochs), places_(unfolded.meeting_size.size()) {
  const Plan& plan = index.plan();
  const Groups& groups = index.groups();
  const uint32_t links = epochs[0].topology->num_links();
  const size_t comms = plan.comms.size();
  for (uint32_t group = 0; group < groups.size(); ++group) {
    const uint16_t comm = groups.comm(group);
    if (plan.comms[comm].directed) continue;
    Place& place = places_[unfolded.meeting[groups.rank(group) * comms + comm]];
    const std::span<const uint32_t> members = groups.members(group);
    place.members.assign(members.begin(), members.end());
    place.lanes = &costs.lanes(costs.colour(group));
    place.first_port = links + ports_;
    if (epochs[0].nccl && !place.lanes->empty()) ports_ += static_cast<uint32_t>(members.size());
  }
}

// --- programs on their links

const StepRuns::Wired& StepRuns::wired_for(uint32_t place, uint32_t lane, double bytes) {
  const auto [at, is_new] = wired_.try_emplace({epoch_, place, lane, static_cast<uint64_t>(bytes)});
  if (is_new) at->second = wire(places_[place], (*places_[place].lanes)[lane], bytes);
  return at->second;
}

/// The messages stay those of the whole cluster when a link goes down; only their ways are others.
StepRuns::Wired StepRuns::wire(const Place& place, const Lane& lane, double bytes) {
  const Cluster& whole = epochs_[0];
  const Collective collective = collective_of(lane.kernel);
  const Bytes size = static_cast<Bytes>(bytes);
  const GroupNodes nodes = GroupNodes::of(place.members, whole);
  const uint32_t chunks = default_chunks(collective, lane.algorithm, lane.protocol, size, place.members, whole);
  const StepProgram program = make_steps(collective, lane.algorithm, nodes, {0, chunks});
  const StepProblem problem = step_problem(program, lane.protocol, size, place.members, epochs_[epoch_]);
  const FluidProblem& fluid = problem.fluid;

  std::vector<uint32_t> key{static_cast<uint32_t>(collective), static_cast<uint32_t>(lane.algorithm),
                            static_cast<uint32_t>(lane.protocol), chunks};
  for (const auto* lists : {&nodes.nodes, &nodes.rings}) {
    key.push_back(static_cast<uint32_t>(lists->size()));
    for (const std::vector<uint32_t>& list : *lists) {
      key.push_back(static_cast<uint32_t>(list.size()));
      key.insert(key.end(), list.begin(), list.end());
    }
  }
  Wired wired;
  wired.graph = &graph_of(key, program, problem, bytes);
  std::vector<uint32_t> link(fluid.links.size(), kNone);
  for (size_t i = 0; i < link.size(); ++i) {
    if (problem.cluster_link[i] != kNoLink) {
      link[i] = problem.cluster_link[i];
    } else if (fluid.links[i].bytes_per_second < kNoLimit) {
      link[i] = place.first_port + static_cast<uint32_t>(wired.ports.size());
      wired.ports.push_back({link[i], fluid.links[i].bytes_per_second / kPicosecondsPerSecond});
    }
  }
  for (const FluidRoute& fluid_route : fluid.routes) {
    Route& route = wired.routes.emplace_back();
    route.first_use = static_cast<uint32_t>(wired.uses.size());
    Seconds latency = 0;
    for (uint32_t i = fluid_route.first; i < fluid_route.first + fluid_route.count; ++i) {
      const uint32_t at = fluid.route_links[i];
      latency += fluid.links[at].latency;
      if (link[at] != kNone) wired.uses.push_back({link[at], 1});
    }
    route.latency = to_picoseconds(latency);
    route.num_uses = static_cast<uint32_t>(wired.uses.size()) - route.first_use;
  }
  if (lane.algorithm == Algorithm::ring) return wired;
  // A pipeline has to fill, and then members are done at different times.
  const StepTimes times = step_times(program, lane.protocol, size, place.members, whole);
  wired.alone.resize(place.members.size());
  for (size_t i = 0; i < program.transfers.size(); ++i) {
    for (const uint32_t end : {program.transfers[i].source, program.transfers[i].target}) {
      if (end < wired.alone.size()) wired.alone[end] = std::max(wired.alone[end], to_picoseconds(times.finish[i]));
    }
  }
  return wired;
}

const StepRuns::Graph& StepRuns::graph_of(const std::vector<uint32_t>& key, const StepProgram& program,
                                          const StepProblem& problem, double bytes) {
  std::unique_ptr<Graph>& known = graphs_[key];
  if (known) return *known;
  known = std::make_unique<Graph>();
  Graph& graph = *known;
  const std::vector<FluidTask>& tasks = problem.fluid.tasks;
  graph.longest = program.steps;
  graph.steps.resize(tasks.size() + 1);
  for (size_t i = 0; i < tasks.size(); ++i) {
    if (tasks[i].is_message) graph.steps[i].route = tasks[i].place;
    graph.steps[i].weight = tasks[i].work / bytes;
    graph.missing.push_back(tasks[i].num_predecessors);
  }
  for (const uint32_t p : problem.fluid.predecessors) ++graph.steps[p + 1].first_successor;
  for (size_t i = 0; i < tasks.size(); ++i) graph.steps[i + 1].first_successor += graph.steps[i].first_successor;
  graph.successors.resize(problem.fluid.predecessors.size());
  std::vector<uint32_t> next;
  for (const Step& step : graph.steps) next.push_back(step.first_successor);
  for (uint32_t i = 0; i < tasks.size(); ++i) {
    for (uint32_t p = 0; p < tasks[i].num_predecessors; ++p)
      graph.successors[next[problem.fluid.predecessors[tasks[i].first_predecessor + p]]++] = i;
  }
  graph.of_member.resize(program.members);
  for (size_t i = 0; i < program.transfers.size(); ++i) {
    const Transfer& transfer = program.transfers[i];
    if (transfer.joins()) continue;
    Step& step = graph.steps[problem.task_of[i]];
    if (transfer.source < program.members) step.source = transfer.source;
    if (transfer.target < program.members) step.target = transfer.target;
    for (const uint32_t member : {step.source, step.target}) {
      if (member != kNone) ++graph.of_member[member];
    }
  }
  return graph;
}

void StepRuns::set_ports(Picoseconds now, const Wired& wired, FlowNetwork& network) {
  for (const auto& [link, capacity] : wired.ports) network.set_capacity(static_cast<double>(now), link, capacity);
}

// --- running

const StepRuns::Happened& StepRuns::start(Picoseconds now, uint32_t place, const TransferCost& transfer,
                                          Picoseconds hold, std::span<const uint32_t> tasks, FlowNetwork& network) {
  const Wired& wired = wired_for(place, transfer.lane, transfer.bytes);
  if (free_runs_.empty()) {
    free_runs_.push_back(static_cast<uint32_t>(runs_.size()));
    runs_.emplace_back();
  }
  const uint32_t index = free_runs_.back();
  free_runs_.pop_back();
  Run& run = runs_[index];
  run.place = place;
  run.lane = transfer.lane;
  run.bytes = transfer.bytes;
  run.wired = &wired;
  run.since = now;
  run.hold = hold;
  run.tasks.assign(tasks.begin(), tasks.end());
  run.missing = wired.graph->missing;
  run.messages = wired.graph->of_member;
  run.steps_left = run.missing.size();
  set_ports(now, wired, network);
  begin_event(place);
  for (uint32_t step = 0; step < wired.graph->missing.size(); ++step) {
    if (wired.graph->missing[step] == 0) go(index, step, network, now);
  }
  return settle(index, network, now);
}

const StepRuns::Happened& StepRuns::begin(Picoseconds now, uint32_t message, FlowNetwork& network) {
  const auto [run, step, flows] = messages_[message];
  begin_event(runs_[run].place);
  if (runs_[run].wired->graph->steps[step].weight > 0) {
    start_flow(message, network, now);
  } else {
    free_messages_.push_back(message);
    ended_.push_back(step);
  }
  return settle(run, network, now);
}

const StepRuns::Happened& StepRuns::end(Picoseconds now, uint32_t flow, FlowNetwork& network) {
  const uint32_t message = flow - static_cast<uint32_t>(places_.size());
  const auto [run, step, flows] = messages_[message];
  messages_[message].flows = false;
  free_messages_.push_back(message);
  ++num_messages_;
  begin_event(runs_[run].place);
  ended_.push_back(step);
  return settle(run, network, now);
}

void StepRuns::next_epoch(Picoseconds now, FlowNetwork& network) {
  ++epoch_;
  for (Run& run : runs_) {
    if (run.place == kNone) continue;
    run.wired = &wired_for(run.place, run.lane, run.bytes);
    set_ports(now, *run.wired, network);
  }
  for (uint32_t i = 0; i < messages_.size(); ++i) {
    if (!messages_[i].flows) continue;
    network.reroute(static_cast<double>(now), static_cast<uint32_t>(places_.size()) + i, uses(messages_[i]));
  }
}

void StepRuns::begin_event(uint32_t place) {
  happened_.place = place;
  happened_.waits.clear();
  happened_.ended.clear();
  happened_.over = false;
}

/// All that the step waits for has ended.
void StepRuns::go(uint32_t run, uint32_t index, FlowNetwork& network, Picoseconds now) {
  const Wired& wired = *runs_[run].wired;
  const Step& step = wired.graph->steps[index];
  const Picoseconds latency = step.route == kNone ? 0 : wired.routes[step.route].latency;
  if (latency == 0 && step.weight == 0) return ended_.push_back(index);
  if (free_messages_.empty()) {
    free_messages_.push_back(static_cast<uint32_t>(messages_.size()));
    messages_.emplace_back();
  }
  const uint32_t message = free_messages_.back();
  free_messages_.pop_back();
  messages_[message] = {run, index, false};
  if (latency > 0) {
    happened_.waits.push_back({message, latency});
  } else {
    start_flow(message, network, now);
  }
}

void StepRuns::start_flow(uint32_t index, FlowNetwork& network, Picoseconds now) {
  Message& message = messages_[index];
  message.flows = true;
  const Run& run = runs_[message.run];
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  network.start(static_cast<double>(now), static_cast<uint32_t>(places_.size()) + index,
                run.wired->graph->steps[message.step].weight * run.bytes, kInfinity, uses(message));
}

std::span<const LinkUse> StepRuns::uses(const Message& message) const {
  const Wired& wired = *runs_[message.run].wired;
  const Route& route = wired.routes[wired.graph->steps[message.step].route];
  return std::span(wired.uses).subspan(route.first_use, route.num_uses);
}

const StepRuns::Happened& StepRuns::settle(uint32_t index, FlowNetwork& network, Picoseconds now) {
  Run& run = runs_[index];
  const Graph& graph = *run.wired->graph;
  while (!ended_.empty()) {
    const uint32_t step = ended_.back();
    ended_.pop_back();
    --run.steps_left;
    for (uint32_t i = graph.steps[step].first_successor; i < graph.steps[step + 1].first_successor; ++i) {
      const uint32_t successor = graph.successors[i];
      if (--run.missing[successor] == 0) go(index, successor, network, now);
    }
    for (const uint32_t member : {graph.steps[step].source, graph.steps[step].target}) {
      if (member != kNone && --run.messages[member] == 0) end_at(run, member, now);
    }
  }
  if (run.steps_left > 0) return happened_;
  happened_.over = true;
  run.place = kNone;
  free_runs_.push_back(index);
  return happened_;
}

/// Times are whole picoseconds, so that a chain of steps may come late by one each without being held back.
void StepRuns::end_at(Run& run, uint32_t member, Picoseconds now) {
  const Picoseconds alone = run.wired->alone.empty() ? run.hold : run.wired->alone[member];
  const Picoseconds lost = now - run.since - alone;
  happened_.ended.push_back({run.tasks[member], lost > Picoseconds{run.wired->graph->longest} ? lost : 0});
}

}  // namespace pgram::sim
