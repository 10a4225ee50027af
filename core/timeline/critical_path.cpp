#include "core/timeline/critical_path.h"

#include <algorithm>

namespace pgram {
namespace {

class PathFinder {
 public:
  explicit PathFinder(const StepGraph& graph) : graph_(graph), now_(graph.step().end) {}

  CriticalPath run() {
    const Picoseconds begin = graph_.step().start;
    TaskSpan task = graph_.last();
    if (task) back_to(task.span->end, PathWhat::barrier, {});
    // Of a good plan no task comes twice; a file may hold another one, whose tasks wait in a circle.
    for (size_t steps = 0; task && now_ > begin && steps <= graph_.spans().size(); ++steps) {
      working(task);
      // A communication begins when its slowest member comes, and that when what it waited for has ended.
      const TaskSpan slowest = graph_.slowest(task);
      back_to(slowest.span->start, PathWhat::host, task);
      const TaskSpan before = graph_.explains(slowest);
      back_to(before ? before.span->end : begin, PathWhat::host, slowest);
      task = before;
    }
    back_to(begin, PathWhat::host, task);
    std::ranges::reverse(path_.segments);
    for (const Segment& segment : path_.segments) {
      const Picoseconds time = segment.end - segment.start;
      path_.what[static_cast<size_t>(segment.what)] += time;
      if (segment.what == PathWhat::work) path_.work[static_cast<size_t>(segment.category)] += time;
    }
    return std::move(path_);
  }

 private:
  /// The task at work, up to now.
  void working(const TaskSpan& task) {
    const Picoseconds work = graph_.work(task);
    for (const Contention& other : graph_.contention(*task.span)) {
      const Picoseconds from = std::max(work, std::min(now_, task.span->end) - other.lost);
      back_to(from, PathWhat::link, task, Task{other.rank, other.call, other.op});
    }
    if (graph_.kernel(task) == Kernel::recv) {
      if (const TaskSpan sender = graph_.partner(task))
        back_to(std::max(work, sender.span->end), PathWhat::latency, task);
    }
    back_to(work, PathWhat::work, task);
  }

  void back_to(Picoseconds from, PathWhat what, const TaskSpan& task, std::optional<Task> other = std::nullopt) {
    from = std::max(from, graph_.step().start);
    if (from >= now_) return;
    const Category category = task ? graph_.category(task) : Category::other;
    path_.segments.push_back(
        {what, category, task ? std::optional(task.task()) : std::nullopt, std::move(other), from, now_});
    now_ = from;
  }

  const StepGraph& graph_;
  Picoseconds now_;
  CriticalPath path_;
};

}  // namespace

const char* name_of(PathWhat what) {
  static constexpr std::array<const char*, kPathWhats> kNames{"work", "latency", "link", "host", "barrier"};
  return kNames[static_cast<size_t>(what)];
}

CriticalPath critical_path(const StepGraph& graph) {
  return PathFinder(graph).run();
}

std::string to_text(const StepGraph& graph, const Segment& segment) {
  const std::string task = segment.task ? to_text(graph.plan(), *segment.task) : "";
  switch (segment.what) {
    case PathWhat::work:
      return task;
    case PathWhat::latency:
      return "latency of " + task;
    case PathWhat::link:
      return task + " on a link shared with " + to_text(graph.plan(), *segment.other);
    case PathWhat::host:
      return std::string(graph.timeline().source == TimelineSource::simulated ? "launch window" : "host or jitter") +
             (task.empty() ? "" : " before " + task);
    case PathWhat::barrier:
      return "end of the step";
  }
  return "";
}

}  // namespace pgram
