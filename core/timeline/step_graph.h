// The tasks of one step of a timeline and what each of them waited for: the Plan's own order (streams, waits, events,
// meetings) joined with the times of the spans. Idle reasons and the critical path are read off it.
#pragma once
#include <array>
#include <cstdint>
#include <deque>
#include <memory>
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
  /// With the order of the timeline's plan, made before, which must outlive it.
  StepGraph(const Timeline&, size_t step, const PlanOrder&);
  StepGraph(const StepGraph&) = delete;
  StepGraph& operator=(const StepGraph&) = delete;

  const Timeline& timeline() const { return timeline_; }
  const Plan& plan() const { return *timeline_.plan; }
  const Step& step() const { return timeline_.steps[step_]; }
  std::span<const Span> spans() const { return spans_; }

  const Span& span(const Task& task) const { return spans_[index_of(task)]; }
  Kernel kernel(const Task& task) const { return op(task).kernel; }
  Category category(const Task& task) const { return op(task).category; }
  uint32_t role(uint32_t rank) const { return roles_[rank]; }
  /// Whether all ranks of a role have the same spans.
  bool all_alike(uint32_t role) const { return one_class_[role]; }

  /// When a task began to work: its span's start, after the waiting for its partners. Spans keep whole nanoseconds of
  /// waiting; where the partners' spans say it to the picosecond, so does this.
  Picoseconds work(const Task&) const;
  /// Of a communication whose slowest member is known, by their spans.
  Picoseconds work(const Span&, const Span& slowest) const;
  /// Neighbours in a list.
  struct Run {
    uint32_t first = 0, count = 0;
  };
  /// What a rank's compute stream did where it holds no communication, and the rank's spans are in the plan's order and
  /// end in it, so that every task works from its span's start on. Null where it is not known to be so.
  struct Compute {
    Run gaps, covered, loose;                     ///< of after_gaps(), covered_gaps() and loose_tensor_spans()
    Picoseconds tensor_time = 0;                  ///< of the tensor stream's spans that are not loose
    std::array<Picoseconds, kCategories> busy{};  ///< by category
    Picoseconds idle = 0;                         ///< until the last task ends
    bool disjoint = true;                         ///< else tasks overlap, or reach out of the step
  };
  const Compute* compute(uint32_t rank) const { return ranks_[rank].compute; }
  /// The spans, as places in spans(), that begin after the one before has ended, or after the step has begun.
  std::span<const uint32_t> after_gaps(const Compute& compute) const {
    return {after_gaps_.data() + compute.gaps.first, compute.gaps.count};
  }
  /// Of an AlikeCall the gaps between its compute spans, if all of each is covered by a tensor collective of the call,
  /// which waited for nobody and had all links for itself.
  struct CoveredGaps {
    uint32_t first = 0, count = 0;  ///< in after_gaps()
    Picoseconds time = 0;
    uint32_t call = 0, pattern = 0;
  };
  std::span<const CoveredGaps> covered_gaps(const Compute& compute) const {
    return {covered_gaps_.data() + compute.covered.first, compute.covered.count};
  }
  /// The tensor stream, as places in spans(), but for those spans of calls with covered gaps that are over when the
  /// call's last compute ends.
  std::span<const Run> loose_tensor_spans(const Compute& compute) const {
    return {loose_.data() + compute.loose.first, compute.loose.count};
  }
  /// The member of a communication that came last; the task's own rank if none came later than that.
  Task slowest(const Task&) const;
  /// The other end of a send or receive.
  std::optional<Task> partner(const Task&) const;
  /// Of what a task waits for before it can meet its partners, what ended last: it explains the task's start. Nothing
  /// where there is no such task or it left no span. Ends count up to the task's own start.
  std::optional<Task> explains(const Task&) const;
  /// Most of the waiting of a simulation in short: the op of the span's call that explains the span's start, where it
  /// is a collective of ranks that are all alike, had all links for itself and was at work from `from` or before on.
  /// kNoOp where it is not, or where that is not seen at once. Only where all ranks of the role are alike or in an
  /// AlikeCall, and for what is after a gap of a Compute, which begins at `from`.
  uint16_t lone_collective_before(const Span&, uint32_t rank, Picoseconds from) const;
  static constexpr uint16_t kNoOp = BodyOrders::kNone;
  /// With whom the task shared links, and how much later it ended because of that.
  std::span<const Contention> contention(const Task& task) const { return contention(span(task)); }
  std::span<const Contention> contention(const Span&) const;
  /// The task that ends last in the step; of several the one of the lowest rank. Nothing if the step has no spans.
  std::optional<Task> last() const { return last_; }

 private:
  static constexpr uint32_t kNone = ~0u;
  static constexpr RoleTask kNobody{kNone, 0};
  /// By number of the task: its span, and of it and all before it on its stream the one that ends last.
  struct ByTask {
    std::vector<uint32_t> span_of;
    std::vector<RoleTask> last_so_far;
  };
  /// The tasks of a rank are those of the one that stands for it.
  struct RankTasks {
    uint32_t own = 0;
    const RoleOrder* order = nullptr;
    /// Where every task has a span, and the spans of each stream are and end in the plan's order, as simulated ones do:
    /// the first span of each stream. Else by_task.
    const uint32_t* first_span = nullptr;
    const ByTask* by_task = nullptr;
    const Compute* compute = nullptr;
  };
  /// What is the same in all AlikeCalls of one pattern, from the first compute span to the end of the last.
  struct Pattern {
    bool is_known = false, is_covered = false;
    std::vector<uint16_t> after_gaps;  ///< places among the compute spans
    Picoseconds length = 0, gaps = 0;
    uint32_t first_tensor = 0, num_tensor = 0;  ///< of its tensor ops those that begin and end meanwhile
    Picoseconds tensor_time = 0;
  };
  /// Of the operations of all roles on a communicator, the one that begins last; of several that of the first role.
  struct Latest {
    uint16_t comm = kNoComm;
    uint32_t turn = 0;
    std::optional<Task> task;
    Picoseconds start = 0;
  };
  /// Of a group's members one for each rank with spans of its own.
  struct Member {
    uint32_t rank = 0, own = 0;
  };

  uint32_t own(uint32_t rank) const { return timeline_.representative_of(rank); }
  const RoleOrder& order(uint32_t rank) const { return *ranks_[rank].order; }
  const BodyOrders::OpOrder& op(const Task& task) const { return order(task.rank).op({task.call, task.op}); }
  StepGraph(const Timeline&, size_t step, std::unique_ptr<const PlanOrder>);
  void find_roles();
  void add_rank(uint32_t rank);
  const Span* add_in_order(uint32_t rank, std::span<const Span>);
  /// Of a stream's spans: the least number that the next task may have, and when the last one ended.
  struct Reached {
    uint32_t number = 0;
    Picoseconds time = 0;
  };
  bool go_on_in_order(const RoleOrder&, std::span<const Span>, Reached&) const;
  bool computes_in_order(uint32_t rank, std::span<const Span> stream, Compute&);
  bool is_tensor_in_order(uint32_t rank, std::span<const Span> stream, Compute&);
  std::span<const AlikeCall> alike_calls(uint32_t rank) const;
  void learn(Pattern&, uint32_t rank, std::span<const Span> computing) const;
  void add_covered(const AlikeCall&, const Span& first, Compute&);
  bool note_gap(const Span&, Picoseconds now, Compute&);
  void add_by_task(const RoleOrder&, const Program&, std::span<const Span>);
  void note_contention();
  uint32_t index_of(const Span& span) const { return static_cast<uint32_t>(&span - spans_.data()); }
  uint32_t index_of(const Task&) const;
  bool is_contended(uint32_t span) const { return !contended_.empty() && contended_[span / 64] >> span % 64 & 1; }
  template <class Visit>
  void for_members(uint16_t comm, uint32_t rank, Visit&& visit) const;
  bool meets_all_roles(uint16_t comm) const {
    const Communicator& group = plan().comms[comm];
    return one_class_a_role_ && !group.directed && group.axes & kPp && group.roles.empty();
  }
  Task latest_of_roles(uint16_t comm, uint32_t turn, const Task&) const;
  const std::vector<Member>& members_of(uint16_t comm, uint32_t rank) const;
  static bool has_span(const RankTasks& tasks, const RoleTask& task) {
    return tasks.first_span || tasks.by_task->span_of[tasks.order->number(task)] != kNone;
  }
  std::optional<Task> at_turn(uint32_t rank, uint16_t comm, uint32_t turn) const;
  std::optional<Task> met(uint32_t rank, const Task& task, uint16_t comm) const;

  const Timeline& timeline_;
  size_t step_;
  std::unique_ptr<const PlanOrder> made_;  // where none was given
  const PlanOrder& order_;
  std::span<const Span> spans_;
  std::vector<uint32_t> roles_;  // by rank
  std::vector<char> one_class_;  // by role: all of its ranks are alike
  bool one_class_a_role_ = true;
  uint32_t stage_stride_ = 0;  // between ranks of neighbouring roles
  std::vector<RankTasks> ranks_;
  /// Of ranks whose spans are in the plan's order.
  std::vector<std::array<uint32_t, kStreams>> first_spans_;
  std::vector<Compute> computes_;
  std::vector<uint32_t> after_gaps_;
  std::vector<CoveredGaps> covered_gaps_;
  std::vector<Run> loose_;
  std::vector<Pattern> patterns_;
  std::deque<ByTask> by_task_;
  std::span<const Contention> contention_;
  std::vector<uint64_t> contended_;  // a bit for each span, set for those with contention; empty where none has any
  std::optional<Task> last_;
  Picoseconds last_end_ = 0;
  mutable Latest latest_;                                          // asked for last
  mutable std::vector<std::vector<std::vector<Member>>> members_;  // by rank and communicator, once asked for
};

inline uint32_t StepGraph::index_of(const Task& task) const {
  const RankTasks& tasks = ranks_[task.rank];
  const RoleTask own{task.call, task.op};
  if (!tasks.first_span) return tasks.by_task->span_of[tasks.order->number(own)];
  return tasks.first_span[static_cast<size_t>(tasks.order->op(own).stream)] + tasks.order->place(own);
}

inline uint16_t StepGraph::lone_collective_before(const Span& task, uint32_t rank, Picoseconds from) const {
  const RankTasks& tasks = ranks_[rank];
  for (const uint16_t op : order_.bodies().waits_of(tasks.order->op({task.call, task.op}))) {
    const BodyOrders::OpOrder& awaited = tasks.order->op({task.call, op});
    const uint32_t index = tasks.first_span[static_cast<size_t>(awaited.stream)] + tasks.order->place({task.call, op});
    const Span& span = spans_[index];
    if (span.end < task.start) continue;
    const bool lone = awaited.in_role && is_communication(awaited.kernel) && !span.waits() && !is_contended(index);
    return lone && span.start <= from ? op : kNoOp;
  }
  return kNoOp;
}

}  // namespace pgram
