// The tasks of one step of a timeline and what each of them waited for: the Plan's own order (streams, waits, events,
// meetings) joined with the times of the spans. Idle reasons and the critical path are read off it.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/timeline/rank_tasks.h"
#include "core/timeline/role_order.h"
#include "core/timeline/timeline.h"

namespace pgram {

/// A task of the step with its span, which is that of the rank that stands for the task's own.
struct TaskSpan {
  uint32_t rank = 0;
  const Span* span = nullptr;  ///< null: there is no such task, or it left no span

  explicit operator bool() const { return span != nullptr; }
  bool operator==(const TaskSpan&) const = default;
  RoleTask in_role() const { return {span->call, span->op}; }
  Task task() const { return {rank, span->call, span->op}; }
};

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
  /// A rank's, sorted by stream and start; and those on one of its streams.
  std::span<const Span> spans(uint32_t rank) const { return tasks(rank).spans; }
  std::span<const Span> spans(uint32_t rank, Stream) const;

  /// To ask much of one rank; it stays where it is.
  const RankTasks& tasks(uint32_t rank) const { return classes_[class_of_[rank]]; }
  TaskSpan find(const Task& task) const { return {task.rank, tasks(task.rank).find({task.call, task.op})}; }
  const BodyOrders::OpOrder& op(const TaskSpan& task) const { return tasks(task.rank).op(*task.span); }
  Kernel kernel(const TaskSpan& task) const { return op(task).kernel; }
  Category category(const TaskSpan& task) const { return op(task).category; }
  uint32_t role(uint32_t rank) const { return tasks(rank).role; }
  /// Whether all ranks of a role have the same spans.
  bool all_alike(uint32_t role) const { return classes_of_[role] == 1; }

  /// When a task began to work: its span's start, after the waiting for its partners. Spans keep whole nanoseconds of
  /// waiting; where the partners' spans say it to the picosecond, so does this.
  Picoseconds work(const TaskSpan&) const;
  /// Of a communication whose slowest member is known, by their spans.
  Picoseconds work(const Span&, const Span& slowest) const;
  /// Neighbours in a list.
  struct Run {
    uint32_t first = 0, count = 0;
  };
  /// What a rank's compute stream did where it holds no communication, and the rank's spans are in the plan's order and
  /// end in it, so that every task works from its span's start on. Null where it is not known to be so.
  struct Compute {
    Run gaps, loose;          ///< of gaps() and loose_tensor_spans()
    Picoseconds covered = 0;  ///< the other gaps
    uint32_t covered_calls = 0;
    Picoseconds tensor_time = 0;                  ///< of the tensor stream's spans that are not loose
    std::array<Picoseconds, kCategories> busy{};  ///< by category
    bool disjoint = true;                         ///< else tasks overlap, or reach out of the step
  };
  const Compute* compute(uint32_t rank) const { return classes_[class_of_[rank]].compute; }
  /// From when the compute task before has ended, or the step has begun, until `next` starts: the next compute task, or
  /// the collective that is at work from then on until that starts.
  struct Gap {
    Picoseconds start = 0;
    const Span* next = nullptr;
  };
  /// Without what is covered: a tensor collective of ranks that are all alike is at work, for which the next compute
  /// task waits; it waited for nobody and had all links for itself.
  std::span<const Gap> gaps(const Compute& compute) const {
    return {gaps_.data() + compute.gaps.first, compute.gaps.count};
  }
  /// The tensor stream but for those spans of covered calls that are over when the call's last compute ends.
  std::span<const std::span<const Span>> loose_tensor_spans(const Compute& compute) const {
    return {loose_.data() + compute.loose.first, compute.loose.count};
  }
  /// The member of a communication that came last; the task itself if none came later than that.
  TaskSpan slowest(const TaskSpan& task) const { return slowest(task, op(task)); }
  TaskSpan slowest(const TaskSpan& task, const BodyOrders::OpOrder& op) const {
    return op.in_role && all_alike(role(task.rank)) ? task : slowest_member(task, op);  // all others are alike
  }
  /// The other end of a send or receive.
  TaskSpan partner(const TaskSpan&) const;
  /// See RankTasks.
  TaskSpan explains(const TaskSpan& task) const { return {task.rank, tasks(task.rank).explains(*task.span)}; }
  /// With whom the task shared links, and how much later it ended because of that.
  std::span<const Contention> contention(const Span&) const;
  /// The task that ends last in the step; of several the one of the lowest rank. Null if the step has no spans.
  const TaskSpan& last() const { return last_; }

