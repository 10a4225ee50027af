#include "sim/core_sharing.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace pgram::sim {

void CoreSharing::start(Picoseconds now, uint32_t job, Picoseconds work, uint32_t wanted) {
  advance(now);
  wanted_ += wanted;
  jobs_.push_back({clock_ + static_cast<double>(work), order_++, job, wanted});
  std::push_heap(jobs_.begin(), jobs_.end(), std::greater<>());
  find_next_end();
}

uint32_t CoreSharing::finish() {
  advance(next_end_);
  std::pop_heap(jobs_.begin(), jobs_.end(), std::greater<>());
  const Job job = jobs_.back();
  jobs_.pop_back();
  wanted_ -= job.wanted;
  clock_ = job.end;  // drops what rounding to whole picoseconds added
  if (jobs_.empty()) clock_ = 0;
  find_next_end();
  return job.job;
}

void CoreSharing::advance(Picoseconds now) {
  if (!jobs_.empty()) clock_ += static_cast<double>(now - now_) * rate();
  now_ = now;
}

void CoreSharing::find_next_end() {
  if (jobs_.empty()) return;
  // Rounded up, but for the noise of the divisions.
  constexpr double kNoise = 1e-3;
  const double left = (jobs_.front().end - clock_) / rate();
  next_end_ = now_ + std::max<Picoseconds>(0, static_cast<Picoseconds>(std::ceil(left - kNoise)));
}

}  // namespace pgram::sim
