#include "core/timeline/idle.h"

#include <algorithm>
#include <limits>

#include "core/timeline/lookup.h"
#include "core/timeline/text_table.h"

namespace pgram {
namespace {

using Node = StepGraph::Node;

/// Collects the reasons of one stream's idle stretches, each found from its end backwards.
class Explainer {
 public:
  Explainer(const StepGraph& graph, uint32_t rank, uint8_t stream, std::span<const Span> spans)
      : graph_(graph), rank_(rank), stream_(stream), spans_(spans), last_(graph.last()) {
    if (stream == static_cast<uint8_t>(Stream::compute) && graph.plan().mesh.size[2] > 1) find_phases();
  }

  std::vector<Idle> run() {
    struct Work {
      Picoseconds begin = 0, end = 0;
      const Span* span = nullptr;
    };
    const Step& step = graph_.step();
    std::vector<Work> works;
    for (const Span& span : spans_) works.push_back({graph_.work(graph_.node(span, rank_)), span.end, &span});
    std::ranges::stable_sort(works, {}, &Work::begin);
    Picoseconds now = step.start;
    for (const Work& work : works) {
      const Picoseconds begin = std::min(work.begin, step.end);
      if (begin > now) explain(*work.span, now, begin);
      now = std::max(now, std::min(work.end, step.end));
    }
    if (now < step.end) explain_end(now, step.end);
    return std::move(idle_);
  }

 private:
  void find_phases() {
    for (const Span& span : spans_) {
      const Category category = graph_.category(graph_.node(span, rank_));
      if (category == Category::forward && !computes_) first_forward_ = span.start;
      if (category == Category::backward) last_backward_ = std::max(last_backward_, span.end);
      computes_ |= category == Category::forward;
    }
  }

  /// [from, to) is idle and ends where the span's task begins to work.
  void explain(const Span& span, Picoseconds from, Picoseconds to) {
    const Node node = graph_.node(span, rank_);
    if (to > span.start) {
      meeting(node, std::max(from, span.start), to);
      to = span.start;
    }
    if (from < to) before(node, from, to);
    std::ranges::reverse(idle_.begin() + static_cast<ptrdiff_t>(explained_), idle_.end());
    explained_ = idle_.size();
  }

  /// After the stream's last task. Of a compute stream that ends with a backward it is still the pipeline's time.
  void explain_end(Picoseconds from, Picoseconds to) {
    const bool drains = computes_ && from <= last_backward_;
    const Picoseconds works = last_ ? graph_.work(*last_) : to;
    add_awaited(drains ? IdleReason::drain : IdleReason::barrier, last_, works, from, to);
    std::ranges::reverse(idle_.begin() + static_cast<ptrdiff_t>(explained_), idle_.end());
  }

  // Each of these adds pieces from `to` down to `from`.

  /// Why a task has not come to the head of its stream, with all that it waits for done: because of what ended last
  /// of it; where that is a transfer which waits itself, because of what that waits for.
  void before(Node node, Picoseconds from, Picoseconds to) {
    while (from < to) {
      const auto awaited = graph_.explains(node);
      if (!awaited) return add(IdleReason::host, graph_.task(node), false, from, to);
      const Span& span = graph_.span(*awaited);
      if (span.end < to) {
        add(IdleReason::host, graph_.task(node), false, std::max(from, span.end), to);
        to = std::max(from, span.end);
      }
      if (!is_communication(graph_.op(*awaited).kernel)) {
        return add_awaited(IdleReason::task, awaited, span.start, from, to);
      }
      const Picoseconds work = graph_.work(*awaited);
      if (work < to) {
        working(*awaited, std::max(from, work), to);
        to = std::max(from, work);
      }
      if (span.start < to) {
        meeting(*awaited, std::max(from, span.start), to);
        to = std::max(from, span.start);
      }
      node = *awaited;
    }
  }

  /// A transfer of this rank is under way; what it lost on shared links is counted at its end.
  void working(Node node, Picoseconds from, Picoseconds to) {
    Picoseconds lost_until = graph_.span(node).end;
    for (const Contention& other : graph_.contention(node)) {
      const Picoseconds lost_from = std::max(from, lost_until - other.lost);
      if (lost_from < to && lost_from < lost_until) {
        add(IdleReason::link, Task{other.rank, other.call, other.op}, true, lost_from, std::min(to, lost_until));
        to = lost_from;
      }
      lost_until = std::max(from, lost_until - other.lost);
    }
    add(in_pipeline(node, IdleReason::task, from), graph_.task(node), true, from, to);
  }

