#include "core/timeline/idle.h"

#include <algorithm>
#include <limits>

#include "core/timeline/lookup.h"
#include "core/timeline/text_table.h"

namespace pgram {
namespace {

/// Where the pieces go: all of them in a list, or only their sums. What explains one stretch comes from its end to its
/// start, then close().
class IdleList {
 public:
  static constexpr bool kSums = false;
  void add(const StepGraph&, uint8_t stream, IdleReason reason, TaskSpan awaited, bool running, Picoseconds from,
           Picoseconds to) {
    idle_.push_back({stream, reason, running, from, to, awaited ? std::optional(awaited.task()) : std::nullopt});
  }
  void add_link(uint8_t stream, const Contention& other, Picoseconds from, Picoseconds to) {
    idle_.push_back({stream, IdleReason::link, true, from, to, Task{other.rank, other.call, other.op}});
  }
  void close() {
    std::ranges::reverse(idle_.begin() + static_cast<ptrdiff_t>(closed_), idle_.end());
    closed_ = idle_.size();
  }
  std::vector<Idle> take() { return std::move(idle_); }

 private:
  std::vector<Idle> idle_;
  size_t closed_ = 0;
};

class IdleTotals {
 public:
  static constexpr bool kSums = true;
  void add(const StepGraph& graph, uint8_t, IdleReason reason, TaskSpan awaited, bool, Picoseconds from,
           Picoseconds to) {
    sums_.reason[static_cast<size_t>(reason)] += to - from;
    if (reason == IdleReason::task) sums_.task[static_cast<size_t>(graph.category(awaited))] += to - from;
  }
  void add_link(uint8_t, const Contention&, Picoseconds from, Picoseconds to) {
    sums_.reason[static_cast<size_t>(IdleReason::link)] += to - from;
  }
  void add_covered(Picoseconds time) {
    sums_.reason[static_cast<size_t>(IdleReason::task)] += time;
    sums_.task[static_cast<size_t>(Category::tensor_comm)] += time;
  }
  void close() {}
  const IdleSums& sums() const { return sums_; }

 private:
  IdleSums sums_;
};

/// Finds the reasons of one stream's idle stretches, each from its end backwards.
template <class Pieces>
class Explainer {
 public:
  Explainer(const StepGraph& graph, uint32_t rank, std::span<const Span> spans, Pieces& pieces)
      : graph_(graph),
        rank_(rank),
        stream_(spans.front().stream),
        spans_(spans),
        compute_(stream_ == static_cast<uint8_t>(Stream::compute) ? graph.compute(rank) : nullptr),
        tasks_(graph.tasks(rank)),
        pieces_(pieces) {
    if (stream_ == static_cast<uint8_t>(Stream::compute) && graph.plan().mesh.size[2] > 1) find_phases();
  }

  void run() {
    const Picoseconds now = compute_ ? explain_gaps() : explain_works();
    if (now < graph_.step().end) explain_end(now, graph_.step().end);
  }

 private:
  using OpOrder = BodyOrders::OpOrder;

  TaskSpan task_of(const Span& span) const { return {rank_, &span}; }

  // Both give when the last task ends.

  Picoseconds explain_gaps() {
    if constexpr (Pieces::kSums) {
      pieces_.add_covered(compute_->covered);
      for (const auto& [start, next] : graph_.gaps(*compute_)) explain_gap(*next, start);
      return spans_.back().end;
    }
    Picoseconds now = graph_.step().start;
    for (const Span& span : spans_) {
      if (now < span.start) explain_gap(span, now);
      now = span.end;
    }
    return now;
  }

  /// [from, the span's start) is idle.
  void explain_gap(const Span& span, Picoseconds from) {
    const Picoseconds end = graph_.step().end;
    if (from < end) explain(span, from, std::min(span.start, end));
  }

