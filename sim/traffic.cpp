#include "sim/traffic.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "sim/collectives/ring_hops.h"
#include "sim/collectives/uses.h"
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
  explicit UseFinder(const Cluster& cluster)
      : cluster_(cluster), hops_(cluster), seen_(cluster.topology->num_links()) {}

  /// `members` of a collective ascending; they must stay until the next group.
  void next_group(const std::vector<uint32_t>& members) {
    members_ = &members;
    has_ring_ = false;
  }

  /// A send's links.
  const std::vector<uint32_t>& route() {
    cluster_.route((*members_)[0], (*members_)[1], route_);
    return route_;
  }

  /// The share that goes over each link of the group's rings.
  const std::vector<LinkUse>& ring() {
    if (!std::exchange(has_ring_, true)) find_ring();
    return ring_;
  }
  bool ring_has_links_once() const { return links_once_; }
  /// Bytes on the rings per byte of the lane's operation; 0: its load is not even. Where devices are wired to one
  /// another, a ring's wires carry every even load.
  double over_ring(const Lane& lane) const {
    if (lane.kernel == Kernel::send) return 0;
    return even_volume(lane.kernel, lane.algorithm, static_cast<double>(members_->size())) * wire_bytes(lane.protocol);
  }

  template <class F>
  void each(const Lane& lane, F&& use) {
    if (lane.kernel == Kernel::send) {
      for (const uint32_t link : route()) use(link, 1.0);
    } else if (const double volume = over_ring(lane)) {
      for (const auto& [link, share] : ring()) use(link, volume * share);
    } else {
      for (const LinkUse& u :
           collective_uses(collective_of(lane.kernel), lane.algorithm, *members_, cluster_, wire_bytes(lane.protocol)))
        use(u.link, u.weight);
    }
  }

 private:
  void find_ring() {
    ring_.clear();
    links_once_ = true;
    ++ring_number_;
    for (const auto& [from, to, share] : hops_.of(*members_)) {
      cluster_.route((*members_)[from], (*members_)[to], route_);
      for (const uint32_t link : route_) {
        links_once_ &= std::exchange(seen_[link], ring_number_) != ring_number_;
        ring_.push_back({link, share});
      }
    }
  }

  const Cluster& cluster_;
  RingHops hops_;
  std::vector<uint32_t> route_;
  const std::vector<uint32_t>* members_ = nullptr;
  bool has_ring_ = false, links_once_ = false;
  std::vector<LinkUse> ring_;
  std::vector<uint32_t> seen_;  // of each link: the last ring that had it
  uint32_t ring_number_ = 0;
};

/// Calls `visit(group, rank, comm, lanes, members)` once for every group whose transfers may share links.
template <class F>
void each_group(const PlanIndex& index, const Costs& costs, F&& visit) {
  const Groups& groups = index.groups();
  const RankGroups& ranks = index.ranks();
  std::vector<char> seen(groups.size());
  std::vector<uint32_t> members;
  for (uint32_t rank = 0; rank < ranks.ranks(); ++rank) {
    const Groups::Coordinates& at = ranks.at(rank);
    const uint16_t* next_comm = index.usage().comms[at[2]].data();
    for (const uint32_t group : ranks.of(rank)) {
      const uint16_t comm = *next_comm++;
      if (std::exchange(seen[group], 1)) continue;
      const std::vector<Lane>& lanes = costs.lanes(costs.colour(group));
      if (lanes.empty()) continue;
      groups.members(comm, at, members);
      if (!index.plan().comms[comm].directed) std::sort(members.begin(), members.end());
      visit(group, rank, comm, lanes, members);
    }
  }
}

/// What links can be asked for at most, in bytes per picosecond. A group has one operation at a time. Notes all uses on
/// the way, of links by their number in the Topology: most of the time goes into finding them.
class MostAsked {
 public:
  /// Uses in a row of one group in one of its lanes.
  struct Run {
    uint32_t group = 0;
    uint16_t lane = 0, epoch = 0;
    size_t first = 0;
  };

  MostAsked(uint32_t links, const std::vector<Cluster>& epochs)
      : asked_(links), finders_(epochs.begin(), epochs.end()) {}

  void add(uint32_t group, const std::vector<Lane>& lanes, const std::vector<uint32_t>& members) {
    for (UseFinder& finder : finders_) finder.next_group(members);
    if (finders_.size() > 1 || (!add_send(group, lanes) && !add_rings(group, lanes))) add_any(group, lanes);
  }

  const std::vector<Asked>& of_links() const { return asked_; }
  /// Calls `visit(run, use)` for all uses, in the order in which the groups came.
  template <class F>
  void each_use(F&& visit) const {
    for (size_t r = 0; r < runs_.size(); ++r) {
      const size_t end = r + 1 < runs_.size() ? runs_[r + 1].first : num_uses_;
      for (size_t i = runs_[r].first; i < end; ++i) visit(runs_[r], uses_[i]);
    }
  }
  bool nothing() const { return num_uses_ == 0; }

