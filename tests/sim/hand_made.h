// Plans made by hand, for the simulator's tests.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "core/cluster/cluster.h"
#include "core/cluster/fabric.h"
#include "core/plan/plan.h"
#include "core/planner/planner.h"
#include "sim/simulate.h"

namespace pgram::test {

/// Options under which one opaque F takes `f`, one B takes `b`, and a message arrives `c` after it was sent.
inline SimulationOptions laws(Picoseconds f, Picoseconds b, Picoseconds c, Engine engine = Engine::automatic) {
  SimulationOptions options;
  options.engine = engine;
  options.laws.enabled = true;
  options.laws.cost = {f, b, 0, 0};
  options.laws.latency = c;
  return options;
}

/// A cluster that is never asked for speeds: laws mode takes costs and latency from the options.
inline Cluster unused_cluster() {
  return Cluster();
}

/// One-op bodies on a plan of `roles` roles; calls are added one by one, without any data: order comes from the
/// streams.
class PlanMaker {
 public:
  explicit PlanMaker(uint32_t roles, uint32_t tp = 1) {
    plan.mesh.size = {tp, 1, roles};
    plan.programs.resize(roles);
    plan.attributes.resize(4);
    for (uint8_t kind = 0; kind < 4; ++kind) plan.attributes[kind].opaque_kind = kind;
  }

  uint16_t comm(Communicator c) {
    plan.comms.push_back(std::move(c));
    return static_cast<uint16_t>(plan.comms.size() - 1);
  }
  uint16_t channel(uint16_t source, uint16_t target) {
    Communicator c;
    c.name = "f" + std::to_string(source) + ">" + std::to_string(target);
    c.axes = kPp;
    c.directed = true;
    c.source = source;
    c.target = target;
    return comm(c);
  }

  uint16_t body(const std::string& name, Op op) {
    Body b;
    b.name = name;
    b.ops.push_back(op);
    plan.bodies.push_back(b);
    return static_cast<uint16_t>(plan.bodies.size() - 1);
  }
  /// opaque_kind 0 F, 1 B.
  uint16_t compute(const std::string& name, uint8_t opaque_kind) {
    Op op;
    op.attributes = opaque_kind;
    return body(name, op);
  }
  uint16_t transfer(const std::string& name, Kernel kernel, uint16_t comm, Stream stream, Bytes bytes = 0) {
    Op op;
    op.kernel = kernel;
    op.comm = comm;
    op.stream = stream;
    op.bytes = bytes;
    return body(name, op);
  }

  /// Appends a call; the events are waited for before its op, and recorded after it.
  void call(uint32_t role, uint16_t body, std::vector<uint16_t> waits = {}, std::vector<uint16_t> records = {}) {
    Program& program = plan.programs[role];
    Call c;
    c.body = body;
    c.first_sync = static_cast<uint32_t>(program.syncs.size());
    for (uint16_t event : waits) program.syncs.push_back({0, event});
    for (uint16_t event : records) program.syncs.push_back({0, static_cast<uint16_t>(event | Sync::kRecord)});
    for (const auto* events : {&waits, &records}) {
      for (uint16_t event : *events) program.num_events = std::max(program.num_events, event + 1u);
    }
    c.num_syncs = static_cast<uint16_t>(waits.size() + records.size());
    program.calls.push_back(c);
  }

  Plan plan;
};

/// `nodes` nodes of `per_node` devices with `nics` NICs, every wire of 1 B/s but the inside ones, of 10.
inline Cluster unit_cluster(uint32_t nodes, uint32_t per_node, uint32_t nics, double oversubscription = 1) {
  Fabric fabric;
  fabric.nodes = nodes;
  fabric.devices_per_node = per_node;
  fabric.nics = nics;
  fabric.devices_per_pcie_switch = per_node / nics;
  fabric.nodes_per_leaf = 2;
  fabric.oversubscription = oversubscription;
  fabric.inside = {"nvlink", 10, 0};
  fabric.pcie = {"pcie", 4, 0};
  fabric.between = {"infiniband", 1, 0};
  Cluster cluster;
  build_topology(fabric, cluster);
  cluster.name = "unit";
  cluster.device.fp32_flops_per_second = 1;
  cluster.device.memory_bytes_per_second = 1e9;
  cluster.device.matmul_efficiency = cluster.device.attention_efficiency = cluster.device.memory_efficiency = 1;
  return cluster;
}

/// Start to end of the span of a task; fails the test if there is none.
inline Span span_of(const SimulationResult& result, Task task) {
  for (const Span& span : result.timeline.spans) {
    if (span.rank == task.rank && span.call == task.call && span.op == task.op) return span;
  }
  ADD_FAILURE() << "no span for " << to_text(*result.timeline.plan, task);
  return {};
}

}  // namespace pgram::test
