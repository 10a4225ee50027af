// Why is it idle? Every stretch of time in which a stream does nothing, with its reason. The same code for simulated
// and measured timelines: reasons come from the Plan's own dependencies and the times of the spans.
#pragma once
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "core/timeline/step_graph.h"
#include "core/timeline/timeline.h"

namespace pgram {

enum class IdleReason : uint8_t {
  task,      ///< waits for a task of another stream of this rank; a transfer to or from this rank is one
  sender,    ///< a receive waits for the rank that sends
  receiver,  ///< a send waits for the rank that receives
  member,    ///< a collective waits for its slowest member
  link,      ///< what is waited for takes longer, as it shares links with another task
  fill,      ///< pipeline bubble: the compute stream waits for the pipeline before its first forward ...
  steady,    ///< ... between that and the end of its last backward ...
  drain,     ///< ... and after it, until the optimizer or the end of the step
  barrier,   ///< nothing more to do: waits for the step's end
  host,      ///< nothing in the plan explains it: launch window (simulated), host or jitter (measured)
};
constexpr int kIdleReasons = 10;
const char* name_of(IdleReason);

/// A stretch of idle time with one reason. Those of a stream and its busy time add up to the step exactly.
struct Idle {
  uint8_t stream = 0;
  IdleReason reason = IdleReason::host;
  /// The awaited task was at work during this stretch; else it had not begun to work yet.
  bool running = false;
  Picoseconds start = 0, end = 0;
  std::optional<Task> awaited;  ///< link: the other task on the links; host: the task that could have begun
};

/// Of one rank, by stream and time; the streams are those on which the rank has spans. A stream is busy while one of
/// its spans is, without the waiting that a communication span begins with.
std::vector<Idle> idle_of_rank(const StepGraph&, uint32_t rank);
/// "waits for rank 0 layer.f(layer 2, mb 1).9:add, which is running"
std::string to_text(const StepGraph&, const Idle&);

/// Idle time of compute streams by reason. Waiting for a task is told apart by what is awaited.
struct IdleSums {
  std::array<Picoseconds, kIdleReasons> reason{};
  std::array<Picoseconds, kCategories> task{};  ///< of reason[task], by the category of the awaited task
  Picoseconds total() const;
};
IdleSums sum_idle(const StepGraph&, const std::vector<Idle>&, Stream = Stream::compute);

struct IdleSummary {
  std::vector<IdleSums> ranks;  ///< compute streams of the ranks that have spans of their own, ascending
  /// Share of the step, mean over all ranks: they add up to Summary::bubble_of_total.
  std::array<double, kIdleReasons> share{};
  std::array<double, kCategories> task_share{};
};
IdleSummary summarise_idle(const StepGraph&);

}  // namespace pgram
