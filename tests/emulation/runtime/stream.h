// Streams: a worker thread each, that runs what was put on the stream in order.
#pragma once
#include <cuda_runtime.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tests/emulation/runtime/clock.h"
#include "tests/emulation/runtime/runtime.h"

namespace pgram::emulation {

class Stream;

/// What a stream's worker does next.
struct Item {
  std::string name;
  TaskUse task;
  std::function<void(Stream&, const Item&)> run;
};

class Stream : public std::enable_shared_from_this<Stream> {
 public:
  Stream(int device, uint32_t index, unsigned flags, int priority);

  /// Waits for room, see set_queue().
  void submit(Item);
  bool is_idle();
  /// Until all is done that was submitted so far.
  void wait_idle();
  /// No more will be submitted; the worker ends when it has done the rest.
  void close();

  /// What the worker waits for outside of the stream, for the watcher; empty: nothing.
  void set_waiting(std::string what);
  /// "device 0 stream 2, task T (ncclAllReduce): waits for ..."; empty if the stream does not wait. `busy`: has work.
  std::string waiting(bool& busy);

  std::string name() const;

  const int device;
  const uint64_t id;  ///< unique in the process; its low half counts the device's streams
  const unsigned flags;
  const int priority;
  StreamClock clock;

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Item> queue_;
  uint64_t submitted_ = 0, finished_ = 0;
  bool started_ = false, closed_ = false;
  std::string waiting_, current_;
};

/// Operations that a stream holds before submit() waits for room; 0: any number.
void set_queue(uint64_t operations);

/// As NVIDIA's GPUs have them.
constexpr int kLeastPriority = 0, kGreatestPriority = -5;

cudaError_t create_stream(cudaStream_t*, unsigned flags, int priority);
/// False for a handle that is none, or no longer; with a report.
bool destroy_stream(cudaStream_t);
/// The stream of a handle; the current device's default stream for 0. nullptr, with a report, for a destroyed one.
std::shared_ptr<Stream> stream_of(cudaStream_t, const std::string& who);
bool is_default(cudaStream_t);

/// All streams of a device (-1: of all), with destroyed ones that still work.
std::vector<std::shared_ptr<Stream>> streams_of_device(int device);
/// Of all streams, also destroyed ones; in order of device and stream.
std::vector<TaskTime> take_task_times();
uint64_t live_streams();
void wait_for_device(int device);

/// Counts what any stream does: while it stays the same, nothing moves.
uint64_t progress();
void make_progress();

/// The task that operations issued by this thread under this name belong to.
TaskUse current_use(const std::string& task);

}  // namespace pgram::emulation
