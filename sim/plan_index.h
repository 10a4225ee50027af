// A Plan and what simulations need to know of it alone, worked out once, on however many clusters it is simulated.
#pragma once
#include <array>
#include <compare>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "core/base/units.h"
#include "core/plan/plan.h"
#include "sim/groups.h"
#include "sim/stream_order.h"

namespace pgram::sim {

/// What the ops of each communicator move, each once.
struct Transfers {
  struct Transfer {
    Kernel kernel;
    Bytes bytes;
    auto operator<=>(const Transfer&) const = default;
  };
  std::vector<std::vector<Transfer>> of_comm;
  std::vector<uint16_t> of_op;  ///< per op of all bodies (see Usage::first_op): index into its communicator's
};

/// What the event loop needs beyond what the evaluator does.
struct StreamIndex {
  std::vector<BodyStreams> bodies;
  std::vector<StreamOrder> orders;      ///< of each role
  std::vector<uint16_t> first_compute;  ///< op of each body; as many as it has: none
  /// Of each body its number among those whose calls may run as one; CallTimes::kNoBody: none.
  std::vector<uint16_t> closable;
  uint32_t num_closable = 0;
  uint32_t largest_group = 0;  ///< tasks; 0 where there are no groups

  StreamIndex(const Plan&, const Usage&);
};

/// For any number of simulations, also at the same time. What not all of them need is made for the first that asks.
class PlanIndex {
 public:
  explicit PlanIndex(std::shared_ptr<const Plan>);

  const Plan& plan() const { return *plan_; }
  const std::shared_ptr<const Plan>& shared_plan() const { return plan_; }
  const Usage& usage() const { return usage_; }
  const Transfers& transfers() const { return transfers_; }
  /// Whether the tasks of every stream end in the order in which they begin, so that what an event says is the end of
  /// the task before it. Not so where a receive, whose latency holds no stream, has another task behind it than a
  /// receive of the same size on the same channel, and not in groups.
  bool ends_in_order() const { return ends_in_order_; }
  /// Tasks of a rank on each stream.
  const std::array<uint64_t, kStreams>& tasks(uint32_t role) const { return tasks_[role]; }

  const Groups& groups() const {
    return groups_.get([&] { return Groups(plan(), usage_); });
  }
  const StreamIndex& streams() const {
    return streams_.get([&] { return StreamIndex(plan(), usage_); });
  }

 private:
  template <typename T>
  class WhenAsked {
   public:
    template <class Make>
    const T& get(const Make& make) const {
      std::call_once(once_, [&] { made_.emplace(make()); });
      return *made_;
    }

   private:
    mutable std::once_flag once_;
    mutable std::optional<T> made_;
  };

  std::shared_ptr<const Plan> plan_;
  Usage usage_;
  Transfers transfers_;
  bool ends_in_order_;
  std::vector<std::array<uint64_t, kStreams>> tasks_;
  WhenAsked<Groups> groups_;
  WhenAsked<StreamIndex> streams_;
};

}  // namespace pgram::sim
