// Backend: how to allocate, run one kernel, move bytes between ranks, and stamp time. Everything else about a real
// execution (order, events, buffers, errors, tracing) is the interpreter's, see interpreter.h.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/plan/plan.h"
#include "core/timeline/timeline.h"

namespace pgram {

/// A bound operand: one or several joined fields of a record slot in device memory.
struct Tensor {
  std::byte* data = nullptr;
  uint64_t bytes = 0;
  DType dtype = DType::f32;
  std::array<uint32_t, 2> dims{1, 1};
  const Record* record = nullptr;  ///< set for whole-record operands (optimizer, gradient norm)

  float* f32() const { return reinterpret_cast<float*>(data); }
  int32_t* i32() const { return reinterpret_cast<int32_t*>(data); }
  uint64_t count() const { return bytes / size_of(dtype); }
};

constexpr int kMaxOperands = 8;

/// Hyperparameters that a run may choose; everything else is in the Plan.
struct Hyperparameters {
  float learning_rate = 3e-4f;
  float beta1 = 0.9f, beta2 = 0.95f, epsilon = 1e-8f, weight_decay = 0.1f;
  float clip_norm = 1.0f;  ///< 0 = no clipping
};

/// One Task on its way to a stream. Backends copy it; pointers outlive the run.
struct Launch {
  const Op* op = nullptr;
  const Attributes* attributes = nullptr;
  Task task;
  uint16_t layer = 0, micro_batch = 0;
  uint64_t step = 0;  ///< of the whole training run, 0-based; the optimizer's bias correction uses step + 1
  const Hyperparameters* hyperparameters = nullptr;
  /// `input` only: this micro-batch's tokens then targets on the host, int32.
  const int32_t* host_tokens = nullptr;
  /// Tasks of a grouped Body start together: the first has group_begin, the last group_end. Alone: both.
  bool group_begin = true, group_end = true;
  std::array<Tensor, kMaxOperands> operands;  ///< op->num_operands of them
};

/// One rank's device: streams with CUDA semantics. All calls return at once; work happens in stream order.
/// Methods are called by the rank's interpreter thread only.
class RankDevice {
 public:
  virtual ~RankDevice() = default;
  /// Zeroed device memory that lives as long as the device; RunError when it cannot be had.
  virtual std::byte* allocate(uint64_t bytes) = 0;
  /// Both copies are synchronous; to the host after synchronize().
  virtual void copy_to_device(std::byte* device, const void* host, uint64_t bytes) = 0;
  virtual void copy_to_host(void* host, const std::byte* device, uint64_t bytes) = 0;
  virtual void launch(const Launch&) = 0;
  virtual void record(uint16_t event, Stream) = 0;
  virtual void wait(uint16_t event, Stream) = 0;
  /// Waits for all streams; throws what a task threw.
  virtual void synchronize() = 0;
  /// Spans since the last call, of finished tasks; times relative to the backend's common clock start.
  virtual std::vector<Span> take_spans() = 0;
};

/// The processes of one run, between steps. One process: nothing to tell anybody.
class ProcessGroup {
 public:
  virtual ~ProcessGroup() = default;
  virtual uint32_t index() const { return 0; }
  virtual uint32_t size() const { return 1; }
  /// The bytes of every process, in order of index, at process 0; empty at the others. Called by all.
  virtual std::vector<std::string> gather(const std::string& bytes) { return {bytes}; }
  /// The bytes of process 0. Called by all.
  virtual std::string broadcast(const std::string& bytes) { return bytes; }
};

/// Makes the devices of the ranks of this process and their groups.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string name() const = 0;
  /// The ranks of the plan that this process runs (all of them for threads in one process).
  virtual std::vector<uint32_t> local_ranks() const = 0;
  virtual std::unique_ptr<RankDevice> open(uint32_t rank) = 0;  ///< thread-safe
  /// On the clock of process 0, as well as it is known.
  virtual Picoseconds now() const = 0;
  virtual ProcessGroup& processes();
  /// What the timeline should say of this run: device, driver, clock offsets ...
  virtual std::map<std::string, std::string> facts() const { return {}; }
  /// Makes every blocked or future operation of every rank fail soon, naming `reason`.
  virtual void abort(const std::string& reason) = 0;
};

}  // namespace pgram
