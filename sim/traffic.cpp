#include "sim/traffic.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <memory>
#include <numeric>
#include <utility>

#include "sim/collectives/ring_hops.h"
#include "sim/collectives/uses.h"
#include "sim/hash.h"
#include "sim/topology_views.h"

namespace pgram::sim {

Collective collective_of(Kernel kernel) {
  switch (kernel) {
    case Kernel::all_gather:
      return Collective::all_gather;
    case Kernel::reduce_scatter:
      return Collective::reduce_scatter;
    default:
      return Collective::all_reduce;
  }
}

std::vector<Cluster> epochs_of(const Cluster& cluster, std::span<const LinkChange> changes) {
  std::vector<Cluster> epochs{cluster};
  std::vector<uint32_t> down;
  for (const LinkChange& change : changes) {
    if (change.factor != 0) continue;
    down.insert(std::ranges::lower_bound(down, change.link), change.link);
    epochs.push_back(cluster);
    epochs.back().topology = std::make_shared<const DetourView>(cluster.topology, down);
  }
  return epochs;
}

namespace {

/// Bytes that every member of a group sends and receives per byte of the operation, in algorithms that load all members
/// evenly; 0 for others. Trees are built so (one's leaves are the other's inner nodes). A switch that reduces takes a
/// member's part in and gives the sum out, and so on for what it multicasts.
double even_volume(Kernel kernel, Algorithm algorithm, double members) {
  const bool all_reduce = collective_of(kernel) == Collective::all_reduce;
  switch (algorithm) {
    case Algorithm::nvls:
      return all_reduce ? 1 + 1 / members : 1;
    case Algorithm::ring:
    case Algorithm::tree:
    case Algorithm::nvls_tree:
    case Algorithm::pat:
      return (all_reduce ? 2 : 1) * (members - 1) / members;
    default:
      return 0;
  }
}

/// What a group's lanes use, one link after the other; a link may come several times.
class UseFinder {
 public:
  explicit UseFinder(const Cluster& cluster) : cluster_(cluster), hops_(cluster) {}

  /// `members` of a collective ascending; they must stay until the next group.
  void next_group(const std::vector<uint32_t>& members) {
    members_ = &members;
    has_ring_ = false;
  }

  template <class F>
  void each(const Lane& lane, F&& use) {
    const std::vector<uint32_t>& members = *members_;
    if (lane.kernel == Kernel::send) {
      cluster_.route(members[0], members[1], route_);
      for (uint32_t link : route_) use(link, 1.0);
      return;
    }
    const double wire = wire_bytes(lane.protocol);
    // Even load is a ring's; where devices are wired to one another, its wires carry it too.
    if (const double volume = even_volume(lane.kernel, lane.algorithm, static_cast<double>(members.size()))) {
      if (!std::exchange(has_ring_, true)) find_ring();
      for (const auto& [link, share] : ring_) use(link, volume * wire * share);
      return;
    }
    for (const LinkUse& u : collective_uses(collective_of(lane.kernel), lane.algorithm, members, cluster_, wire))
      use(u.link, u.weight);
  }

 private:
  void find_ring() {
    ring_.clear();
    for (const auto& [from, to, share] : hops_.of(*members_)) {
      cluster_.route((*members_)[from], (*members_)[to], route_);
      for (uint32_t link : route_) ring_.push_back({link, share});
    }
  }

