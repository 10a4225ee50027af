// In-switch reduction: a switch sums up what all members send of one part, and copies a part to all of them.
#include "sim/collectives/algorithms.h"

namespace pgram::sim {

using Range = StepBuilder::Range;

/// Connections of their own: what comes back from the switch must not wait behind the next chunk's way up.
enum Way : uint32_t { kPull, kPush, kTrees };

/// Member j gets the sum of part(j) over the node: two rounds.
template <class Part>
static void pull(StepBuilder& builder, uint32_t round, const std::vector<uint32_t>& node, uint32_t hub, Part part) {
  builder.channel = kPull;
  for (uint32_t j = 0; j < node.size(); ++j) {
    for (const uint32_t member : node) builder.reduce(round, member, hub, part(j));
    builder.copy(round + 1, hub, node[j], part(j));
  }
}

/// All get part(j) of member j, itself too: two rounds.
template <class Part>
static void push(StepBuilder& builder, uint32_t round, const std::vector<uint32_t>& node, uint32_t hub, Part part) {
  builder.channel = kPush;
  for (uint32_t j = 0; j < node.size(); ++j) {
    builder.copy(round, node[j], hub, part(j));
    for (const uint32_t member : node) builder.copy(round + 1, hub, member, part(j));
  }
}

void add_nvls(StepBuilder& builder, const GroupNodes& shape) {
  StepProgram& program = builder.program();
  const uint32_t n = builder.members(), chunks = program.chunks;
  builder.set_blocks(n * chunks);
  for (uint32_t chunk = 0; chunk < chunks; ++chunk) {
    builder.chunk = chunk;
    const auto part = [&](uint32_t j) { return Range{shape.nodes[0][j] * chunks + chunk, 1}; };
    uint32_t round = chunk;
    if (reduces_parts(program.collective)) pull(builder, round, shape.nodes[0], n, part), round += 2;
    if (gathers_parts(program.collective)) push(builder, round, shape.nodes[0], n, part);
  }
}

void add_nvls_tree(StepBuilder& builder, const GroupNodes& shape) {
  StepProgram& program = builder.program();
  const auto nodes = static_cast<uint32_t>(shape.nodes.size());
  const auto size = static_cast<uint32_t>(shape.nodes[0].size());
  builder.set_blocks(2 * size * program.chunks);
  for (uint32_t chunk = 0; chunk < program.chunks; ++chunk) {
    builder.chunk = chunk;
    const auto part = [&](uint32_t j) { return Range{2 * (chunk * size + j), 2}; };
    for (uint32_t node = 0; node < nodes; ++node)
      pull(builder, chunk, shape.nodes[node], builder.members() + node, part);
    uint32_t round = 0;
    for (uint32_t j = 0; j < size; ++j) {
      std::vector<uint32_t> across;
      for (const auto& node : shape.nodes) across.push_back(node[j]);
      for (uint32_t which = 0; which < 2; ++which) {
        builder.channel = kTrees + which;
        const Tree tree(across, binary_tree(nodes, static_cast<int>(which)));
        const Range half{part(j).first + which, 1};
        tree.reduce(builder, chunk + 2, half);
        tree.broadcast(builder, chunk + 2 + tree.height, half);
        round = std::max(round, chunk + 2 + 2 * tree.height);
      }
    }
    for (uint32_t node = 0; node < nodes; ++node)
      push(builder, round, shape.nodes[node], builder.members() + node, part);
  }
}

}  // namespace pgram::sim
