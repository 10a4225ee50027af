#include "cuda_backend/cuda_rank.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "cuda_backend/profiler_range.h"

namespace pgram {
namespace {

constexpr uint64_t kBounceBytes = uint64_t{1} << 20;
constexpr uint64_t kAlignment = 256;  ///< as cudaMalloc's own
constexpr std::chrono::microseconds kShortestPause{10}, kLongestPause{200};
constexpr double kGraceSeconds = 1;  ///< communication ends its own waiting with a message that says more

constexpr uint64_t rounded_up(uint64_t bytes) {
  return (std::max<uint64_t>(bytes, 1) + kAlignment - 1) / kAlignment * kAlignment;
}

int major_of(int device) {
  int major = 0;
  PGRAM_CHECK(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
  return major;
}

/// "120 s"
std::string seconds_text(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%g s", seconds);
  return text;
}

}  // namespace

CudaRank::CudaRank(CudaRun& run, uint32_t rank, int device, std::unique_ptr<Communication> communication)
    : run_(run), rank_(rank), device_(device), tasks_(run.prepared, rank), communication_(std::move(communication)) {
  use_device(device_);
  make_streams();
  for (uint32_t i = 0; i < tasks_.events; ++i) events_.push_back(make_event(EventKind::order));
  recorder_ = std::make_unique<SpanRecorder>(tasks_, [&run] { return run.now(); });
  make_token_slots();
  bounce_ = make_pinned_memory(kBounceBytes);
  run_.enter(*this);
}

void CudaRank::make_streams() {
  int lowest = 0, highest = 0;
  PGRAM_CHECK(cudaDeviceGetStreamPriorityRange(&lowest, &highest));
  const auto at = run_.plan.mesh.coordinates(rank_);
  const uint64_t workspace = workspace_bytes(run_.plan, at[2]),
                 blas_workspace = blas_workspace_bytes(major_of(device_));
  bool any = false;
  for (int s = 0; s < kStreams; ++s) {
    const StreamUse& use = tasks_.streams[s];
    if (!use.used) continue;
    if (!any) first_stream_ = static_cast<Stream>(s);
    any = true;
    StreamState& state = streams_[s];
    state.stream = make_stream(use.communicates ? highest : lowest);
    if (!use.computes) continue;
    state.blas = make_blas();
    PGRAM_CHECK(cublasSetStream(state.blas.get(), state.stream.get()));
    state.blas_workspace = make_device_memory(blas_workspace);
    PGRAM_CHECK(cublasSetWorkspace(state.blas.get(), state.blas_workspace.get(), blas_workspace));
    if (run_.options.deterministic) {
      PGRAM_CHECK(cublasSetAtomicsMode(state.blas.get(), CUBLAS_ATOMICS_NOT_ALLOWED));
    }
    if (workspace) state.workspace = make_device_memory(workspace);
    state.context = {
        at[0],     run_.plan.mesh.size[0],    state.blas.get(), static_cast<std::byte*>(state.workspace.get()),
        workspace, run_.options.deterministic};
  }
  // A role without tasks still has its memory read.
  if (!any) streams_[static_cast<int>(first_stream_)].stream = make_stream(lowest);
}

/// The copy of a step's tokens may still be under way when the next step's are written.
void CudaRank::make_token_slots() {
  uint64_t bytes = 0;
  for (const auto& [micro_batch, needed] : tasks_.token_bytes) bytes += 2 * rounded_up(needed);
  if (bytes == 0) return;
  tokens_ = make_pinned_memory(bytes);
  auto* next = static_cast<std::byte*>(tokens_.get());
  for (const auto& [micro_batch, needed] : tasks_.token_bytes) {
    for (TokenSlot& slot : token_slots_[micro_batch]) {
      slot.tokens = reinterpret_cast<int32_t*>(next);
      next += rounded_up(needed);
    }
  }
}

CudaRank::~CudaRank() {
  bool idle = false;
  try {
    use_device(device_);
    idle = all_idle();
    if (!idle && !run_.aborted()) {
      run_.abort("rank " + std::to_string(rank_) + " was closed before its tasks had ended");
    }
    if (!idle) wait_until_idle();
    idle = idle || all_idle();
  } catch (const std::exception&) {
    // The device does not answer; nothing that it may still touch can be given back.
  }
  run_.leave(*this);
  communication_.reset();
  if (!idle) abandon();
}

void CudaRank::abandon() noexcept {
  for (StreamState& state : streams_) {
    static_cast<void>(state.stream.release());
    static_cast<void>(state.blas.release());
    static_cast<void>(state.workspace.release());
    static_cast<void>(state.blas_workspace.release());
  }
  for (CudaEvent& event : events_) static_cast<void>(event.release());
  for (DeviceMemory& arena : arenas_) static_cast<void>(arena.release());
  static_cast<void>(recorder_.release());
  static_cast<void>(tokens_.release());
  static_cast<void>(bounce_.release());
  run_.leave_without_teardown();
}

cudaStream_t CudaRank::stream(Stream stream) const {
  return streams_[static_cast<int>(stream)].stream.get();
}

std::byte* CudaRank::allocate(uint64_t bytes) {
  try {
    use_device(device_);
    arenas_.push_back(make_device_memory(rounded_up(bytes)));
    PGRAM_CHECK(cudaMemsetAsync(arenas_.back().get(), 0, rounded_up(bytes), stream(first_stream_)));
    PGRAM_CHECK(cudaStreamSynchronize(stream(first_stream_)));
  } catch (const RunError& error) {
    throw RunError("rank " + std::to_string(rank_) + ": no memory for " + format_bytes(bytes) + ": " + error.what());
  }
  return static_cast<std::byte*>(arenas_.back().get());
}

/// Through pinned memory, piece by piece: what the host gives is pageable.
void CudaRank::copy(void* to, const void* from, uint64_t bytes, cudaMemcpyKind kind) {
  try {
    use_device(device_);
    const bool up = kind == cudaMemcpyHostToDevice;
    for (uint64_t done = 0; done < bytes; done += kBounceBytes) {
      const uint64_t piece = std::min(kBounceBytes, bytes - done);
      const auto* source = static_cast<const std::byte*>(from) + done;
      auto* target = static_cast<std::byte*>(to) + done;
      if (up) std::memcpy(bounce_.get(), source, piece);
      PGRAM_CHECK(cudaMemcpyAsync(up ? target : bounce_.get(), up ? bounce_.get() : source, piece, kind,
                                  stream(first_stream_)));
      PGRAM_CHECK(cudaStreamSynchronize(stream(first_stream_)));
      if (!up) std::memcpy(target, bounce_.get(), piece);
    }
  } catch (const RunError& error) {
    throw RunError("rank " + std::to_string(rank_) + ": " + error.what());
  }
}

void CudaRank::copy_to_device(std::byte* device, const void* host, uint64_t bytes) {
  copy(device, host, bytes, cudaMemcpyHostToDevice);
}

void CudaRank::copy_to_host(void* host, const std::byte* device, uint64_t bytes) {
  copy(host, device, bytes, cudaMemcpyDeviceToHost);
}

const int32_t* CudaRank::stage_tokens(const Launch& launch) {
  TokenSlot& slot = token_slots_.at(launch.micro_batch)[launch.step % 2];
  if (slot.step != launch.step) {
    std::memcpy(slot.tokens, launch.host_tokens, tasks_.token_bytes.at(launch.micro_batch));
    slot.step = launch.step;
  }
  return slot.tokens;
}

/// Any call that puts something on a stream waits while the device's queue is full.
class CudaRank::Issuing {
 public:
  /// An event belongs to the task that was launched last.
  explicit Issuing(CudaRank& rank, bool communicates = false) : rank_(rank) {
    rank_.communicating_ = communicates;
    rank_.issuing_since_ = rank_.run_.now();
    rank_.issuing_ = rank_.last_launched_;
  }
  ~Issuing() { rank_.issuing_ = nullptr; }
  Issuing(const Issuing&) = delete;
  Issuing& operator=(const Issuing&) = delete;

