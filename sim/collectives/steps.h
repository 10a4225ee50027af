// StepProgram: a collective as the messages that an algorithm sends, each after those it needs.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "core/cost/collective.h"

namespace pgram::sim {

constexpr uint32_t kNoTransfer = ~0u;

/// `count` blocks from one place to another. Places are the members 0, 1, ... of the group and then the switches; a
/// switch keeps what it sums up as a member does.
struct Transfer {
  uint32_t source = 0, target = 0;
  uint32_t source_block = 0, target_block = 0, count = 0;
  uint32_t first_predecessor = 0, num_predecessors = 0;  ///< into StepProgram::predecessors, all of them earlier: data
  uint32_t before = kNoTransfer;  ///< the one before it on its connection (source, target, channel): one at a time
  uint16_t channel = 0;
  uint16_t chunk = 0;
  uint32_t step : 31 = 0;    ///< from 0: so many messages at least come one after another before it
  uint32_t reduces : 1 = 0;  ///< adds to what the target has there; else replaces it

  /// Nothing is sent: the moment at which all of its predecessors have ended at `source` (== target).
  bool joins() const { return count == 0; }
};

/// A value made from the number of members alone: sizes and times come later, when the array of so and so many bytes is
/// cut into `blocks` equal ones.
///
/// Data: all_reduce, broadcast, reduce (member 0 is the root): the whole array. reduce_scatter, all_gather: member r's
/// part is the r-th n-th. all_to_all, send_recv have a second array for what arrives (`separate_output`): part r of it
/// from member r; the whole from the member before (member 0 gets nothing: a chain, as of pipeline stages).
/// Blocks are numbered as the algorithm likes; `position` says where in the array each lies.
struct StepProgram {
  Collective collective = Collective::all_reduce;
  Algorithm algorithm = Algorithm::ring;
  uint32_t members = 0, switches = 0;
  uint32_t blocks = 0;
  uint32_t channels = 1, chunks = 1;
  uint32_t asked_channels = 1;  ///< StepOptions::channels: a tree makes two of each
  uint32_t steps = 0;           ///< the longest chain of messages
  bool separate_output = false;
  std::vector<uint32_t> position;
  std::vector<Transfer> transfers;  ///< an order in which they can be done
  std::vector<uint32_t> predecessors;

  std::span<const uint32_t> predecessors_of(const Transfer& t) const {
    return std::span(predecessors).subspan(t.first_predecessor, t.num_predecessors);
  }
  /// Messages, without the joins.
  uint64_t messages() const;
  /// Messages from place to place in units of the array's size, for each place: what it sends.
  std::vector<double> sent() const;
};

/// Members of a group by node, in rank order: what of a cluster an algorithm needs to know.
struct GroupNodes {
  std::vector<std::vector<uint32_t>> nodes;
  std::vector<std::vector<uint32_t>> rings;  ///< in one node without a switch: the orders that its wires allow

  static GroupNodes single(uint32_t members);                        ///< one node
  static GroupNodes even(uint32_t nodes, uint32_t members_of_each);  ///< 0, 1, ... node by node
  static GroupNodes of(std::span<const uint32_t> group, const Cluster&);
  uint32_t members() const;
  uint32_t fewest_in_a_node() const;
  bool is_even() const;  ///< as many members in every node
};

struct StepOptions {
  uint32_t channels = 0;  ///< 0: for rings and trees as many as the fewest members in a node of several;
                          ///< rings within a node without a switch as many as there are; else 1
  uint32_t chunks = 1;    ///< parts that follow one another through the algorithm
};

/// The order of a ring: node by node. In channel c of k the last member of a node is another one for each c, so that
/// every one sends a k-th of what leaves the node; of two nodes that follow one another the second is passed through
/// the other way round, so that a message leaves and arrives by the same place in the node (its rail). Within one node
/// without a switch one of GroupNodes::rings.
std::vector<uint32_t> ring_order(const GroupNodes&, uint32_t channel, uint32_t channels);
/// Rings (each way round) that share no wire, in a node of 3 to 16 devices that are wired to one another; none
/// elsewhere. Indices into `devices`.
std::vector<std::vector<uint32_t>> mesh_rings(std::span<const uint32_t> devices, const Cluster&);
/// Channels of `algorithm` if the options leave them open.
uint32_t default_channels(Algorithm, const GroupNodes&);

/// InputError where an algorithm cannot do that, or the program would have more than `kMostTransfers`.
///
/// ring                reduce-scatter and all-gather in n-1 steps each; broadcast and reduce as a chain
/// tree                two binary trees, the leaves of one being inner vertices of the other, half of the data each; in
///                     nodes of several members a chain to the one that the tree joins. Broadcast, reduce: the root
///                     above both trees
/// halving_doubling    recursive halving, then doubling; all_reduce of another number than a power of two: the members
///                     beyond it hand their array to one below first and get the result back at the end
/// direct              everybody to everybody at once
/// nvls                the switch of the node sums up on the way from all members to one, and copies from one to all
/// nvls_tree           that in every node, and each member's part through a pair of trees over the nodes
/// hierarchical        reduce-scatter within the nodes, between members of equal place, all-gather within: rings
/// pat                 all-gather along binomial trees, far steps with little data first; reduce-scatter backwards
StepProgram make_steps(Collective, Algorithm, const GroupNodes&, const StepOptions& = {});

constexpr uint64_t kMostTransfers = 1u << 24;
constexpr uint32_t kMostChannels = 64, kMostChunks = 4096;

}  // namespace pgram::sim
