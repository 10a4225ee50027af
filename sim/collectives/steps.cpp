#include "sim/collectives/steps.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "core/base/errors.h"
#include "sim/collectives/algorithms.h"
#include "sim/collectives/step_builder.h"

namespace pgram::sim {

uint64_t StepProgram::messages() const {
  return static_cast<uint64_t>(
      std::count_if(transfers.begin(), transfers.end(), [](const Transfer& t) { return !t.joins(); }));
}

std::vector<double> StepProgram::sent() const {
  std::vector<uint64_t> counts(members + switches);
  for (const Transfer& t : transfers) counts[t.source] += t.count;
  std::vector<double> shares;
  for (const uint64_t count : counts) shares.push_back(static_cast<double>(count) / blocks);
  return shares;
}

GroupNodes GroupNodes::single(uint32_t members) {
  return even(1, members);
}

GroupNodes GroupNodes::even(uint32_t nodes, uint32_t members_of_each) {
  GroupNodes shape;
  uint32_t member = 0;
  for (uint32_t node = 0; node < nodes; ++node) {
    shape.nodes.emplace_back(members_of_each);
    std::iota(shape.nodes.back().begin(), shape.nodes.back().end(), member);
    member += members_of_each;
  }
  return shape;
}

GroupNodes GroupNodes::of(std::span<const uint32_t> group, const Cluster& cluster) {
  GroupNodes shape;
  std::vector<uint32_t> order(group.size());
  std::iota(order.begin(), order.end(), 0u);
  // Node by node, whatever the order of the group: a ring enters and leaves each node once.
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return group[a] < group[b]; });
  for (size_t i = 0; i < order.size(); ++i) {
    if (i == 0 || cluster.node_of(group[order[i]]) != cluster.node_of(group[order[i - 1]])) shape.nodes.emplace_back();
    shape.nodes.back().push_back(order[i]);
  }
  if (shape.nodes.size() == 1) {
    std::vector<uint32_t> devices;
    for (const uint32_t member : order) devices.push_back(group[member]);
    shape.rings = mesh_rings(devices, cluster);
    for (auto& ring : shape.rings) {
      for (uint32_t& place : ring) place = order[place];
    }
  }
  return shape;
}

uint32_t GroupNodes::members() const {
  size_t count = 0;
  for (const auto& node : nodes) count += node.size();
  return static_cast<uint32_t>(count);
}

uint32_t GroupNodes::fewest_in_a_node() const {
  size_t fewest = nodes.empty() ? 0 : nodes[0].size();
  for (const auto& node : nodes) fewest = std::min(fewest, node.size());
  return static_cast<uint32_t>(fewest);
}

bool GroupNodes::is_even() const {
  return std::all_of(nodes.begin(), nodes.end(), [&](const auto& node) { return node.size() == nodes[0].size(); });
}

uint32_t default_channels(Algorithm algorithm, const GroupNodes& shape) {
  if (algorithm == Algorithm::ring && !shape.rings.empty()) return static_cast<uint32_t>(shape.rings.size());
  const bool turns = algorithm == Algorithm::ring || algorithm == Algorithm::tree;
  return turns && shape.nodes.size() > 1 ? shape.fewest_in_a_node() : 1;
}

static void check(Collective collective, Algorithm algorithm, const GroupNodes& shape, const StepOptions& options) {
  const uint32_t members = shape.members();
  const auto refuse = [&](const std::string& why) {
    throw InputError("collective", std::string(name_of(collective)) + " by " + name_of(algorithm) + ": " + why);
  };
  if (members < 2) refuse("needs at least 2 members, got " + std::to_string(members));
  if (options.channels > kMostChannels) refuse("at most " + std::to_string(kMostChannels) + " channels");
  if (options.chunks < 1 || options.chunks > kMostChunks)
    refuse("expected 1 to " + std::to_string(kMostChunks) + " chunks, got " + std::to_string(options.chunks));

  using enum Collective;
  const bool gathers = collective == reduce_scatter || collective == all_gather;
  const bool rooted = collective == broadcast || collective == reduce;
  bool known = algorithm == Algorithm::direct;
  switch (algorithm) {
    case Algorithm::ring:
    case Algorithm::tree:
      known = collective == all_reduce || rooted || (gathers && algorithm == Algorithm::ring);
      break;
    case Algorithm::halving_doubling:
    case Algorithm::nvls:
    case Algorithm::hierarchical:
      known = collective == all_reduce || gathers;
      break;
    case Algorithm::nvls_tree:
      known = collective == all_reduce;
      break;
    case Algorithm::pat:
      known = gathers;
      break;
    case Algorithm::direct:
      break;
  }
  if (!known) refuse("there is no such algorithm; see pgram collective --help");
  if (algorithm == Algorithm::halving_doubling && gathers && (members & (members - 1)))
    refuse("needs a power of two of members, got " + std::to_string(members));
  if (algorithm == Algorithm::nvls && shape.nodes.size() > 1)
    refuse("is for one node; between nodes there are nvls_tree and hierarchical");
  if ((algorithm == Algorithm::nvls_tree || algorithm == Algorithm::hierarchical) &&
      (shape.nodes.size() < 2 || !shape.is_even()))
    refuse("needs several nodes with as many members each");
  const uint64_t n = members, parts = uint64_t{std::max(1u, options.channels)} * options.chunks;
  const uint64_t pairs = n * (n - 1), most = algorithm == Algorithm::ring || algorithm == Algorithm::direct ||
                                                     algorithm == Algorithm::pat || algorithm == Algorithm::nvls
                                                 ? pairs * (collective == all_reduce ? 2 : 1) * (rooted ? 0 : 1)
                                                 : n;
  if (most * parts > kMostTransfers)
    refuse("more than " + std::to_string(kMostTransfers) + " messages: take a smaller group or fewer chunks");
}

StepProgram make_steps(Collective collective, Algorithm algorithm, const GroupNodes& shape, const StepOptions& asked) {
  StepOptions options = asked;
  if (options.channels == 0) options.channels = default_channels(algorithm, shape);
  if (algorithm != Algorithm::ring && algorithm != Algorithm::tree) options.channels = 1;
  check(collective, algorithm, shape, options);
  StepBuilder builder(collective, algorithm, shape, options);
  switch (algorithm) {
    case Algorithm::ring:
      add_ring(builder, shape);
      break;
    case Algorithm::tree:
      add_trees(builder, shape);
      break;
    case Algorithm::halving_doubling:
      add_halving_doubling(builder);
      break;
    case Algorithm::direct:
      add_direct(builder);
      break;
    case Algorithm::nvls:
      add_nvls(builder, shape);
      break;
    case Algorithm::nvls_tree:
      add_nvls_tree(builder, shape);
      break;
    case Algorithm::hierarchical:
      add_hierarchical(builder, shape);
      break;
    case Algorithm::pat:
      add_pat(builder);
      break;
  }
  return builder.finish();
}

}  // namespace pgram::sim
