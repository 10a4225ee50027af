// Max-min fair rates of flows over links, kept up to date while flows come and go.
#pragma once
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "sim/network/list_pool.h"

namespace pgram::sim {

/// How much of a link a flow uses: bytes over the link per byte of the flow's progress. A send uses each link of its
/// route once; a ring of ranks is one flow whose route is every hop's.
struct LinkUse {
  uint32_t link = 0;
  double weight = 1;
};

/// Every link has a level, the rate at which it holds back those of its flows that nothing else holds back more;
/// infinity where the link is not full. A flow's rate is the lowest of its bound and its links' levels, and the level
/// of a link is what fills it, given the bounds that its flows have elsewhere. Only the max-min rates fulfil both.
///
/// A change is worked out as if all rates rose from 0 once more, but only where the outcome differs: at the links of
/// what changed, in the order of their levels, and from them at the links of those flows whose rate is then another.
/// Each link that is reached is opened at most once (its old level is too low) and fixed at most once.
class MaxMin {
 public:
  explicit MaxMin(std::vector<double> capacities);

  /// `slot`: small numbers of the caller, used again and again. A link may come twice.
  void add(uint32_t slot, double limit, std::span<const LinkUse> uses);
  void remove(uint32_t slot);
  void set_capacity(uint32_t link, double capacity);
  /// Of a flow that is alone on its links.
  double rate_alone(double limit, std::span<const LinkUse> uses) const;

  /// The slots of new flows and of those whose rate may have changed since the last call; valid until the next call.
  std::span<const uint32_t> work_out();
  double rate(uint32_t slot) const { return flows_[slot].lowest; }
  double limit(uint32_t slot) const { return limits_[slot]; }
  void prefetch(uint32_t link) const { __builtin_prefetch(&links_[link], 1); }
  uint64_t touched() const { return touched_; }  ///< flows looked at in a call, summed over all calls

 private:
  static constexpr double kInfinity = std::numeric_limits<double>::infinity();
  static constexpr uint32_t kNone = ~0U;

  /// What holds it back is the lowest of its bound and its links' levels; for that link's eyes it is the second lowest.
  /// One cache line, as a flow is most often looked at for the sake of one link, far from those before it.
  struct alignas(64) Flow {
    double lowest = 0, second = 0;
    double bound = 0;       // the lower of its limit and what its links would give it alone
    uint32_t link = kNone;  // whose level is the lowest
    uint32_t seen = 0;      // the call in which it was last looked at
    ShortList uses;         // links, each once
    bool changed = false;   // in changed_
  };
  static_assert(sizeof(Flow) == 64);
  enum class State : uint8_t { idle, reached, fixed };
  /// One cache line.
  struct alignas(64) Link {
    /// Where the rising rates stop at it: where it lets its flows go on, or is full.
    double stop() const { return level < candidate ? level : candidate; }

    double capacity = 0;
    double level = kInfinity;
    double before = kInfinity;  // level before this call
    double candidate = 0;       // what the level would be as things stand
    ShortList users;            // slots
    uint32_t weights = kNone;   // of its users, by their place: where they begin in weights_; kNone: all are 1
    State state = State::idle;
    bool stale = false;    // candidate is only a lower bound, or has to be looked at again
    bool widened = false;  // in widened_
  };
  static_assert(sizeof(Link) == 64);

  std::span<const uint32_t> links_of(const Flow& flow) const { return flow.uses.in(numbers_); }
  std::span<const uint32_t> users_of(const Link& link) const { return link.users.in(numbers_); }
  double weight(const Link& link, uint32_t place) const {
    return link.weights == kNone ? 1 : weights_.at(link.weights)[place];
  }
  static uint32_t place_of(uint32_t slot, std::span<const uint32_t> users);
  void add_user(Link& link, uint32_t slot, double weight);
  void set_weight(Link& link, uint32_t place, double weight);
  void drop_weights(Link& link, uint32_t places);

  void find_bound(uint32_t slot);
  void find_lowest(uint32_t slot);
  void mark_changed(uint32_t slot);
  double fill(uint32_t link);
  void reach(uint32_t link);
  void look_again(uint32_t link);
  void schedule(uint32_t link);
  void open(uint32_t link);
  void widen(uint32_t link, double old);
  void fix(uint32_t link);
  void lower_level(uint32_t slot, uint32_t link, double level);

  std::vector<Link> links_;
  std::vector<Flow> flows_;     // by slot
  std::vector<double> limits_;  // by slot
  ShortList::Pool numbers_;
  ListPool<double> weights_;

  std::vector<uint32_t> reached_, widened_;         // links
  std::vector<std::pair<double, uint32_t>> stops_;  // a heap of links; those whose stop is now another are void
  std::vector<uint32_t> changed_, reported_;        // slots
  std::vector<std::pair<double, double>> filling_;  // bound and weight of a link's flows
  uint32_t call_ = 0;
  uint64_t touched_ = 0;
};

}  // namespace pgram::sim
