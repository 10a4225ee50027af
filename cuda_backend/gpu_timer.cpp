#include "cuda_backend/gpu_timer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

#include "cuda_backend/profiler_range.h"

namespace pgram {
namespace {

constexpr Seconds kRound = 1e-3;  ///< a thousand times the resolution of an event
constexpr uint32_t kMostCalls = 64;
constexpr size_t kFewestRounds = 3, kMostRounds = 15;
constexpr Seconds kHostLaunch = 8e-6;  ///< what the host needs for one, at most
constexpr uint32_t kMostFillers = 64;
constexpr Seconds kShortest = 1e-9;  ///< a table of durations knows no 0

Seconds now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Seconds median(std::vector<Seconds> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

GpuTimer::GpuTimer(std::stop_token stop)
    : stop_(std::move(stop)),
      stream_(make_stream(0)),
      begin_(make_event(EventKind::timed)),
      end_(make_event(EventKind::timed)),
      between_(make_event(EventKind::timed)) {
  size_t free = 0, total = 0;
  PGRAM_CHECK(cudaMemGetInfo(&free, &total));
  filler_bytes_ = std::clamp<uint64_t>(total / 1024, uint64_t{1} << 20, uint64_t{1} << 28);
  filler_ = make_device_memory(filler_bytes_);
  const auto fill = [this](uint32_t) { PGRAM_CHECK(cudaMemsetAsync(filler_.get(), 0, filler_bytes_, stream_.get())); };
  filler_seconds_ = per_call("calibrate filler", fill, 0);
}

Seconds GpuTimer::elapsed() const {
  float milliseconds = 0;
  PGRAM_CHECK(cudaEventSynchronize(end_.get()));
  PGRAM_CHECK(cudaEventElapsedTime(&milliseconds, begin_.get(), end_.get()));
  return 1e-3 * static_cast<double>(milliseconds);
}

/// While this memory is set the host gets ahead: what is measured then waits for no launch.
void GpuTimer::occupy(uint32_t calls) {
  if (filler_seconds_ <= 0) return;  // is being measured
  const double fillers = std::ceil(calls * kHostLaunch / filler_seconds_);
  for (uint32_t i = 0; i < std::clamp<double>(fillers, 1, kMostFillers); ++i) {
    PGRAM_CHECK(cudaMemsetAsync(filler_.get(), 0, filler_bytes_, stream_.get()));
  }
}

Seconds GpuTimer::round(const std::string& name, const Issue& issue, uint32_t calls) {
  try {
    const std::string range = "task:" + name;
    occupy(calls);
    PGRAM_CHECK(cudaEventRecord(begin_.get(), stream_.get()));
    for (uint32_t i = 0; i < calls; ++i) {
      const ProfilerRange profiled(range);
      issue(calls_++);
      PGRAM_CHECK(cudaEventRecord(between_.get(), stream_.get()));  // as after every task of a run
    }
    PGRAM_CHECK(cudaEventRecord(end_.get(), stream_.get()));
    return std::max(kShortest, elapsed() / calls);
  } catch (...) {
    // What is under way uses memory that will soon be given back.
    static_cast<void>(cudaStreamSynchronize(stream_.get()));
    throw;
  }
}

Seconds GpuTimer::median_round(const std::string& name, const Issue& issue, uint32_t calls, Seconds seconds) {
  const Seconds start = now();
  std::vector<Seconds> samples;
  while (samples.size() < kMostRounds) {
    samples.push_back(round(name, issue, calls));
    if (stop_.stop_requested()) break;
    if (samples.size() >= kFewestRounds && now() - start >= seconds) break;
  }
  return median(std::move(samples));
}

Seconds GpuTimer::per_call(const std::string& name, const Issue& issue, Seconds seconds) {
  round(name, issue, 1);  // warms up
  const double calls = std::ceil(kRound / round(name, issue, 1));
  return median_round(name, issue, static_cast<uint32_t>(std::clamp<double>(calls, 1, kMostCalls)), seconds);
}

Seconds GpuTimer::per_call_in_queue(const std::string& name, const Issue& issue, uint32_t calls) {
  round(name, issue, calls);  // warms up
  return median_round(name, issue, calls, 0);
}

}  // namespace pgram
