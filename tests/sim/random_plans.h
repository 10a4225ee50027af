// Plans by chance: tiny models under random layouts on small clusters of several shapes.
#pragma once
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <utility>
#include <vector>

#include "core/cluster/cluster.h"
#include "core/cluster/fabric.h"
#include "core/layout/layout.h"
#include "core/planner/planner.h"
#include "sim/simulate.h"

namespace pgram::test {

struct RandomCase {
  Model model;
  Plan plan;
  Cluster cluster;
  std::string text;
};

class RandomCases {
 public:
  explicit RandomCases(uint32_t seed, PointToPoint p2p = PointToPoint::channels) : random_(seed), p2p_(p2p) {}

  uint32_t draw(uint32_t low, uint32_t high) { return std::uniform_int_distribution<uint32_t>(low, high)(random_); }
  template <typename T>
  T pick(std::vector<T> choices) {
    return choices[draw(0, static_cast<uint32_t>(choices.size()) - 1)];
  }

  RandomCase next() {
    Layout layout;
    layout.tp = pick<uint32_t>({1, 2, 4});
    layout.pp = draw(1, 4);
    layout.dp = pick<uint32_t>({1, 2, 3, 4});
    layout.sequence_parallel = layout.tp > 1 && draw(0, 1);
    layout.schedule = pick<std::string>({"gpipe", "1f1b"});
    if (layout.pp > 1) layout.p2p = p2p_;
    std::shuffle(layout.order.begin(), layout.order.end(), random_);
    Workload work;
    work.micro_batch = draw(1, 2);
    work.global_batch = layout.dp * work.micro_batch * draw(1, 6);
    work.sequence = 16;
    work.precision = pick<Precision>({Precision::fp32, Precision::bf16});
    RandomCase result;
    result.model = model(layout);
    result.plan = make_plan(result.model, layout, work);
    result.cluster = cluster(layout.ranks());
    result.text = to_text(layout);
    result.text += " " + layout.schedule + " order " + name_of(layout.order[0]) + name_of(layout.order[1]) +
                   name_of(layout.order[2]) + " on " + result.cluster.name;
    return result;
  }

 private:
  Model model(const Layout& layout) {
    Model m;
    m.name = "random";
    m.kind = "llama";
    m.layers = layout.pp + draw(0, 4);
    m.heads = 4 * draw(1, 2);
    m.kv_heads = 4;
    m.head_dim = 8;
    m.hidden = m.heads * m.head_dim;
    m.ffn = 4 * draw(8, 40);
    m.vocabulary = 4 * draw(20, 60);
    m.max_positions = 64;
    m.rotary_dims = m.head_dim;
    m.tied_embeddings = draw(0, 1);
    return m;
  }

  /// Nodes of 1 to 8 devices; leaves of 1 or 2 nodes under an oversubscribed spine, so that groups of one communicator
  /// differ in what they cross.
  Cluster cluster(uint64_t ranks) {
    Fabric fabric;
    fabric.devices_per_node = pick<uint32_t>({1, 2, 4, 8});
    fabric.nodes = static_cast<uint32_t>((ranks + fabric.devices_per_node - 1) / fabric.devices_per_node) + draw(0, 1);
    fabric.nics = fabric.devices_per_node;
    fabric.nodes_per_leaf = draw(1, 2);
    fabric.oversubscription = draw(1, 3);
    fabric.inside = {"nvlink", 3e11, 1e-6};
    fabric.pcie = {"pcie", 4e10, 1e-6};
    fabric.between = {"infiniband", 5e10, 5e-7};
    fabric.spine_latency = 7e-7;
    Cluster cluster;
    build_topology(fabric, cluster);
    cluster.name = std::to_string(fabric.nodes) + " nodes of " + std::to_string(fabric.devices_per_node);
    cluster.device.name = "test device";
    cluster.device.memory_bytes_per_second = 2e12;
    cluster.device.fp32_flops_per_second = 6e13;
    cluster.device.bf16_flops_per_second = 9e14;
    cluster.device.launch_seconds = 2e-6;
    return cluster;
  }

  std::mt19937 random_;
  PointToPoint p2p_;
};

}  // namespace pgram::test
