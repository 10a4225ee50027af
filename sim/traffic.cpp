#include "sim/traffic.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "sim/collectives/ring_hops.h"
#include "sim/collectives/uses.h"
#include "sim/topology_views.h"

namespace pgram::sim {

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

/// Calls `visit(group, rank, comm, members)` once for every group whose transfers may share links.
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
      if (std::exchange(seen[group], 1) || costs.lanes(costs.colour(group)).empty()) continue;
      groups.members(comm, at, members);
      if (!index.plan().comms[comm].directed) std::sort(members.begin(), members.end());
      visit(group, rank, comm, members);
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

  /// `uses`: about as many as there will be.
  MostAsked(uint32_t links, const std::vector<Cluster>& epochs, const Costs& costs, size_t uses)
      : epochs_(epochs), costs_(costs), hops_(epochs.begin(), epochs.end()), asked_(links), room_(uses) {
    uses_.make(room_);
  }

  /// `members` of a collective ascending.
  void add(uint32_t group, const std::vector<uint32_t>& members) {
    const uint32_t colour = costs_.colour(group);
    const std::vector<Lane>& lanes = costs_.lanes(colour);
    const double most = costs_.most_even(colour);
    const bool is_send = lanes[0].kernel == Kernel::send;
    if (epochs_.size() > 1 || std::ranges::any_of(lanes, [](const Lane& lane) { return lane.volume == 0; })) {
      add_any(group, lanes, most, members);
      return;
    }
    begin_run(group, kEvenLanes, 0);
    each_even(0, is_send, members, [&](const std::vector<uint32_t>& route, double share) {
      LinkUse* use = add_uses(route.size());
      for (const uint32_t link : route) {
        *use++ = {link, share};
        asked_[link].most += most * share;
        ++asked_[link].uses;
      }
    });
  }

  const std::vector<Asked>& of_links() const { return asked_; }
  /// Calls `visit(run, use)` for all uses, in the order in which the groups came.
  template <class F>
  void each_use(F&& visit) const {
    for (size_t r = 0; r < runs_.size(); ++r) {
      const size_t end = r + 1 < runs_.size() ? runs_[r + 1].first : num_uses_;
      for (size_t i = runs_[r].first; i < end; ++i) visit(runs_[r], uses_.data()[i]);
    }
  }
  bool nothing() const { return num_uses_ == 0; }

 private:
  void begin_run(uint32_t group, uint16_t lane, uint16_t epoch) { runs_.push_back({group, lane, epoch, num_uses_}); }
  LinkUse* add_uses(size_t count) {
    const size_t first = num_uses_;
    num_uses_ += count;
    if (num_uses_ > room_) grow(first);
    return uses_.data() + first;
  }
  void grow(size_t used) {
    Room<LinkUse> larger;
    room_ = 2 * num_uses_;
    larger.make(room_);
    std::copy_n(uses_.data(), used, larger.data());
    uses_ = std::move(larger);
  }

  /// Calls `visit(route, share)` for the hops that lanes of even load have.
  template <class F>
  void each_even(uint16_t epoch, bool is_send, const std::vector<uint32_t>& members, F&& visit) {
    const Cluster& cluster = epochs_[epoch];
    if (is_send) {
      cluster.route(members[0], members[1], route_);
      visit(route_, 1.0);
      return;
    }
    for (const auto& [from, to, share] : hops_[epoch].of(members)) {
      cluster.route(members[from], members[to], route_);
      visit(route_, share);
    }
  }

  /// The most over all lanes and epochs.
  void add_any(uint32_t group, const std::vector<Lane>& lanes, double most_even, const std::vector<uint32_t>& members) {
    of_group_.resize(asked_.size());
    of_lane_.resize(asked_.size());
    const auto add = [&](uint32_t link, double share) {
      *add_uses(1) = {link, share};
      ++asked_[link].uses;
      if (of_lane_[link] == 0) in_lane_.push_back(link);
      of_lane_[link] += share;
    };
    const auto end_run = [&](double limit) {
      for (const uint32_t link : in_lane_) {
        if (of_group_[link] == 0) in_group_.push_back(link);
        of_group_[link] = std::max(of_group_[link], limit * std::exchange(of_lane_[link], 0.0));
      }
      in_lane_.clear();
    };
    for (uint16_t e = 0; e < epochs_.size(); ++e) {
      if (most_even > 0) {
        begin_run(group, kEvenLanes, e);
        each_even(e, lanes[0].kernel == Kernel::send, members, [&](const auto& route, double share) {
          for (const uint32_t link : route) add(link, share);
        });
        end_run(most_even);
      }
      for (uint16_t l = 0; l < lanes.size(); ++l) {
        const auto& [kernel, algorithm, protocol, limit, volume] = lanes[l];
        if (volume > 0) continue;
        begin_run(group, l, e);
        for (const auto& [link, weight] :
             collective_uses(collective_of(kernel), algorithm, members, epochs_[e], wire_bytes(protocol)))
          add(link, weight);
        end_run(limit);
      }
    }
    for (const uint32_t link : in_group_) asked_[link].most += std::exchange(of_group_[link], 0.0);
    in_group_.clear();
  }

  const std::vector<Cluster>& epochs_;
  const Costs& costs_;
  std::vector<RingHops> hops_;  // of each epoch
  std::vector<uint32_t> route_;
  std::vector<Asked> asked_;
  std::vector<Run> runs_;
  Room<LinkUse> uses_;
  size_t num_uses_ = 0, room_;
  std::vector<double> of_group_, of_lane_;  // per link, where adding up takes more
  std::vector<uint32_t> in_group_, in_lane_;
};

}  // namespace

Traffic::Traffic(const PlanIndex& index, const Costs& costs, const Cluster& cluster,
                 std::span<const LinkChange> changes, bool every_link, LinkFacts& facts) {
  const std::vector<Cluster> epochs = epochs_of(cluster, changes);
  epochs_ = static_cast<uint32_t>(epochs.size());
  const uint32_t num_links = cluster.topology->num_links();
  // Most often every rank passes on one hop of up to 8 links in each of its groups.
  MostAsked asked(num_links, epochs, costs, 8 * index.ranks().all());
  rank_.assign(index.groups().size(), kNone);
  comm_.resize(index.groups().size());
  each_group(index, costs, [&](uint32_t group, uint32_t rank, uint16_t comm, const auto& members) {
    rank_[group] = rank;
    comm_[group] = comm;
    asked.add(group, members);
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
  uses_.make(first_use_.back());
  asked.each_use([&](const MostAsked::Run& run, const LinkUse& use) {
    uint32_t& at = next[use.link];
    if (at != kDropped) uses_.data()[at++] = {use.weight, run.group, run.lane, run.epoch};
  });
}

}  // namespace pgram::sim