  const Cluster& cluster_;
  RingHops hops_;
  std::vector<uint32_t> route_;
  const std::vector<uint32_t>* members_ = nullptr;
  bool has_ring_ = false;
  std::vector<LinkUse> ring_;  // of this group's rings: the share that goes over each link
};

/// Calls `visit(group, rank, comm, lanes, members)` once for every group whose transfers may share links.
template <class F>
void each_group(const Plan& plan, const Usage& usage, const Groups& groups, const Costs& costs, F&& visit) {
  std::vector<char> seen(groups.size());
  std::vector<uint32_t> members;
  for (uint32_t rank = 0; rank < plan.mesh.ranks(); ++rank) {
    const auto at = plan.mesh.coordinates(rank);
    for (uint16_t comm : usage.comms[at[2]]) {
      const uint32_t group = groups.of(comm, at);
      if (std::exchange(seen[group], 1)) continue;
      const std::vector<Lane>& lanes = costs.lanes(costs.colour(group));
      if (lanes.empty()) continue;
      groups.members(comm, at, members);
      if (!plan.comms[comm].directed) std::sort(members.begin(), members.end());
      visit(group, rank, comm, lanes, members);
    }
  }
}

/// What links can be asked for at most, in bytes per picosecond. A group has one operation at a time. Notes all uses on
/// the way, of links by their number in the Topology: most of the time goes into finding them.
class MostAsked {
 public:
  MostAsked(uint32_t links, const std::vector<Cluster>& epochs)
      : most_(links), of_group_(links), of_lane_(links), finders_(epochs.begin(), epochs.end()) {}

  void add(uint32_t group, const std::vector<Lane>& lanes, const std::vector<uint32_t>& members) {
    for (uint16_t e = 0; e < finders_.size(); ++e) {
      finders_[e].next_group(members);
      for (uint16_t l = 0; l < lanes.size(); ++l) {
        const Lane& lane = lanes[l];
        in_lane_.clear();
        finders_[e].each(lane, [&](uint32_t link, double weight) {
          uses_.push_back({link, group, weight, l, e});
          if (of_lane_[link] == 0) in_lane_.push_back(link);
          of_lane_[link] += weight;
        });
        for (uint32_t link : in_lane_) {
          if (of_group_[link] == 0) in_group_.push_back(link);
          of_group_[link] = std::max(of_group_[link], lane.limit * std::exchange(of_lane_[link], 0.0));
        }
      }
    }
    for (uint32_t link : in_group_) most_[link] += std::exchange(of_group_[link], 0.0);
    in_group_.clear();
  }
  const std::vector<double>& most() const { return most_; }
  const std::vector<Use>& uses() const { return uses_; }

 private:
  std::vector<double> most_, of_group_, of_lane_;
  std::vector<UseFinder> finders_;  // of each epoch
  std::vector<uint32_t> in_group_, in_lane_;
  std::vector<Use> uses_;
};

struct LinkState {
  double capacity = 0;        // bytes per picosecond
  double least_capacity = 0;  // over all changes
  uint64_t changes = 0;
};

/// Of links that are not used nothing is found out, unless `all`.
std::vector<LinkState> find_states(const Topology& topology, std::span<const LinkChange> changes,
                                   const std::vector<double>& most, bool all) {
  std::vector<LinkState> states(topology.num_links());
  for (uint32_t i = 0; i < states.size(); ++i) {
    if (most[i] == 0 && !all) continue;
    states[i].capacity = states[i].least_capacity = topology.link(i).bytes_per_second / kPicosecondsPerSecond;
  }
  for (const LinkChange& change : changes) {
    LinkState& state = states[change.link];
    state.least_capacity = std::min(state.least_capacity, state.capacity * change.factor);
    state.changes =
        mix(state.changes ^ mix(static_cast<uint64_t>(change.time) + 1)) + std::bit_cast<uint64_t>(change.factor);
  }
  return states;
}

/// Which links can hold anything back.
class Bottlenecks {
 public:
  Bottlenecks(const Topology& topology, uint32_t devices, const std::vector<LinkState>& states,
              const std::vector<double>& most)
      : states_(states), most_(most), kept_(states.size()) {
    for (uint32_t i = 0; i < kept_.size(); ++i) {
      // Noise of adding up must not keep a link that is just full.
      constexpr double kNoise = 1 + 1e-9;
      kept_[i] = states[i].changes != 0 ? most[i] > 0 : most[i] > states[i].least_capacity * kNoise;
    }
    drop_implied(topology, devices);
  }
  bool kept(uint32_t link) const { return kept_[link]; }