  Picoseconds explain_works() {
    struct Work {
      Picoseconds begin = 0;
      const Span* span = nullptr;
    };
    std::vector<Work> works;
    works.reserve(spans_.size());
    for (const Span& span : spans_) works.push_back({graph_.work(task_of(span)), &span});
    if (!std::ranges::is_sorted(works, {}, &Work::begin)) std::ranges::stable_sort(works, {}, &Work::begin);
    const Picoseconds end = graph_.step().end;
    Picoseconds now = graph_.step().start;
    for (const auto& [begin, span] : works) {
      if (begin > now) {
        if (now >= end) break;
        explain(*span, now, std::min(begin, end));
      }
      now = std::max(now, span->end);
    }
    return now;
  }

  void find_phases() {
    const auto is = [&](Category category) {
      return [this, category](const Span& span) { return graph_.category(task_of(span)) == category; };
    };
    if (compute_) {  // so that they end in order
      const auto first = std::ranges::find_if(spans_, is(Category::forward));
      const auto last = std::ranges::find_if(spans_.rbegin(), spans_.rend(), is(Category::backward));
      computes_ = first != spans_.end();
      if (computes_) first_forward_ = first->start;
      if (last != spans_.rend()) last_backward_ = last->end;
      return;
    }
    for (const Span& span : spans_) {
      const Category category = graph_.category(task_of(span));
      if (category == Category::forward && !computes_) first_forward_ = span.start;
      if (category == Category::backward) last_backward_ = std::max(last_backward_, span.end);
      computes_ |= category == Category::forward;
    }
  }

  /// [from, to) is idle and ends where the span's task begins to work.
  [[gnu::noinline]] void explain(const Span& span, Picoseconds from, Picoseconds to) {
    if (to > span.start) {
      const TaskSpan task = task_of(span);
      meeting(task, tasks_.op(span), graph_.slowest(task), std::max(from, span.start), to);
      to = span.start;
    }
    before(span, from, to);
    pieces_.close();
  }

  /// After the stream's last task. Of a compute stream that ends with a backward it is still the pipeline's time.
  void explain_end(Picoseconds from, Picoseconds to) {
    const bool drains = computes_ && from <= last_backward_;
    const TaskSpan& last = graph_.last();
    add_awaited(drains ? IdleReason::drain : IdleReason::barrier, last, last ? graph_.work(last) : to, from, to);
    pieces_.close();
  }

  // Each of these adds pieces from `to` down to `from`.

  /// Why a task has not come to the head of its stream, with all that it waits for done: because of what ended last
  /// of it; where that is a transfer which waits itself, because of what that waits for.
  void before(const Span& span, Picoseconds from, Picoseconds to) {
    for (const Span* late = &span; from < to;) {
      const Span* const awaited = tasks_.explains(*late);
      if (!awaited) return add(IdleReason::host, task_of(*late), false, from, to);
      if (awaited->end < to) {
        add(IdleReason::host, task_of(*late), false, std::max(from, awaited->end), to);
        to = std::max(from, awaited->end);
      }
      const TaskSpan task = task_of(*awaited);
      const OpOrder& op = tasks_.op(*awaited);
      if (!is_communication(op.kernel)) return add_awaited(IdleReason::task, task, awaited->start, from, to);
      const Picoseconds start = std::max(from, awaited->start);
      if (Pieces::kSums && start < to && is_all_pipeline(*awaited, op, start, to)) {
        add(phase_at(start), task, true, start, to);
        to = start;
        late = awaited;
        continue;
      }
      const TaskSpan member = graph_.slowest(task, op);
      const Picoseconds work = graph_.work(*awaited, *member.span);
      if (work < to) {
        working(task, op, std::max(from, work), to);
        to = std::max(from, work);
      }
      if (awaited->start < to) {
        meeting(task, op, member, std::max(from, awaited->start), to);
        to = std::max(from, awaited->start);
      }
      late = awaited;
    }
  }

