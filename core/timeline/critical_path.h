// The critical path of a step: the chain of tasks and links without which it would end earlier, found backwards from
// the task that ends last, each time to what explains its start.
#pragma once
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "core/timeline/step_graph.h"

namespace pgram {

enum class PathWhat : uint8_t {
  work,     ///< a task works or moves bytes: Segment::category says of what kind
  latency,  ///< a message is on the way: its receive is not over though its sender is done
  link,     ///< the transfer takes longer, as it shares links with another task
  host,     ///< nothing in the plan explains it: launch window (simulated), host or jitter (measured)
  barrier,  ///< after the last task
};
constexpr int kPathWhats = 5;
const char* name_of(PathWhat);

struct Segment {
  PathWhat what = PathWhat::work;
  Category category = Category::other;  ///< of the task
  std::optional<Task> task;             ///< at work; link: the one that is slowed; host: the one that could have begun
  std::optional<Task> other;            ///< link: with whom
  Picoseconds start = 0, end = 0;
};

struct CriticalPath {
  /// Ascending, without gaps: from the start of the step to its end.
  std::vector<Segment> segments;
  std::array<Picoseconds, kCategories> work{};  ///< by category
  std::array<Picoseconds, kPathWhats> what{};

  Picoseconds length() const { return segments.empty() ? 0 : segments.back().end - segments.front().start; }
};
CriticalPath critical_path(const StepGraph&);
std::string to_text(const StepGraph&, const Segment&);

}  // namespace pgram