  /// A communication of this rank waits for the member that comes last, and that for what keeps it.
  void meeting(Node node, Picoseconds from, Picoseconds to) {
    const Node member = graph_.slowest(node);
    const Picoseconds arrives = graph_.span(member).start;
    if (member == node || arrives < to) {
      const Picoseconds explained = member == node ? from : std::clamp(arrives, from, to);
      add(IdleReason::host, graph_.task(node), false, explained, to);
      to = explained;
    }
    const Kernel kernel = graph_.op(node).kernel;
    IdleReason reason = kernel == Kernel::recv   ? IdleReason::sender
                        : kernel == Kernel::send ? IdleReason::receiver
                                                 : IdleReason::member;
    if (kernel != Kernel::recv && kernel != Kernel::send && crosses_stages(member)) {
      if (computes_) reason = phase_at(from);
    } else {
      reason = in_pipeline(node, reason, from);
    }
    const auto keeps = graph_.explains(member);
    if (!keeps) return add_awaited(reason, member, arrives, from, to);
    const Span& span = graph_.span(*keeps);
    if (span.end < to) {  // it comes late for no reason in the plan
      add(reason, graph_.task(member), false, std::max(from, span.end), to);
      to = std::max(from, span.end);
    }
    add_awaited(reason, keeps, span.start, from, to);
  }

  bool crosses_stages(Node member) const { return graph_.plan().role(member.rank) != graph_.plan().role(rank_); }

  IdleReason phase_at(Picoseconds time) const {
    if (time < first_forward_) return IdleReason::fill;
    return time < last_backward_ ? IdleReason::steady : IdleReason::drain;
  }

  /// The reason, or the pipeline's where the compute stream waits for a message between stages.
  IdleReason in_pipeline(Node node, IdleReason reason, Picoseconds time) const {
    return computes_ && is_point_to_point(graph_.op(node).kernel) ? phase_at(time) : reason;
  }

  /// Split where the awaited task begins.
  void add_awaited(IdleReason reason, std::optional<Node> awaited, Picoseconds begins, Picoseconds from,
                   Picoseconds to) {
    const auto task = awaited ? std::optional(graph_.task(*awaited)) : std::nullopt;
    const Picoseconds split = std::clamp(begins, from, std::max(from, to));
    add(reason, task, true, split, to);
    add(reason, task, false, from, split);
  }

  void add(IdleReason reason, std::optional<Task> awaited, bool running, Picoseconds from, Picoseconds to) {
    if (from < to) idle_.push_back({stream_, reason, running, from, to, awaited});
  }

  const StepGraph& graph_;
  uint32_t rank_;
  uint8_t stream_;
  std::span<const Span> spans_;
  std::optional<Node> last_;
  bool computes_ = false;  ///< a pipeline's compute stream, so that there are phases
  Picoseconds first_forward_ = std::numeric_limits<Picoseconds>::max();
  Picoseconds last_backward_ = std::numeric_limits<Picoseconds>::min();
  std::vector<Idle> idle_;
  size_t explained_ = 0;
};

}  // namespace

const char* name_of(IdleReason reason) {
  static constexpr std::array<const char*, kIdleReasons> kNames{"task", "sender", "receiver", "member",  "link",
                                                                "fill", "steady", "drain",    "barrier", "host"};
  return kNames[static_cast<size_t>(reason)];
}

std::vector<Idle> idle_of_rank(const StepGraph& graph, uint32_t rank) {
  std::vector<Idle> all;
  const auto spans = of_rank(graph.spans(), graph.timeline().representative_of(rank));
  for (size_t at = 0; at < spans.size();) {
    size_t end = at;
    while (end < spans.size() && spans[end].stream == spans[at].stream) ++end;
    const auto idle = Explainer(graph, rank, spans[at].stream, spans.subspan(at, end - at)).run();
    all.insert(all.end(), idle.begin(), idle.end());
    at = end;
  }
  return all;
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
    if (piece.reason != IdleReason::task) continue;
    const Call& call = graph.plan().programs[graph.plan().role(piece.awaited->rank)].calls[piece.awaited->call];
    const Body& body = graph.plan().bodies[call.body];
    sums.task[static_cast<size_t>(category_of(body, body.ops[piece.awaited->op]))] += time;
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
    const IdleSums& sums = summary.ranks.emplace_back(sum_idle(graph, idle_of_rank(graph, rank)));
    const double weight = represented[rank];
    for (int i = 0; i < kIdleReasons; ++i)
      summary.share[i] += share_of(weight * static_cast<double>(sums.reason[i]), whole);
    for (int i = 0; i < kCategories; ++i)
      summary.task_share[i] += share_of(weight * static_cast<double>(sums.task[i]), whole);
  }
  return summary;
}

}  // namespace pgram
