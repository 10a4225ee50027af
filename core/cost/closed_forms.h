// Closed forms: what a collective's algorithm costs over a cluster's own links, by latency and bandwidth alone.
#pragma once
#include <optional>

#include "core/cost/collective.h"
#include "core/cost/group_shape.h"

namespace pgram {

/// Textbook costs (Thakur, Rabenseifner, Gropp 2005; Hockney's latency + bytes/bandwidth; adding up is free). n ranks,
/// k in each of m nodes, S bytes, a and B within a node, A and C (a member's own NIC) between nodes:
/// - ring: all-reduce 2(n-1) steps of S/n, reduce-scatter and all-gather n-1, hops at their mean latency; at B in one
///   node, over several at min(B k/(k-1), kC): k rings, each turned by one, so that a hop within a node carries k-1 of
///   them. Broadcast and reduce: a pipeline of the best number of chunks, at min(B, kC).
/// - tree: all-reduce over a double binary tree, up and down: 2 ceil(log2 k) a + 2 ceil(log2 m) A + 2S/min(B, kC).
///   Broadcast and reduce: a binomial tree.
/// - halving_doubling, powers of two: near partners exchange the big halves. Reduce-scatter log2 k a + log2 m A +
///   S(k-1)/(kB) + S(m-1)/(nC); all-gather as much, all-reduce both.
/// - direct: everyone to everyone, 1 step (all-reduce 2): a or A + max(S(k-1)/(nB), S(n-k)/(nC)).
/// - nvls: one switch adds up and multicasts; all-reduce 2a + S(1+1/n)/B, the others a + S(n-1)/(nB).
/// - nvls_tree: all-reduce, nvls in the nodes and a tree between them at once.
/// - hierarchical: rings within the nodes, and rails between them, one after the other. All-to-all likewise.
/// - pat: all-gather and reduce-scatter in ceil(log2) steps, bandwidth as ring.
/// Protocol simple only; nullopt for what is not listed.
std::optional<CollectiveCost> closed_form(Collective, Algorithm, Bytes, const GroupShape&, bool has_switch);

}  // namespace pgram