 private:
  /// Nothing begins or ends at a switch, and nothing turns back there: what leaves it by a link came in by others. So a
  /// link is implied by all others into the vertex that it leaves, or out of the one that it enters, if these together
  /// let no more through. A link is dropped only for the sake of links that are not dropped yet: each is implied by
  /// what remains.
  void drop_implied(const Topology& topology, uint32_t devices) {
    std::vector<Topology::LinkEnds> ends(kept_.size());
    uint32_t vertices = 0;
    for (uint32_t i = 0; i < kept_.size(); ++i) {
      if (most_[i] == 0) continue;  // lets nothing through and is not kept
      ends[i] = topology.ends(i);
      vertices = std::max({vertices, ends[i].from + 1, ends[i].to + 1});
    }
    struct Sum {
      double passes = 0;
      uint32_t dropped = 0;  // links that vouch for no other any more
    };
    std::vector<Sum> in(vertices), out(vertices);
    for (uint32_t i = 0; i < kept_.size(); ++i) {
      if (most_[i] == 0) continue;
      in[ends[i].to].passes += passes(i);
      out[ends[i].from].passes += passes(i);
    }
    std::vector<char> dropped(kept_.size());
    for (uint32_t i = 0; i < kept_.size(); ++i) {
      if (!kept_[i] || states_[i].changes != 0) continue;
      const auto [from, to] = ends[i];
      // Both directions of a cable have numbers in a row, the first even.
      const uint32_t back = i ^ 1;
      const bool is_back = back < kept_.size() && ends[back].from == to && ends[back].to == from;
      const auto implied = [&](uint32_t vertex, const Sum& sum) {
        const double others = sum.passes - (is_back ? passes(back) : 0);
        return vertex >= devices && sum.dropped == (is_back && dropped[back] ? 1 : 0) &&
               others <= states_[i].capacity * (1 + 1e-9);
      };
      if (!implied(from, in[from]) && !implied(to, out[to])) continue;
      kept_[i] = false;
      dropped[i] = 1;
      ++in[to].dropped;
      ++out[from].dropped;
    }
  }
  double passes(uint32_t i) const { return std::min(states_[i].capacity, most_[i]); }

  const std::vector<LinkState>& states_;
  const std::vector<double>& most_;
  std::vector<char> kept_;
};

}  // namespace

Traffic::Traffic(const Plan& plan, const Usage& usage, const Groups& groups, const Costs& costs, const Cluster& cluster,
                 std::span<const LinkChange> changes, bool every_link) {
  const std::vector<Cluster> epochs = epochs_of(cluster, changes);
  epochs_ = static_cast<uint32_t>(epochs.size());
  const Topology& topology = *cluster.topology;
  MostAsked asked(topology.num_links(), epochs);
  rank_.assign(groups.size(), kNone);
  comm_.resize(groups.size());
  each_group(plan, usage, groups, costs,
             [&](uint32_t group, uint32_t rank, uint16_t comm, const auto& lanes, const auto& members) {
               rank_[group] = rank;
               comm_[group] = comm;
               asked.add(group, lanes, members);
             });
  if (asked.uses().empty()) return;
  const std::vector<LinkState> states = find_states(topology, changes, asked.most(), every_link);
  const Bottlenecks bottlenecks(topology, cluster.devices, states, asked.most());
  std::vector<uint32_t> index(states.size(), kNone);
  for (uint32_t i = 0; i < states.size(); ++i) {
    if (!every_link && !bottlenecks.kept(i)) continue;
    index[i] = static_cast<uint32_t>(links_.size());
    links_.push_back({i, states[i].capacity, states[i].changes});
  }
  if (links_.empty()) return;

  first_use_.assign(links_.size() + 1, 0);
  for (const Use& use : asked.uses()) {
    if (index[use.link] != kNone) ++first_use_[index[use.link] + 1];
  }
  std::partial_sum(first_use_.begin(), first_use_.end(), first_use_.begin());
  uses_.resize(first_use_.back());
  std::vector<uint32_t> next(first_use_.begin(), first_use_.end() - 1);
  for (const Use& use : asked.uses()) {
    const uint32_t link = index[use.link];
    if (link != kNone) uses_[next[link]++] = {link, use.group, use.weight, use.lane, use.epoch};
  }
}

}  // namespace pgram::sim
