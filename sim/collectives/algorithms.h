// The algorithms behind make_steps: each adds its blocks and messages to a builder. What they are is said in steps.h.
#pragma once
#include "sim/collectives/step_builder.h"

namespace pgram::sim {

void add_ring(StepBuilder&, const GroupNodes&);
void add_hierarchical(StepBuilder&, const GroupNodes&);
void add_trees(StepBuilder&, const GroupNodes&);
void add_halving_doubling(StepBuilder&);
void add_direct(StepBuilder&);
void add_pat(StepBuilder&);
void add_nvls(StepBuilder&, const GroupNodes&);
void add_nvls_tree(StepBuilder&, const GroupNodes&);

constexpr bool reduces_parts(Collective c) {
  return c == Collective::all_reduce || c == Collective::reduce_scatter;
}
constexpr bool gathers_parts(Collective c) {
  return c == Collective::all_reduce || c == Collective::all_gather;
}

/// Parents over 0 .. count-1 of the binary tree `which` (0 or 1); the root is its own. Leaves of the one are inner
/// vertices of the other (up to one vertex), so that together every vertex sends and receives as much as the array.
/// Sanders, Speck, Traeff: Two-tree algorithms for full bandwidth broadcast, reduction and scan, Parallel Computing 35
/// (2009); numbered in order as NCCL's.
std::vector<uint32_t> binary_tree(uint32_t count, int which);

/// A tree over places, as its edges from the root down, each parent's before its children's.
struct Tree {
  struct Edge {
    uint32_t parent = 0, child = 0;
    uint32_t depth = 1;   ///< of the child
    uint32_t height = 0;  ///< of what hangs below the child
  };
  std::vector<Edge> edges;
  uint32_t height = 0;

  /// `parent[i]` of `vertices[i]` are indices into `vertices`.
  Tree(const std::vector<uint32_t>& vertices, const std::vector<uint32_t>& parent);
  void reduce(StepBuilder&, uint32_t round, StepBuilder::Range) const;     ///< up, in `height` rounds
  void broadcast(StepBuilder&, uint32_t round, StepBuilder::Range) const;  ///< down
};

}  // namespace pgram::sim