 private:
  CudaRank& rank_;
};

void CudaRank::launch(const Launch& launch) {
  if (run_.aborted()) {
    abort();  // from this thread, which may have a group open
    throw RunError(run_.reason());
  }
  const TimedTask& task = tasks_.tasks.at(tasks_.index(launch.task));
  const StreamState& state = streams_[static_cast<int>(task.stream)];
  const ProfilerRange range(task.range);
  last_launched_ = &task;
  const Issuing issuing(*this, is_communication(launch.op->kernel));
  try {
    use_device(device_);
    recorder_->before(task, state.stream.get());
    if (is_communication(launch.op->kernel)) {
      if (!communication_) throw RunError("the plan has one rank; there is nobody to communicate with");
      communication_->issue(launch, state.stream.get());
    } else if (launch.op->kernel == Kernel::input) {
      Launch staged = launch;
      staged.host_tokens = stage_tokens(launch);
      dispatch(staged, state.context, state.stream.get());
    } else {
      dispatch(launch, state.context, state.stream.get());
    }
    recorder_->after(task, state.stream.get());
  } catch (const RunError& error) {
    throw RunError(task.text() + ": " + error.what());
  }
}

std::string CudaRank::stuck_launch() const {
  const TimedTask* task = issuing_;
  const double limit = run_.options.task_timeout + (communicating_ ? kGraceSeconds : 0);
  if (task == nullptr || to_seconds(run_.now() - issuing_since_) <= limit) return {};
  return task->text() + " could not be issued within " + seconds_text(run_.options.task_timeout) +
         ": the device's queue is full and nothing moves";
}

void CudaRank::record(uint16_t event, Stream on) {
  const Issuing issuing(*this);
  try {
    use_device(device_);
    PGRAM_CHECK(cudaEventRecord(events_.at(event).get(), stream(on)));
  } catch (const RunError& error) {
    throw RunError("rank " + std::to_string(rank_) + ", stream " + name_of(on) + ": " + error.what());
  }
}

void CudaRank::wait(uint16_t event, Stream on) {
  const Issuing issuing(*this);
  try {
    use_device(device_);
    PGRAM_CHECK(cudaStreamWaitEvent(stream(on), events_.at(event).get(), 0));
  } catch (const RunError& error) {
    throw RunError("rank " + std::to_string(rank_) + ", stream " + name_of(on) + ": " + error.what());
  }
}

std::string CudaRank::failed_near(Stream on, const std::string& error) const {
  const TimedTask* task = recorder_->last_seen_unfinished(on);
  if (task == nullptr) return "rank " + std::to_string(rank_) + ": " + error;
  return task->text() + " or a task issued after it failed: " + error;
}

/// A stream that cannot be asked counts as idle: an error of the device has stopped everything on it.
bool CudaRank::all_idle() {
  bool idle = true;
  for (int s = 0; s < kStreams; ++s) {
    if (!streams_[s].stream) continue;
    const cudaError_t status = cudaStreamQuery(streams_[s].stream.get());
    if (status == cudaErrorNotReady) {
      idle = false;
    } else if (status != cudaSuccess && device_error_.empty()) {
      try {
        PGRAM_CHECK(status);
      } catch (const CudaError& error) {
        device_error_ = failed_near(static_cast<Stream>(s), error.what());
      }
    }
  }
  return idle;
}

/// A task that began and does not end. Communication that waits for members counts as begun.
void CudaRank::watch_tasks() {
  for (int s = 0; s < kStreams; ++s) {
    StreamState& state = streams_[s];
    if (!tasks_.streams[s].used) continue;
    try {
      const TimedTask* task = recorder_->unfinished(static_cast<Stream>(s));
      if (task != state.oldest) {
        state.oldest = task;
        state.running_since = -1;
      }
      if (task && state.running_since < 0 && recorder_->has_started(*task)) state.running_since = run_.now();
    } catch (const CudaError& error) {
      device_error_ = failed_near(static_cast<Stream>(s), error.what());
      return;
    }
    if (state.oldest && state.running_since >= 0 &&
        to_seconds(run_.now() - state.running_since) > run_.options.task_timeout) {
      throw RunError(state.oldest->text() + " did not end within " + seconds_text(run_.options.task_timeout));
    }
  }
}

/// Or until it is clear that they will never be.
void CudaRank::wait_until_idle() {
  for (std::chrono::microseconds pause = kShortestPause; !all_idle(); pause = std::min(2 * pause, kLongestPause)) {
    if (run_.aborted()) {
      if (run_.abort_deadline_passed()) return;
    } else {
      if (communication_) communication_->poll();
      watch_tasks();
      if (!device_error_.empty()) return;
    }
    std::this_thread::sleep_for(pause);
  }
}

void CudaRank::synchronize() {
  use_device(device_);
  wait_until_idle();
  for (StreamState& state : streams_) state.oldest = nullptr;
  if (run_.aborted()) throw RunError(run_.reason());
  if (!device_error_.empty()) throw RunError(device_error_);
  recorder_->anchor(stream(first_stream_));
}

void CudaRank::abort() noexcept {
  if (communication_) communication_->abort();
}

std::vector<Span> CudaRank::finished_spans() {
  use_device(device_);
  return recorder_->take();
}

}  // namespace pgram
