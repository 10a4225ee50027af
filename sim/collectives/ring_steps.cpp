// Rings: of all members, or within nodes and across them.
#include <algorithm>
#include <functional>

#include "sim/collectives/algorithms.h"

namespace pgram::sim {

using Range = StepBuilder::Range;

std::vector<uint32_t> ring_order(const GroupNodes& shape, uint32_t channel, uint32_t channels) {
  if (!shape.rings.empty()) return shape.rings[channel % shape.rings.size()];
  std::vector<uint32_t> order;
  order.reserve(shape.members());
  for (size_t node = 0; node < shape.nodes.size(); ++node) {
    const std::vector<uint32_t>& members = shape.nodes[node];
    const auto size = static_cast<uint32_t>(members.size());
    const uint32_t first = static_cast<uint32_t>(uint64_t{channel} * size / channels);
    for (uint32_t i = 0; i < size; ++i)
      order.push_back(members[node % 2 == 0 ? (first + i) % size : (first + 2 * size - 1 - i) % size]);
  }
  return order;
}

/// In n-1 steps the sum of `part(i)` comes to order[i].
static uint32_t ring_reduce_scatter(StepBuilder& builder, uint32_t round, const std::vector<uint32_t>& order,
                                    const std::function<Range(uint32_t)>& part) {
  const auto n = static_cast<uint32_t>(order.size());
  for (uint32_t step = 0; step + 1 < n; ++step) {
    for (uint32_t i = 0; i < n; ++i)
      builder.reduce(round + step, order[i], order[(i + 1) % n], part((i + 2 * n - 1 - step) % n));
  }
  return round + n - 1;
}

/// In n-1 steps part(i) comes from order[i] to all.
static uint32_t ring_all_gather(StepBuilder& builder, uint32_t round, const std::vector<uint32_t>& order,
                                const std::function<Range(uint32_t)>& part) {
  const auto n = static_cast<uint32_t>(order.size());
  for (uint32_t step = 0; step + 1 < n; ++step) {
    for (uint32_t i = 0; i < n; ++i) builder.copy(round + step, order[i], order[(i + 1) % n], part((i + n - step) % n));
  }
  return round + n - 1;
}

/// From member 0 around, or around to it.
static void add_chain(StepBuilder& builder, std::vector<uint32_t> order, Range block) {
  const bool to_root = builder.program().collective == Collective::reduce;
  std::rotate(order.begin(), std::find(order.begin(), order.end(), 0u) + (to_root ? 1 : 0), order.end());
  for (uint32_t i = 0; i + 1 < order.size(); ++i) {
    if (to_root) {
      builder.reduce(builder.chunk + i, order[i], order[i + 1], block);
    } else {
      builder.copy(builder.chunk + i, order[i], order[i + 1], block);
    }
  }
}

void add_ring(StepBuilder& builder, const GroupNodes& shape) {
  StepProgram& program = builder.program();
  const uint32_t n = builder.members(), channels = program.channels, pieces = channels * program.chunks;
  const bool rooted = program.collective == Collective::broadcast || program.collective == Collective::reduce;
  builder.set_blocks(rooted ? pieces : pieces * n);
  for (uint32_t piece = 0; piece < pieces; ++piece) {
    builder.channel = piece % channels, builder.chunk = piece / channels;
    const std::vector<uint32_t> order = ring_order(shape, builder.channel, channels);
    if (rooted) {
      add_chain(builder, order, {piece, 1});
      continue;
    }
    for (uint32_t i = 0; i < n; ++i) program.position[piece * n + i] = order[i] * pieces + piece;
    const auto part = [&](uint32_t i) { return Range{piece * n + i, 1}; };
    uint32_t round = 0;
    if (reduces_parts(program.collective)) round = ring_reduce_scatter(builder, round, order, part);
    if (gathers_parts(program.collective)) ring_all_gather(builder, round, order, part);
  }
}

void add_hierarchical(StepBuilder& builder, const GroupNodes& shape) {
  StepProgram& program = builder.program();
  const auto nodes = static_cast<uint32_t>(shape.nodes.size());
  const auto size = static_cast<uint32_t>(shape.nodes[0].size());
  builder.set_blocks(nodes * size * program.chunks);
  for (uint32_t chunk = 0; chunk < program.chunks; ++chunk) {
    builder.chunk = chunk;
    // What the members of one place gather lies together: all nodes' parts of place 0, then of place 1, ...
    const auto place = [&](uint32_t j) { return Range{(chunk * size + j) * nodes, nodes}; };
    const auto part = [&](uint32_t j, uint32_t node) { return Range{(chunk * size + j) * nodes + node, 1}; };
    std::vector<std::vector<uint32_t>> across(size);
    for (uint32_t node = 0; node < nodes; ++node) {
      for (uint32_t j = 0; j < size; ++j) {
        across[j].push_back(shape.nodes[node][j]);
        program.position[part(j, node).first] = shape.nodes[node][j] * program.chunks + chunk;
      }
    }
    uint32_t round = 0;
    if (reduces_parts(program.collective)) {
      for (const auto& node : shape.nodes) ring_reduce_scatter(builder, round, node, place);
      round += size - 1;
      for (uint32_t j = 0; j < size; ++j)
        ring_reduce_scatter(builder, round, across[j], [&](uint32_t node) { return part(j, node); });
      round += nodes - 1;
    }
    if (!gathers_parts(program.collective)) continue;
    for (uint32_t j = 0; j < size; ++j)
      ring_all_gather(builder, round, across[j], [&](uint32_t node) { return part(j, node); });
    round += nodes - 1;
    for (const auto& node : shape.nodes) ring_all_gather(builder, round, node, place);
  }
}

}  // namespace pgram::sim
