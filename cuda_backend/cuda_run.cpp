#include "cuda_backend/cuda_run.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "core/exec/measured.h"
#include "cuda_backend/cuda_rank.h"
#include "cuda_backend/nccl_communication.h"
#include "cuda_backend/shared_gpu.h"

namespace pgram {
namespace {

constexpr std::chrono::milliseconds kWatchInterval{100};

std::chrono::steady_clock::time_point start_of_process_0(Processes& processes) {
  using Clock = std::chrono::steady_clock;
  const std::string start = processes.broadcast(std::to_string(Clock::now().time_since_epoch().count()));
  return Clock::time_point(Clock::duration(std::stoll(start)));
}

std::unique_ptr<Connections> make_connections(const Plan& plan, const CudaOptions& options, Processes& processes) {
  if (plan.mesh.ranks() == 1) return nullptr;
  if (options.share_gpu) return shared_gpu_connections(plan, options.task_timeout);
  return nccl_connections(plan, processes, {options.start_timeout, options.task_timeout, options.abort_timeout});
}

}  // namespace

CudaRun::CudaRun(const Plan& p, const CudaOptions& o, Processes& processes)
    : plan(p),
      prepared(p),
      options(o),
      processes_(processes),
      start_(start_of_process_0(processes)),
      connections_(make_connections(p, o, processes)) {
  processes_.on_failure([this](const std::string& reason) { abort(reason); });
  watch_ = std::jthread([this](const std::stop_token& stop) { watch_launches(stop); });
}

CudaRun::~CudaRun() {
  processes_.on_failure({});
  connections_.reset();  // destroys communicators, which may hang
  if (teardown_hangs_ || nccl_hangs()) {
    // Registered after CUDA's own handlers, so it comes before them.
    on_exit(
        [](int status, void*) {
          std::fflush(nullptr);
          _exit(status);
        },
        nullptr);
  }
}

std::unique_ptr<Communication> CudaRun::connect(uint32_t rank) {
  return connections_ ? connections_->open(rank) : nullptr;
}

Picoseconds CudaRun::now() const {
  const auto elapsed = std::chrono::steady_clock::now() - start_;
  return std::chrono::duration_cast<std::chrono::nanoseconds>(elapsed).count() * 1000 + processes_.clock().offset;
}

void CudaRun::abort(const std::string& reason) noexcept {
  {
    std::lock_guard lock(mutex_);
    if (!aborted()) {
      reason_ = reason;
      aborted_at_ = now();
      aborted_.store(true, std::memory_order_release);
    }
    if (connections_) connections_->abort();
    for (CudaRank* rank : ranks_) rank->abort();
  }
  processes_.fail(reason);
}

std::string CudaRun::reason() const {
  return aborted() ? reason_ : "";
}

bool CudaRun::abort_deadline_passed() const {
  return aborted() && to_seconds(now() - aborted_at_) > options.abort_timeout;
}

void CudaRun::enter(CudaRank& rank) {
  std::lock_guard lock(mutex_);
  ranks_.insert(&rank);
  if (aborted()) rank.abort();
}

void CudaRun::leave(CudaRank& rank) {
  std::lock_guard lock(mutex_);
  ranks_.erase(&rank);
}

std::vector<Span> CudaRun::take_spans(uint32_t rank) {
  std::lock_guard lock(mutex_);
  if (!spans_.contains(rank)) {
    std::vector<Span> all;
    for (CudaRank* each : ranks_) {
      const std::vector<Span> of_rank = each->finished_spans();
      all.insert(all.end(), of_rank.begin(), of_rank.end());
      spans_[each->rank()].clear();
      uncertainty_ = std::max(uncertainty_, each->clock_uncertainty());
    }
    estimate_waits(plan, all);
    for (const Span& span : all) spans_[span.rank].push_back(span);
  }
  return std::move(spans_.extract(rank).mapped());
}

Picoseconds CudaRun::clock_uncertainty() const {
  std::lock_guard lock(mutex_);
  return uncertainty_ + processes_.clock().uncertainty;
}

/// A launch does not return while the device's queue is full: then the thread that would see the time-out is the one
/// that is stuck.
void CudaRun::watch_launches(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!watch_pause_.wait_for(lock, stop, kWatchInterval, [&] { return stop.stop_requested(); })) {
    std::string stuck;
    for (const CudaRank* rank : ranks_) {
      if (stuck.empty()) stuck = rank->stuck_launch();
    }
    if (stuck.empty()) continue;
    lock.unlock();
    abort(stuck);
    return;
  }
}

}  // namespace pgram
