// CudaRank: one rank's GPU: the Plan's streams and events on it, its memory, and the work that its tasks become.
#pragma once
#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/exec/backend.h"
#include "cuda_backend/communication.h"
#include "cuda_backend/cuda_run.h"
#include "cuda_backend/dispatch.h"
#include "cuda_backend/handles.h"
#include "cuda_backend/program_tasks.h"
#include "cuda_backend/spans.h"

namespace pgram {

/// Workspace that cuBLAS should have on a device of this compute capability (cuBLAS, "cublasSetWorkspace").
constexpr uint64_t blas_workspace_bytes(int major) {
  return major >= 9 ? uint64_t{32} << 20 : uint64_t{4} << 20;
}

/// All that it ever needs, but for the Plan's pools, is there when it is made: a step allocates nothing and waits for
/// nothing. After a failure whatever can still be reached is given back; what a busy stream may touch is left alone.
class CudaRank : public RankDevice {
 public:
  /// `communication` may be null: a plan of one rank.
  CudaRank(CudaRun&, uint32_t rank, int device, std::unique_ptr<Communication> communication);
  ~CudaRank() override;

  std::byte* allocate(uint64_t bytes) override;
  void copy_to_device(std::byte* device, const void* host, uint64_t bytes) override;
  void copy_to_host(void* host, const std::byte* device, uint64_t bytes) override;
  void launch(const Launch&) override;
  void record(uint16_t event, Stream) override;
  void wait(uint16_t event, Stream) override;
  void synchronize() override;
  std::vector<Span> take_spans() override { return run_.take_spans(rank_); }

  uint32_t rank() const { return rank_; }
  // For CudaRun. From any thread:
  void abort() noexcept;
  /// A sentence naming the task that has been issued for too long; empty: none.
  std::string stuck_launch() const;
  // After the step, from any one thread:
  std::vector<Span> finished_spans();
  Picoseconds clock_uncertainty() const { return recorder_->uncertainty(); }

 private:
  struct StreamState {
    CudaStream stream;
    BlasHandle blas;
    DeviceMemory workspace, blas_workspace;
    DispatchContext context;
    const TimedTask* oldest = nullptr;  ///< that had not ended when last looked at
    Picoseconds running_since = -1;     ///< when `oldest` was first seen to have started
  };
  struct TokenSlot {
    int32_t* tokens = nullptr;
    uint64_t step = ~uint64_t{0};  ///< whose tokens it holds
  };

  void make_streams();
  void make_token_slots();
  cudaStream_t stream(Stream) const;
  const int32_t* stage_tokens(const Launch&);
  void copy(void* to, const void* from, uint64_t bytes, cudaMemcpyKind);
  bool all_idle();
  std::string failed_near(Stream, const std::string& error) const;
  void watch_tasks();
  void wait_until_idle();
  void abandon() noexcept;

  CudaRun& run_;
  const uint32_t rank_;
  const int device_;
  const ProgramTasks tasks_;
  std::unique_ptr<Communication> communication_;
  std::array<StreamState, kStreams> streams_;
  Stream first_stream_ = Stream::compute;  ///< for what is done between steps
  std::vector<CudaEvent> events_;
  std::unique_ptr<SpanRecorder> recorder_;
  PinnedMemory tokens_, bounce_;
  std::map<uint16_t, std::array<TokenSlot, 2>> token_slots_;  ///< by micro-batch and parity of the step
  std::vector<DeviceMemory> arenas_;
  std::string device_error_;  ///< the device works no more
  /// For stuck_launch(): marks what the issuing thread is in.
  class Issuing;
  const TimedTask* last_launched_ = nullptr;
  std::atomic<const TimedTask*> issuing_{nullptr};
  std::atomic<Picoseconds> issuing_since_{0};
  std::atomic<bool> communicating_{false};
};

}  // namespace pgram