  /// Whether the time from `start` to `to`, in which a message waits for its other end or is under way, has one reason,
  /// of whatever there is more. A simulated one waits for nothing else.
  bool is_all_pipeline(const Span& span, const OpOrder& op, Picoseconds start, Picoseconds to) const {
    return computes_ && is_point_to_point(op.kernel) && graph_.timeline().in_plan_order &&
           graph_.contention(span).empty() && phase_at(start) == phase_at(to);
  }

  /// A transfer of this rank is under way; what it lost on shared links is counted at its end.
  void working(TaskSpan task, const OpOrder& op, Picoseconds from, Picoseconds to) {
    Picoseconds lost_until = task.span->end;
    for (const Contention& other : graph_.contention(*task.span)) {
      const Picoseconds lost_from = std::max(from, lost_until - other.lost);
      if (lost_from < to && lost_from < lost_until) {
        pieces_.add_link(stream_, other, lost_from, std::min(to, lost_until));
        to = lost_from;
      }
      lost_until = std::max(from, lost_until - other.lost);
    }
    add(in_pipeline(op.kernel, IdleReason::task, from), task, true, from, to);
  }

  /// A communication of this rank waits for the member that comes last, and that for what keeps it.
  void meeting(TaskSpan task, const OpOrder& op, TaskSpan member, Picoseconds from, Picoseconds to) {
    const Picoseconds arrives = member.span->start;
    if (member == task || arrives < to) {
      const Picoseconds explained = member == task ? from : std::clamp(arrives, from, to);
      add(IdleReason::host, task, false, explained, to);
      to = explained;
    }
    if (from >= to) return;
    const Kernel kernel = op.kernel;
    IdleReason reason = kernel == Kernel::recv   ? IdleReason::sender
                        : kernel == Kernel::send ? IdleReason::receiver
                                                 : IdleReason::member;
    if (kernel != Kernel::recv && kernel != Kernel::send && crosses_stages(member)) {
      if (computes_) reason = phase_at(from);
    } else {
      reason = in_pipeline(kernel, reason, from);
    }
    if (Pieces::kSums) return add(reason, member, false, from, to);  // whatever keeps it
    const TaskSpan keeps = graph_.explains(member);
    if (!keeps) return add_awaited(reason, member, arrives, from, to);
    if (keeps.span->end < to) {  // it comes late for no reason in the plan
      const Picoseconds late = std::max(from, keeps.span->end);
      add(reason, member, false, late, to);
      to = late;
    }
    add_awaited(reason, keeps, keeps.span->start, from, to);
  }

  bool crosses_stages(const TaskSpan& member) const { return graph_.role(member.rank) != graph_.role(rank_); }

  IdleReason phase_at(Picoseconds time) const {
    if (time < first_forward_) return IdleReason::fill;
    return time < last_backward_ ? IdleReason::steady : IdleReason::drain;
  }

  /// The reason, or the pipeline's where the compute stream waits for a message between stages.
  IdleReason in_pipeline(Kernel kernel, IdleReason reason, Picoseconds time) const {
    return computes_ && is_point_to_point(kernel) ? phase_at(time) : reason;
  }

  /// Split where the awaited task begins.
  void add_awaited(IdleReason reason, TaskSpan awaited, Picoseconds begins, Picoseconds from, Picoseconds to) {
    if (Pieces::kSums) return add(reason, awaited, false, from, to);
    const Picoseconds split = std::clamp(begins, from, std::max(from, to));
    add(reason, awaited, true, split, to);
    add(reason, awaited, false, from, split);
  }

  void add(IdleReason reason, TaskSpan awaited, bool running, Picoseconds from, Picoseconds to) {
    if (from < to) pieces_.add(graph_, stream_, reason, awaited, running, from, to);
  }

