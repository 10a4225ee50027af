// The tasks of one step of a timeline and what each of them waited for: the Plan's own order (streams, waits, events,
// meetings) joined with the times of the spans. Idle reasons and the critical path are read off it.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/timeline/role_order.h"
#include "core/timeline/timeline.h"

namespace pgram {

/// One step. Ranks are real ones: of a folded timeline each has the spans of the rank that stands for it.
class StepGraph {
 public:
  /// The timeline must outlive it.
  StepGraph(const Timeline&, size_t step);

  struct Node {
    uint32_t rank = 0, task = 0;
    bool operator==(const Node&) const = default;
  };

  const Timeline& timeline() const { return timeline_; }
  const Plan& plan() const { return *timeline_.plan; }
  const Step& step() const { return timeline_.steps[step_]; }
  std::span<const Span> spans() const { return spans_; }

  const Span& span(Node node) const { return spans_[ranks_[own(node.rank)].span_of[node.task]]; }
  const Op& op(Node) const;
  Category category(Node) const;
  Task task(Node) const;
  Node node(const Span& span, uint32_t rank) const { return {rank, order(rank).task(span.call, span.op)}; }

  /// When a task began to work: its span's start, after the waiting for its partners. Spans keep whole nanoseconds of
  /// waiting; where the partners' spans say it to the picosecond, so does this.
  Picoseconds work(Node) const;
  /// Whether the stream holds no communication, and the rank's spans are in the plan's order and end in it, so that
  /// every task of the stream works from its span's start on. May be false where that is so.
  bool only_works(uint32_t rank, Stream stream) const {
    return !(communicating_ >> static_cast<int>(stream) & 1) && ranks_[own(rank)].last_so_far.empty();
  }
  /// The member of a communication that came last; the task's own rank if none came later than that.
  Node slowest(Node) const;
  /// The other end of a send or receive.
  std::optional<Node> partner(Node) const;
  /// Of what a task waits for before it can meet its partners, what ended last: it explains the task's start. Nothing
  /// where there is no such task or it left no span. Ends count up to the task's own start.
  std::optional<Node> explains(Node) const;
  /// With whom the task shared links, and how much later it ended because of that.
  std::span<const Contention> contention(Node) const;
  /// The task that ends last in the step; of several the one of the lowest rank. Nothing if the step has no spans.
  std::optional<Node> last() const { return last_; }

 private:
  static constexpr uint32_t kNone = ~0u;
  struct RankTasks {
    std::vector<uint32_t> span_of;  // task -> index into spans_
    // Task -> of it and all before it on its stream the task that ends last. Empty where that is the task itself: every
    // task has a span, and the spans of each stream end in the plan's order, as simulated ones do.
    std::vector<uint32_t> last_so_far;
  };
  /// Of a group's members one for each rank with spans of its own.
  struct Member {
    uint32_t rank = 0, own = 0;
  };

  uint32_t own(uint32_t rank) const { return timeline_.representative_of(rank); }
  const RoleOrder& order(uint32_t rank) const { return orders_[roles_[rank]]; }
  void add_rank(uint32_t rank);
  const Span* add_in_order(uint32_t rank, std::span<const Span>);
  void find_last_so_far(uint32_t rank);
  uint32_t index_of(const Span& span) const { return static_cast<uint32_t>(&span - spans_.data()); }
  const std::vector<Member>& members_of(uint16_t comm, uint32_t rank) const;
  std::optional<Node> at_turn(Member, uint16_t comm, uint32_t turn) const;

  const Timeline& timeline_;
  size_t step_;
  std::span<const Span> spans_;
  std::vector<uint32_t> roles_;
  std::vector<RoleOrder> orders_;
  std::vector<RankTasks> ranks_;  // empty where another rank stands for it
  std::optional<Node> last_;
  uint32_t communicating_ = 0;                                     // bit for each stream with communication
  mutable std::vector<std::vector<std::vector<Member>>> members_;  // by rank and communicator, once asked for
};

}  // namespace pgram
