#include "core/timeline/critical_path.h"

#include <algorithm>

namespace pgram {
namespace {

using Node = StepGraph::Node;

class PathFinder {
 public:
  explicit PathFinder(const StepGraph& graph) : graph_(graph), now_(graph.step().end) {}

  CriticalPath run() {
    const Picoseconds begin = graph_.step().start;
    std::optional<Node> node = graph_.last();
    if (node) back_to(graph_.span(*node).end, PathWhat::barrier, std::nullopt);
    // Of a good plan no task comes twice; a file may hold another one, whose tasks wait in a circle.
    for (size_t steps = 0; node && now_ > begin && steps <= graph_.spans().size(); ++steps) {
      working(*node);
      // A communication begins when its slowest member comes, and that when what it waited for has ended.
      const Node slowest = graph_.slowest(*node);
      back_to(graph_.span(slowest).start, PathWhat::host, node);
      const std::optional<Node> before = graph_.explains(slowest);
      if (before) back_to(graph_.span(*before).end, PathWhat::host, slowest);
      if (!before) back_to(begin, PathWhat::host, slowest);
      node = before;
    }
    back_to(begin, PathWhat::host, node);
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
  void working(Node node) {
    const Picoseconds work = graph_.work(node);
    for (const Contention& other : graph_.contention(node)) {
      const Picoseconds from = std::max(work, std::min(now_, graph_.span(node).end) - other.lost);
      back_to(from, PathWhat::link, node, Task{other.rank, other.call, other.op});
    }
    if (graph_.op(node).kernel == Kernel::recv) {
      if (const auto sender = graph_.partner(node))
        back_to(std::max(work, graph_.span(*sender).end), PathWhat::latency, node);
    }
    back_to(work, PathWhat::work, node);
  }

  void back_to(Picoseconds from, PathWhat what, std::optional<Node> node, std::optional<Task> other = std::nullopt) {
    from = std::max(from, graph_.step().start);
    if (from >= now_) return;
    const Category category = node ? graph_.category(*node) : Category::other;
    path_.segments.push_back(
        {what, category, node ? std::optional(graph_.task(*node)) : std::nullopt, std::move(other), from, now_});
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
