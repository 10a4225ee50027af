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

/// What links can be asked for at most, in bytes per picosecond. A group has one operation at a time. Notes all uses on
/// the way: most of the time goes into finding them.
class MostAsked {
 public:
  /// `uses`: about as many as there will be, of all links.
  MostAsked(uint32_t links, const std::vector<Cluster>& epochs, const Costs& costs, size_t uses)
      : epochs_(epochs), costs_(costs), hops_(epochs.begin(), epochs.end()), asked_(links), room_(uses) {
    used_.make(room_);
  }

  void add(uint32_t group, std::span<const uint32_t> members) {
    const uint32_t colour = costs_.colour(group);
    const std::vector<Lane>& lanes = costs_.lanes(colour);
    if (lanes.empty()) return;
    const double most = costs_.most_even(colour);
    const bool is_send = lanes[0].kernel == Kernel::send;
    if (epochs_.size() > 1 || std::ranges::any_of(lanes, [](const Lane& lane) { return lane.volume == 0; })) {
      add_any(group, lanes, most, members);
      return;
    }
    begin(group, kEvenLanes, 0);
    each_even(0, is_send, members, [&, asked = asked_.data()](const std::vector<uint32_t>& route, double share) {
      const double asks = most * share;
      uint32_t* next = add_used(share, route.size());
      for (const uint32_t link : route) {
        *next++ = link;
        asked[link].most += asks;
        ++asked[link].uses;
      }
    });
  }

  const std::vector<Asked>& of_links() const { return asked_; }
  bool nothing() const { return num_used_ == 0; }
  const std::vector<Use>& uses() const { return uses_; }
  /// The links of a use, some of them several times.
  std::span<const uint32_t> links_of(size_t use) const {
    const size_t end = use + 1 < uses_.size() ? first_used_[use + 1] : num_used_;
    return {used_.data() + first_used_[use], end - first_used_[use]};
  }

 private:
  void begin(uint32_t group, uint16_t lane, uint16_t epoch) { next_ = {-1, group, lane, epoch}; }
  /// Room for some links more that are used with this share.
  uint32_t* add_used(double share, size_t count) {
    if (next_.share != share) {
      next_.share = share;
      uses_.push_back(next_);
      first_used_.push_back(num_used_);
    }
    const size_t first = num_used_;
    num_used_ += count;
    if (num_used_ > room_) grow(first);
    return used_.data() + first;
  }
  void grow(size_t used) {
    Room<uint32_t> larger;
    room_ = 2 * num_used_;
    larger.make(room_);
    std::copy_n(used_.data(), used, larger.data());
    used_ = std::move(larger);
  }

  /// Calls `visit(route, share)` for the hops that lanes of even load have.
  template <class F>
  void each_even(uint16_t epoch, bool is_send, std::span<const uint32_t> members, F&& visit) {
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
  void add_any(uint32_t group, const std::vector<Lane>& lanes, double most_even, std::span<const uint32_t> members) {
    of_group_.resize(asked_.size());
    of_lane_.resize(asked_.size());
    const auto add = [&](uint32_t link, double share) {
      *add_used(share, 1) = link;
      ++asked_[link].uses;
      if (of_lane_[link] == 0) in_lane_.push_back(link);
      of_lane_[link] += share;
    };
    const auto end_lane = [&](double limit) {
      for (const uint32_t link : in_lane_) {
        if (of_group_[link] == 0) in_group_.push_back(link);
        of_group_[link] = std::max(of_group_[link], limit * std::exchange(of_lane_[link], 0.0));
      }
      in_lane_.clear();
    };
    for (uint16_t e = 0; e < epochs_.size(); ++e) {
      if (most_even > 0) {
        begin(group, kEvenLanes, e);
        each_even(e, lanes[0].kernel == Kernel::send, members, [&](const auto& route, double share) {
          for (const uint32_t link : route) add(link, share);
        });
        end_lane(most_even);
      }
      for (uint16_t l = 0; l < lanes.size(); ++l) {
        const auto& [kernel, algorithm, protocol, limit, volume] = lanes[l];
        if (volume > 0) continue;
        begin(group, l, e);
        for (const auto& [link, weight] :
             collective_uses(collective_of(kernel), algorithm, members, epochs_[e], wire_bytes(protocol)))
          add(link, weight);
        end_lane(limit);
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
  std::vector<Use> uses_;
  Use next_;                        // of which links are added; a share below 0: of none so far
  std::vector<size_t> first_used_;  // of each use
  Room<uint32_t> used_;             // links by their number in the Topology
  size_t num_used_ = 0, room_;
  std::vector<double> of_group_, of_lane_;  // per link, where adding up takes more
  std::vector<uint32_t> in_group_, in_lane_;
};

}  // namespace

Traffic::Traffic(const PlanIndex& index, const Costs& costs, const Cluster& cluster,
                 std::span<const LinkChange> changes, bool every_link, LinkFacts& facts) {
  const std::vector<Cluster> epochs = epochs_of(cluster, changes);
  epochs_ = static_cast<uint32_t>(epochs.size());
  const uint32_t num_links = cluster.topology->num_links();
  const Groups& groups = index.groups();
  // Most often every rank passes on one hop of up to 8 links in each of its groups.
  MostAsked asked(num_links, epochs, costs, 8 * groups.all());
  for (uint32_t group = 0; group < groups.size(); ++group) asked.add(group, groups.members(group));
  if (asked.nothing()) return;
  facts.look_at(cluster.topology);
  links_ = find_bottlenecks(asked.of_links(), cluster.devices, changes, every_link, facts);
  if (links_.empty()) return;

  uses_ = asked.uses();
  constexpr uint32_t kDropped = ~0u;
  std::vector<uint32_t> next(num_links, kDropped);  // of each link's uses
  first_use_.reserve(links_.size() + 1);
  first_use_.push_back(0);
  for (const SharedLink& link : links_) {
    next[link.link] = first_use_.back();
    first_use_.push_back(first_use_.back() + asked.of_links()[link.link].uses);
  }
  of_links_.make(first_use_.back());
  uint32_t* const of_links = of_links_.data();
  for (uint32_t use = 0; use < uses_.size(); ++use) {
    for (const uint32_t link : asked.links_of(use)) {
      const uint32_t at = next[link];
      if (at == kDropped) continue;
      of_links[at] = use;
      next[link] = at + 1;
    }
  }
}

}  // namespace pgram::sim
