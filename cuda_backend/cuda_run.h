// CudaRun: what the ranks of this process share: plan and options, the clock, the end of a failed run, and the spans of
// a step, whose waits are known only when all ranks have ended it.
#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "core/exec/prepared_plan.h"
#include "core/timeline/timeline.h"
#include "cuda_backend/communication.h"
#include "cuda_backend/plugin.h"
#include "cuda_backend/processes.h"

namespace pgram {

class CudaRank;

class CudaRun {
 public:
  /// InputError for what the interpreter cannot run. Called by all processes.
  CudaRun(const Plan&, const CudaOptions&, Processes&);
  ~CudaRun();

  const Plan& plan;
  const PreparedPlan prepared;
  const CudaOptions options;

  /// A rank's communication, once all ranks ask for theirs; null in a plan of one rank.
  std::unique_ptr<Communication> connect(uint32_t rank);

  /// Process 0's steady clock since its run began.
  Picoseconds now() const;

  /// Ends the communication of all ranks, open or opening, and tells the other processes. The first reason stays.
  void abort(const std::string& reason) noexcept;
  bool aborted() const { return aborted_.load(std::memory_order_acquire); }
  std::string reason() const;
  /// True when streams that are still busy will not become idle any more.
  bool abort_deadline_passed() const;

  /// Something of this process will never end, and CUDA's own tearing down at the end of the process would wait for it.
  void leave_without_teardown() noexcept { teardown_hangs_ = true; }

  void enter(CudaRank&);
  void leave(CudaRank&);
  /// Of one rank, after all have ended the step.
  std::vector<Span> take_spans(uint32_t rank);
  /// Of all anchors and the processes' clocks.
  Picoseconds clock_uncertainty() const;

 private:
  void watch_launches(const std::stop_token&);

  Processes& processes_;
  std::chrono::steady_clock::time_point start_;
  std::unique_ptr<Connections> connections_;
  std::atomic<bool> aborted_{false};
  std::atomic<Picoseconds> aborted_at_{0};
  std::atomic<bool> teardown_hangs_{false};
  mutable std::mutex mutex_;
  std::string reason_;  ///< written once, before aborted_
  std::set<CudaRank*> ranks_;
  std::map<uint32_t, std::vector<Span>> spans_;
  Picoseconds uncertainty_ = 0;
  std::condition_variable_any watch_pause_;
  std::jthread watch_;
};

}  // namespace pgram
