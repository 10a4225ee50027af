#include "cuda_backend/spans.h"

#include <algorithm>
#include <thread>

namespace pgram {
namespace {

constexpr Picoseconds kPicosecondsPerMillisecond = 1'000'000'000;
constexpr Picoseconds kNarrowAnchor = kPicosecondsPerMillisecond / 20;
constexpr int kMostAnchors = 4;
constexpr Picoseconds kLongestAnchor = 10'000 * kPicosecondsPerMillisecond;

/// An event that was never recorded counts as done.
bool is_done(cudaEvent_t event) {
  const cudaError_t status = cudaEventQuery(event);
  if (status == cudaErrorNotReady) return false;
  PGRAM_CHECK(status);
  return true;
}

}  // namespace

SpanRecorder::SpanRecorder(const ProgramTasks& tasks, Clock clock)
    : tasks_(tasks), clock_(std::move(clock)), anchor_event_(make_event(EventKind::timed)) {
  events_.reserve(tasks.timed_events);
  for (uint32_t i = 0; i < tasks.timed_events; ++i) events_.push_back(make_event(EventKind::timed));
  times_.resize(tasks.timed_events);
  for (int s = 0; s < kStreams; ++s) launched_[s].tasks.reserve(tasks.streams[s].tasks);
}

void SpanRecorder::before(const TimedTask& task, cudaStream_t stream) {
  if (anchored_) {  // the first task of another step, and nobody asked for the spans of the last
    for (Launched& launched : launched_) launched.tasks.clear(), launched.ended = 0;
    anchored_ = false;
  }
  if (task.records_start) PGRAM_CHECK(cudaEventRecord(events_[task.start].get(), stream));
}

void SpanRecorder::after(const TimedTask& task, cudaStream_t stream) {
  if (task.records_end) PGRAM_CHECK(cudaEventRecord(events_[task.end].get(), stream));
  launched_[static_cast<int>(task.stream)].tasks.push_back(&task);
}

const TimedTask* SpanRecorder::unfinished(Stream stream) {
  Launched& launched = launched_[static_cast<int>(stream)];
  while (launched.ended < launched.tasks.size() && is_done(events_[launched.tasks[launched.ended]->end].get())) {
    ++launched.ended;
  }
  return launched.ended < launched.tasks.size() ? launched.tasks[launched.ended] : nullptr;
}

const TimedTask* SpanRecorder::last_seen_unfinished(Stream stream) const {
  const Launched& launched = launched_[static_cast<int>(stream)];
  return launched.ended < launched.tasks.size() ? launched.tasks[launched.ended] : nullptr;
}

bool SpanRecorder::has_started(const TimedTask& task) const {
  return is_done(events_[task.start].get());
}

void SpanRecorder::anchor(cudaStream_t stream) {
  if (anchored_) return;
  // The host may have been held up in between: then once more.
  Picoseconds width = 0;
  for (int tries = 0; tries < kMostAnchors && (tries == 0 || width > kNarrowAnchor); ++tries) {
    const Picoseconds before = clock_();
    PGRAM_CHECK(cudaEventRecord(anchor_event_.get(), stream));
    while (!is_done(anchor_event_.get())) {
      if (clock_() - before > kNarrowAnchor) std::this_thread::yield();
      if (clock_() - before > kLongestAnchor) throw RunError("an idle stream did not record an event within 10 s");
    }
    width = clock_() - before;
    anchor_ = before + width / 2;
  }
  uncertainty_ = std::max(uncertainty_, width / 2);
  anchored_ = true;
}

Picoseconds SpanRecorder::time_of(uint32_t event) {
  if (!times_[event]) {
    float milliseconds = 0;
    PGRAM_CHECK(cudaEventElapsedTime(&milliseconds, events_[event].get(), anchor_event_.get()));
    times_[event] = anchor_ - static_cast<Picoseconds>(double{milliseconds} * kPicosecondsPerMillisecond);
  }
  return *times_[event];
}

std::vector<Span> SpanRecorder::take() {
  std::vector<Span> spans;
  if (!anchored_) return spans;
  std::fill(times_.begin(), times_.end(), std::nullopt);
  for (Launched& launched : launched_) {
    for (const TimedTask* task : launched.tasks) {
      Span span;
      span.rank = task->task.rank;
      span.call = task->task.call;
      span.op = task->task.op;
      span.stream = static_cast<uint8_t>(task->stream);
      span.start = time_of(task->start);
      span.end = std::max(span.start, time_of(task->end));
      spans.push_back(span);
    }
    launched.tasks.clear();
    launched.ended = 0;
  }
  return spans;
}

}  // namespace pgram
