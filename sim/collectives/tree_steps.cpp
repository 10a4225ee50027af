// Double binary trees, with chains inside nodes.
#include <algorithm>
#include <cassert>

#include "sim/collectives/algorithms.h"

namespace pgram::sim {

/// In order: odd numbers are leaves, and the lowest bit set in a number is its height. A parent that is not there,
/// since `count` is no power of two, is replaced by the one above. 0 is the root, with one child.
static uint32_t parent_in_order(uint32_t v, uint32_t count) {
  const uint32_t bit = v & (~v + 1);
  if (v == 0) return 0;
  const uint32_t up = (v ^ bit) | bit << 1;
  return up < count ? up : v ^ bit;
}

std::vector<uint32_t> binary_tree(uint32_t count, int which) {
  std::vector<uint32_t> parent(count);
  for (uint32_t v = 0; v < count; ++v) {
    if (which == 0) {
      parent[v] = parent_in_order(v, count);
    } else if (count % 2 == 0) {
      parent[v] = count - 1 - parent_in_order(count - 1 - v, count);  // read from the other end odd is even
    } else {
      parent[v] = (parent_in_order((v + count - 1) % count, count) + 1) % count;
    }
  }
  return parent;
}

Tree::Tree(const std::vector<uint32_t>& vertices, const std::vector<uint32_t>& parent) {
  const size_t count = vertices.size();
  std::vector<std::vector<uint32_t>> children(count);
  std::vector<uint32_t> order;
  for (uint32_t v = 0; v < count; ++v) {
    if (parent[v] == v) {
      order.push_back(v);
    } else {
      children[parent[v]].push_back(v);
    }
  }
  assert(order.size() == 1);
  std::vector<uint32_t> depth(count, 0), below(count, 0);
  for (size_t i = 0; i < order.size(); ++i) {
    for (const uint32_t child : children[order[i]]) {
      depth[child] = depth[order[i]] + 1;
      order.push_back(child);
    }
  }
  for (size_t i = count; i-- > 1;) below[parent[order[i]]] = std::max(below[parent[order[i]]], below[order[i]] + 1);
  height = below[order[0]];
  for (size_t i = 1; i < count; ++i) {
    const uint32_t v = order[i];
    edges.push_back({vertices[parent[v]], vertices[v], depth[v], below[v]});
  }
}

void Tree::reduce(StepBuilder& builder, uint32_t round, StepBuilder::Range blocks) const {
  for (size_t i = edges.size(); i-- > 0;)
    builder.reduce(round + edges[i].height, edges[i].child, edges[i].parent, blocks);
}

void Tree::broadcast(StepBuilder& builder, uint32_t round, StepBuilder::Range blocks) const {
  for (const Edge& edge : edges) builder.copy(round + edge.depth - 1, edge.parent, edge.child, blocks);
}

/// `above`: a member that is the root over the tree's own.
static Tree tree_of(const GroupNodes& shape, uint32_t channel, uint32_t channels, int which, const uint32_t* above) {
  std::vector<uint32_t> vertices, parent, heads;
  const bool chains = shape.nodes.size() > 1;
  for (const auto& members : shape.nodes) {
    const auto size = static_cast<uint32_t>(members.size());
    const uint32_t first = static_cast<uint32_t>(uint64_t{channel} * size / channels);
    for (uint32_t i = 0; i < size; ++i) {
      if (i == 0 || !chains) heads.push_back(static_cast<uint32_t>(vertices.size()));
      parent.push_back(static_cast<uint32_t>(vertices.size()) - 1);
      vertices.push_back(members[(first + i) % size]);
    }
  }
  const std::vector<uint32_t> binary = binary_tree(static_cast<uint32_t>(heads.size()), which);
  for (uint32_t i = 0; i < heads.size(); ++i) {
    const bool is_root = binary[i] == i;
    parent[heads[i]] = is_root && above ? static_cast<uint32_t>(vertices.size()) : heads[binary[i]];
  }
  if (above) {
    parent.push_back(static_cast<uint32_t>(vertices.size()));
    vertices.push_back(*above);
  }
  return Tree(vertices, parent);
}

void add_trees(StepBuilder& builder, const GroupNodes& whole) {
  StepProgram& program = builder.program();
  const uint32_t channels = program.channels, pieces = channels * program.chunks * 2, root = 0;
  const bool rooted = program.collective != Collective::all_reduce;
  GroupNodes shape = whole;
  if (rooted) {
    for (auto& node : shape.nodes) std::erase(node, root);
    std::erase_if(shape.nodes, [](const auto& node) { return node.empty(); });
  }
  builder.set_blocks(pieces);
  for (uint32_t c = 0; c < channels; ++c) {
    for (int which = 0; which < 2; ++which) {
      const Tree tree = tree_of(shape, c, channels, which, rooted ? &root : nullptr);
      for (uint32_t chunk = 0; chunk < program.chunks; ++chunk) {
        builder.channel = 2 * c + static_cast<uint32_t>(which), builder.chunk = chunk;
        const StepBuilder::Range block{2 * (chunk * channels + c) + static_cast<uint32_t>(which), 1};
        if (program.collective != Collective::broadcast) tree.reduce(builder, chunk, block);
        if (program.collective != Collective::reduce)
          tree.broadcast(builder, chunk + (rooted ? 0 : tree.height), block);
      }
    }
  }
  program.channels = 2 * channels;
}

}  // namespace pgram::sim