 private:
  static constexpr uint32_t kNone = ~0u;
  /// Ranks that are alike: one that has spans of its own, and those that it stands for.
  struct Class : RankTasks {
    const Compute* compute = nullptr;
  };
  /// What is the same in all AlikeCalls of one pattern, from the first compute span to the end of the last.
  struct Pattern {
    bool is_known = false, is_covered = false;
    uint16_t tensor_lane = 0;  ///< of the body's
    uint32_t num_compute = 0;
    uint32_t first_tensor = 0, num_tensor = 0;  ///< of the tensor lane those that begin and end meanwhile
    Picoseconds length = 0, gaps = 0, tensor_time = 0;
    const BodyOrders::OpOrder* awaited = nullptr;  ///< by the first compute span: tensor_collective_before()
    Category category = Category::other;           ///< of the compute
    uint32_t calls = 0;                            ///< that are covered, of the rank that is looked at
  };
  /// Of the operations of all roles on a communicator, the one that begins last; of several that of the first role.
  struct Latest {
    uint16_t comm = kNoComm;
    uint32_t turn = 0;
    TaskSpan task;
  };
  /// Of a group's members one for each rank with spans of its own.
  struct Member {
    uint32_t rank = 0, own = 0;
  };

  uint32_t own(uint32_t rank) const { return timeline_.representative_of(rank); }
  Class& class_of(uint32_t rank) { return classes_[class_of_[rank]]; }
  const RoleOrder& order(uint32_t rank) const { return *tasks(rank).order; }
  StepGraph(const Timeline&, size_t step, std::unique_ptr<const PlanOrder>);
  void find_classes();
  void add_rank(uint32_t rank, std::span<const Span>);
  bool add_in_order(uint32_t rank);
  void add_by_task(uint32_t rank);
  void note_last(uint32_t rank);
  /// Of a stream's spans: the least number that the next task may have, and when the last one ended.
  struct Reached {
    uint32_t number = 0;
    Picoseconds time = 0;
  };
  bool go_on_in_order(uint32_t rank, Stream, std::span<const Span>, Reached&) const;
  bool calls_in_order(uint32_t rank, Compute&);
  std::span<const AlikeCall> alike_calls(uint32_t rank) const;
  void learn(Pattern&, const AlikeCall&, const Span& first) const;
  const BodyOrders::OpOrder* tensor_collective_before(const RankTasks&, const Span&) const;
  const Span* lone_before(const RankTasks&, const Span&, const BodyOrders::OpOrder& collective) const;
  bool note_gap(const Span& next, Picoseconds now, const Span* before, Compute&);
  void note_contention();
  uint32_t index_of(const Span& span) const { return static_cast<uint32_t>(&span - spans_.data()); }
  bool is_contended(uint32_t span) const { return !contended_.empty() && contended_[span / 64] >> span % 64 & 1; }
  TaskSpan slowest_member(const TaskSpan&, const BodyOrders::OpOrder&) const;
  TaskSpan other_end(const TaskSpan&, uint16_t channel) const;
  bool meets_all_roles(const Communicator& group) const {
    return classes_.size() == classes_of_.size() && !group.directed && group.axes & kPp && group.roles.empty();
  }
  TaskSpan latest_of_roles(uint16_t comm, uint32_t turn, const TaskSpan&) const;
  const std::vector<Member>& members_of(uint16_t comm, uint32_t rank) const;
  TaskSpan met(uint32_t rank, const TaskSpan& task, uint16_t comm) const;

  const Timeline& timeline_;
  size_t step_;
  std::unique_ptr<const PlanOrder> made_;  // where none was given
  const PlanOrder& order_;
  std::span<const Span> spans_;
  uint32_t stage_stride_ = 0;         // between ranks of neighbouring roles
  std::vector<uint32_t> class_of_;    // by rank
  std::vector<uint32_t> classes_of_;  // by role: how many
  std::vector<Class> classes_;
  /// Of ranks whose spans are in the plan's order.
  std::vector<RankTasks::Streams> streams_;
  std::vector<Compute> computes_;
  std::vector<Gap> gaps_;
  std::vector<std::span<const Span>> loose_;
  std::vector<Pattern> patterns_;
  std::deque<RankTasks::ByTask> by_task_;
  std::span<const Contention> contention_;
  std::vector<uint64_t> contended_;  // a bit for each span, set for those with contention; empty where none has any
  TaskSpan last_;
  mutable Latest latest_;                                          // asked for last
  mutable std::vector<std::vector<std::vector<Member>>> members_;  // by rank and communicator, once asked for
};

inline Picoseconds StepGraph::work(const Span& own, const Span& slowest) const {
  constexpr Picoseconds kUnit = 1000;  // of Span::wait()
  const Picoseconds known = std::min(own.start + own.wait(), own.end);
  const Picoseconds latest = slowest.start;
  return latest >= known && latest < known + kUnit ? std::min(latest, own.end) : known;
}

inline std::span<const Contention> StepGraph::contention(const Span& span) const {
  const uint32_t index = index_of(span);
  if (!is_contended(index)) return {};
  const auto range = std::ranges::equal_range(contention_, index, {}, &Contention::span);
  return {range.begin(), range.end()};
}

}  // namespace pgram