 private:
  LinkUse* add_run(uint32_t group, uint16_t lane, size_t count) {
    const size_t first = num_uses_;
    runs_.push_back({group, lane, 0, first});
    num_uses_ += count;
    if (uses_.size() < num_uses_) uses_.resize(2 * num_uses_);
    return uses_.data() + first;
  }

  /// The usual ways: a send, and lanes that load each link of their rings once. False for others.
  bool add_send(uint32_t group, const std::vector<Lane>& lanes) {
    if (lanes.size() != 1 || lanes[0].kernel != Kernel::send) return false;
    const std::vector<uint32_t>& route = finders_[0].route();
    LinkUse* use = add_run(group, 0, route.size());
    for (const uint32_t link : route) {
      *use++ = {link, 1.0};
      asked_[link].most += lanes[0].limit;
      ++asked_[link].uses;
    }
    return true;
  }
  bool add_rings(uint32_t group, const std::vector<Lane>& lanes) {
    UseFinder& finder = finders_[0];
    for (const Lane& lane : lanes) {
      if (finder.over_ring(lane) == 0) return false;
    }
    const std::vector<LinkUse>& ring = finder.ring();
    if (!finder.ring_has_links_once()) return false;
    most_of_ring_.assign(ring.size(), 0.0);
    for (uint16_t l = 0; l < lanes.size(); ++l) {
      const double volume = finder.over_ring(lanes[l]), limit = lanes[l].limit;
      LinkUse* const uses = add_run(group, l, ring.size());
      for (size_t i = 0; i < ring.size(); ++i) {
        const double weight = volume * ring[i].weight;
        uses[i] = {ring[i].link, weight};
        most_of_ring_[i] = std::max(most_of_ring_[i], limit * weight);
      }
    }
    for (size_t i = 0; i < ring.size(); ++i) {
      Asked& asked = asked_[ring[i].link];
      asked.most += most_of_ring_[i];
      asked.uses += static_cast<uint32_t>(lanes.size());
    }
    return true;
  }

  void add_any(uint32_t group, const std::vector<Lane>& lanes) {
    of_group_.resize(asked_.size());
    of_lane_.resize(asked_.size());
    for (uint16_t e = 0; e < finders_.size(); ++e) {
      for (uint16_t l = 0; l < lanes.size(); ++l) {
        const Lane& lane = lanes[l];
        in_lane_.clear();
        runs_.push_back({group, l, e, num_uses_});
        finders_[e].each(lane, [&](uint32_t link, double weight) {
          if (uses_.size() == num_uses_) uses_.resize(2 * num_uses_ + 1);
          uses_[num_uses_++] = {link, weight};
          ++asked_[link].uses;
          if (of_lane_[link] == 0) in_lane_.push_back(link);
          of_lane_[link] += weight;
        });
        for (uint32_t link : in_lane_) {
          if (of_group_[link] == 0) in_group_.push_back(link);
          of_group_[link] = std::max(of_group_[link], lane.limit * std::exchange(of_lane_[link], 0.0));
        }
      }
    }
    for (uint32_t link : in_group_) asked_[link].most += std::exchange(of_group_[link], 0.0);
    in_group_.clear();
  }

  std::vector<Asked> asked_;
  std::vector<UseFinder> finders_;  // of each epoch
  std::vector<Run> runs_;
  std::vector<LinkUse> uses_;  // the first `num_uses_` of them
  size_t num_uses_ = 0;
  std::vector<double> most_of_ring_;
  std::vector<double> of_group_, of_lane_;  // per link, where adding up takes more
  std::vector<uint32_t> in_group_, in_lane_;
};

}  // namespace

Traffic::Traffic(const PlanIndex& index, const Costs& costs, const Cluster& cluster,
                 std::span<const LinkChange> changes, bool every_link, LinkFacts& facts) {
  const std::vector<Cluster> epochs = epochs_of(cluster, changes);
  epochs_ = static_cast<uint32_t>(epochs.size());
  const uint32_t num_links = cluster.topology->num_links();
  MostAsked asked(num_links, epochs);
  rank_.assign(index.groups().size(), kNone);
  comm_.resize(index.groups().size());
  each_group(index, costs, [&](uint32_t group, uint32_t rank, uint16_t comm, const auto& lanes, const auto& members) {
    rank_[group] = rank;
    comm_[group] = comm;
    asked.add(group, lanes, members);
  });
  if (asked.nothing()) return;
  facts.look_at(cluster.topology);
  links_ = find_bottlenecks(asked.of_links(), cluster.devices, changes, every_link, facts);
  if (links_.empty()) return;

  constexpr uint32_t kDropped = ~0u;
  std::vector<uint32_t> next(num_links, kDropped);  // of each link's uses
  first_use_.reserve(links_.size() + 1);
  first_use_.push_back(0);
  for (const SharedLink& link : links_) {
    next[link.link] = first_use_.back();
    first_use_.push_back(first_use_.back() + asked.of_links()[link.link].uses);
  }
  uses_.resize(first_use_.back());
  asked.each_use([&](const MostAsked::Run& run, const LinkUse& use) {
    uint32_t& at = next[use.link];
    if (at != kDropped) uses_[at++] = {use.weight, run.group, run.lane, run.epoch};
  });
}

}  // namespace pgram::sim
