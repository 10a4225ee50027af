// SpanRecorder: when a rank's tasks began and ended, from timed events on their streams.
#pragma once
#include <cuda_runtime.h>

#include <array>
#include <functional>
#include <optional>
#include <vector>

#include "core/timeline/timeline.h"
#include "cuda_backend/handles.h"
#include "cuda_backend/program_tasks.h"

namespace pgram {

/// Every event is made with the recorder, on the calling thread's current device, and used again in every step. Times
/// are read after the step, relative to an anchor: an event whose moment is known on the host's clock as well.
class SpanRecorder {
 public:
  using Clock = std::function<Picoseconds()>;
  SpanRecorder(const ProgramTasks&, Clock);

  /// A task's work is about to be put on the stream, has been put on it.
  void before(const TimedTask&, cudaStream_t);
  void after(const TimedTask&, cudaStream_t);

  /// The oldest task of this step on the stream that has not ended; null: all have.
  const TimedTask* unfinished(Stream);
  /// The same without looking, for a device that does not answer any more.
  const TimedTask* last_seen_unfinished(Stream) const;
  bool has_started(const TimedTask&) const;

  /// Ties the device's clock to the host's, once after each step; the stream is idle.
  void anchor(cudaStream_t);
  /// Largest half width of the host times between which an anchor of this run lay.
  Picoseconds uncertainty() const { return uncertainty_; }
  /// Of the tasks launched since the last call, after anchor(); waits are not known here.
  std::vector<Span> take();

 private:
  Picoseconds time_of(uint32_t event);

  const ProgramTasks& tasks_;
  const Clock clock_;
  std::vector<CudaEvent> events_;
  CudaEvent anchor_event_;
  Picoseconds anchor_ = 0, uncertainty_ = 0;
  bool anchored_ = false;
  struct Launched {
    std::vector<const TimedTask*> tasks;
    size_t ended = 0;  ///< so many of them are known to have
  };
  std::array<Launched, kStreams> launched_;
  std::vector<std::optional<Picoseconds>> times_;  ///< by event, while spans are taken
};

}  // namespace pgram