  const StepGraph& graph_;
  uint32_t rank_;
  uint8_t stream_;
  std::span<const Span> spans_;
  const StepGraph::Compute* compute_;
  const RankTasks& tasks_;
  Pieces& pieces_;
  bool computes_ = false;  ///< a pipeline's compute stream, so that there are phases
  Picoseconds first_forward_ = std::numeric_limits<Picoseconds>::max();
  Picoseconds last_backward_ = std::numeric_limits<Picoseconds>::min();
};

IdleSums sum_compute_stream(const StepGraph& graph, uint32_t rank) {
  IdleTotals totals;
  const auto spans = graph.spans(rank, Stream::compute);
  if (!spans.empty()) Explainer(graph, rank, spans, totals).run();
  return totals.sums();
}

}  // namespace

const char* name_of(IdleReason reason) {
  static constexpr std::array<const char*, kIdleReasons> kNames{"task", "sender", "receiver", "member",  "link",
                                                                "fill", "steady", "drain",    "barrier", "host"};
  return kNames[static_cast<size_t>(reason)];
}

std::vector<Idle> idle_of_rank(const StepGraph& graph, uint32_t rank) {
  IdleList list;
  for (int stream = 0; stream < kStreams; ++stream) {
    const auto spans = graph.spans(rank, static_cast<Stream>(stream));
    if (!spans.empty()) Explainer(graph, rank, spans, list).run();
  }
  return list.take();
}

std::string to_text(const StepGraph& graph, const Idle& idle) {
  const std::string task = idle.awaited ? to_text(graph.plan(), *idle.awaited) : "";
  const std::string state = idle.running ? ", which is running" : ", which has not begun";
  const bool simulated = graph.timeline().source == TimelineSource::simulated;
  switch (idle.reason) {
    case IdleReason::task:
      return "waits for " + task + state;
    case IdleReason::sender:
      return "receive waits for its sender: " + task + state;
    case IdleReason::receiver:
      return "send waits for its receiver: " + task + state;
    case IdleReason::member:
      return "collective waits for its slowest member: " + task + state;
    case IdleReason::link:
      return "link shared with " + task;
    case IdleReason::fill:
    case IdleReason::steady:
    case IdleReason::drain:
      return std::string("pipeline bubble (") + name_of(idle.reason) + ")" +
             (idle.awaited ? ": waits for " + task + state : "");
    case IdleReason::barrier:
      return "end of the step" + (idle.awaited ? ": waits for " + task + state : "");
    case IdleReason::host:
      return std::string(simulated ? "launch window" : "host or jitter") + (task.empty() ? "" : " before " + task);
  }
  return "";
}

Picoseconds IdleSums::total() const {
  Picoseconds total = 0;
  for (const Picoseconds time : reason) total += time;
  return total;
}

IdleSums sum_idle(const StepGraph& graph, const std::vector<Idle>& idle, Stream stream) {
  IdleSums sums;
  for (const Idle& piece : idle) {
    if (piece.stream != static_cast<uint8_t>(stream)) continue;
    const Picoseconds time = piece.end - piece.start;
    sums.reason[static_cast<size_t>(piece.reason)] += time;
    if (piece.reason == IdleReason::task)
      sums.task[static_cast<size_t>(graph.category(graph.find(*piece.awaited)))] += time;
  }
  return sums;
}

IdleSummary summarise_idle(const StepGraph& graph) {
  IdleSummary summary;
  const Step& step = graph.step();
  const auto represented = represented_ranks(graph.timeline());
  const double whole = static_cast<double>(step.end - step.start) * static_cast<double>(represented.size());
  for (uint32_t rank = 0; rank < represented.size(); ++rank) {
    if (represented[rank] == 0) continue;
    const IdleSums& sums = summary.ranks.emplace_back(sum_compute_stream(graph, rank));
    const double weight = represented[rank];
    for (int i = 0; i < kIdleReasons; ++i)
      summary.share[i] += share_of(weight * static_cast<double>(sums.reason[i]), whole);
    for (int i = 0; i < kCategories; ++i)
      summary.task_share[i] += share_of(weight * static_cast<double>(sums.task[i]), whole);
  }
  return summary;
}

}  // namespace pgram
