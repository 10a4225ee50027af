// Inside the stand-in GPU: what its libcudart gives its libcublas and libnccl. Exported by libcudart.so.13.
#pragma once
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "tests/emulation/control.h"

namespace pgram::emulation {

/// An operation while its stream's worker runs it.
class Running {
 public:
  virtual ~Running() = default;
  virtual int device() const = 0;
  virtual uint64_t stream() const = 0;
  virtual const std::string& task() const = 0;  ///< empty outside NVTX ranges
  /// When it came to the front of its stream, in virtual time.
  virtual VirtualTime arrival() const = 0;
  /// Communication: the last member's arrival, where the cost begins. Never called: arrival().
  virtual void begin_at(VirtualTime) = 0;
  /// In place of begin_at for an operation of several tasks (an NCCL group): once per task, in any order. Each task is
  /// charged its own cost from where it begins; the stream is held until the last one lets go.
  virtual void part(const std::string& task, VirtualTime begin) = 0;
  /// The CUDA error that the device is in from now on (sticky), as after an illegal access.
  virtual void fail(cudaError_t) = 0;
};

struct Operation {
  std::string name;                   ///< "kernel rms_norm", "ncclAllReduce of comm 3"; for reports
  std::function<void(Running&)> run;  ///< on the stream's worker, in order
  std::string task;                   ///< current_task() at the call; filled in by enqueue if empty
};

/// Puts an operation on a stream. Reports streams of other devices than the caller's current one, destroyed streams,
/// and the default stream.
cudaError_t enqueue(cudaStream_t, Operation);
/// Device that a stream belongs to.
int device_of(cudaStream_t);
int current_device();
/// Another current device for the calling thread while one lives; no call of the runtime's interface.
class OnDevice {
 public:
  explicit OnDevice(int device);
  ~OnDevice();
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

 private:
  int before_;
};

/// Host memory behind [pointer, pointer + bytes) of device memory, or nullptr and a report "out of bounds: <who> ..."
/// or "use after free: ..." when it is not all inside one live allocation.
std::byte* device_memory(const void* pointer, uint64_t bytes, const std::string& who);
/// The device whose memory the pointer lies in; -1 for host memory.
int device_of_memory(const void* pointer);

/// Innermost NVTX range of the calling thread that begins "task:", without that; empty if there is none.
std::string current_task();
void report(const std::string& line);

/// Counts a call and says whether it is to fail: 0, or the code planned by Control::fail_call. First line of every
/// function of the three libraries.
int enter(const char* call);

/// While one lives, the worker of the stream waits for something outside (a peer); `what` is for Control::blocked().
class Blocked {
 public:
  Blocked(Running&, std::string what);
  ~Blocked();
  Blocked(const Blocked&) = delete;
  Blocked& operator=(const Blocked&) = delete;

 private:
  void* entry_;
};
/// Calls `found` once on a thread of its own, when for `seconds` every stream that has work was Blocked or waited for
/// an event of such a one: nothing can ever move. `text` names the streams and their tasks, one per line.
void watch_for_deadlock(double seconds, std::function<void(const std::string& text)> found);

/// Live::blas_handles and Live::communicators are counted by their libraries.
void count_live(int64_t blas_handles, int64_t communicators);

}  // namespace pgram::emulation
