#include "sim/deadlock.h"

#include <algorithm>
#include <map>
#include <optional>

#include "core/timeline/role_order.h"

namespace pgram::sim {
namespace {

class WaitChain {
 public:
  WaitChain(const Problem& problem, const std::vector<Stuck>& stuck) : problem_(problem), stuck_(stuck) {}

  std::string text() {
    // From any stuck task the waits lead either around or to a rank that never comes.
    std::vector<size_t> chain{0};
    while (const auto next = blocker_of(chain.back())) {
      const auto known = std::ranges::find(chain, *next);
      if (known != chain.end()) {
        chain.erase(chain.begin(), known);
        return "deadlock: " + text_of(chain) + ": a cycle of " + std::to_string(chain.size()) +
               (chain.size() == 1 ? " wait" : " waits");
      }
      chain.push_back(*next);
    }
    return "deadlock: " + text_of(chain);
  }

 private:
  struct Missing {
    uint32_t rank = 0;
    std::optional<RoleTask> task;  ///< with which it should come; none: its program has no such operation
  };

  const RoleOrder& order(uint32_t rank) const { return order_.role(problem_.plan.role(rank)); }

  /// The first member that has not come where the task waits. Of ranks that are alike only one is simulated; those that
  /// do not use the communicator meet nowhere.
  std::optional<Missing> missing(const Stuck& stuck) {
    const RoleOrder& own = order(stuck.task.rank);
    const uint32_t turn = own.turn({stuck.task.call, stuck.task.op});
    const uint32_t place =
        std::ranges::find(problem_.instances, stuck.task.rank, &Instance::rank)->meetings[stuck.comm];
    for (const Instance& other : problem_.instances) {
      const bool waits = std::ranges::any_of(
          stuck_, [&](const Stuck& s) { return s.task.rank == other.rank && s.comm == stuck.comm; });
      if (other.meetings[stuck.comm] != place || waits) continue;
      return Missing{other.rank, order(other.rank).at_turn(stuck.comm, turn)};
    }
    for (uint32_t member : members(problem_.plan, stuck.comm, stuck.task.rank)) {
      if (!order(member).at_turn(stuck.comm, 0)) return Missing{member, std::nullopt};
    }
    return std::nullopt;
  }

  /// Which stuck task keeps the missing member from coming: one that its task waits for; else, where tasks are issued
  /// no further, the first that was issued before it.
  std::optional<size_t> blocker_of(size_t at) {
    const auto member = missing(stuck_[at]);
    if (!member || !member->task) return std::nullopt;
    const RoleOrder& order = this->order(member->rank);
    std::map<RoleTask, size_t> candidates;  // task -> index into stuck_
    for (size_t i = 0; i < stuck_.size(); ++i) {
      if (stuck_[i].task.rank == member->rank) candidates[{stuck_[i].task.call, stuck_[i].task.op}] = i;
    }
    std::vector<char> seen(order.size());
    std::vector<RoleTask> open{*member->task};
    while (!open.empty()) {
      const RoleTask task = open.back();
      open.pop_back();
      if (const auto found = candidates.find(task); found != candidates.end()) return found->second;
      order.for_predecessors(task, [&](RoleTask before) {
        char& was_seen = seen[order.number(before)];
        if (!was_seen) open.push_back(before);
        was_seen = 1;
        return true;
      });
    }
    if (candidates.empty() || candidates.begin()->first >= *member->task) return std::nullopt;
    return candidates.begin()->second;
  }

  std::string text_of(const std::vector<size_t>& chain) {
    constexpr size_t kNamed = 32;
    std::string text;
    for (size_t i = 0; i < std::min(chain.size(), kNamed); ++i) {
      const Stuck& stuck = stuck_[chain[i]];
      text += (i ? "; that" : to_text(problem_.plan, stuck.task)) + " waits on " + problem_.plan.comms[stuck.comm].name;
      const auto member = missing(stuck);
      if (!member) continue;
      if (!member->task) {
        text += " for rank " + std::to_string(member->rank) + ", which never comes: its program has no such operation";
        continue;
      }
      text += " for " + to_text(problem_.plan, {member->rank, member->task->call, member->task->op});
      if (const auto blocker = blocker_of(chain[i]))
        text += ", which comes after " + to_text(problem_.plan, stuck_[*blocker].task);
    }
    if (chain.size() > kNamed) text += "; and " + std::to_string(chain.size() - kNamed) + " more";
    return text;
  }

  const Problem& problem_;
  const std::vector<Stuck>& stuck_;
  const PlanOrder order_{problem_.plan};
};

}  // namespace

std::string deadlock_text(const Problem& problem, const std::vector<Stuck>& stuck) {
  return stuck.empty() ? "deadlock" : WaitChain(problem, stuck).text();
}

}  // namespace pgram::sim
