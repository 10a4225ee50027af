// Processors shared by more tasks than there are cores.
#pragma once
#include <cstdint>
#include <vector>

#include "core/base/units.h"

namespace pgram::sim {

/// Equal processor sharing on a virtual clock: all running jobs progress at the same rate, min(1, cores / wanted), and
/// the clock counts the work that each has done. A job that comes at clock V with work w ends at clock V + w, whatever
/// comes and goes meanwhile, so that a start or an end costs O(log n).
class CoreSharing {
 public:
  explicit CoreSharing(uint32_t cores) : cores_(cores) {}

  /// `wanted`: cores that the job would keep busy.
  void start(Picoseconds now, uint32_t job, Picoseconds work, uint32_t wanted);
  bool idle() const { return jobs_.empty(); }
  /// When the next job ends if none starts before.
  Picoseconds next_end() const { return next_end_; }
  /// Takes out the job that ends at next_end().
  uint32_t finish();

 private:
  struct Job {
    double end = 0;  // on the virtual clock, picoseconds of work
    uint64_t order = 0;
    uint32_t job = 0, wanted = 0;
    bool operator>(const Job& other) const { return end != other.end ? end > other.end : order > other.order; }
  };

  double rate() const { return wanted_ <= cores_ ? 1.0 : static_cast<double>(cores_) / static_cast<double>(wanted_); }
  void advance(Picoseconds now);
  void find_next_end();

  uint32_t cores_;
  uint64_t wanted_ = 0, order_ = 0;
  double clock_ = 0;
  Picoseconds now_ = 0, next_end_ = 0;
  std::vector<Job> jobs_;  // a heap, the next to end at the front
};

}  // namespace pgram::sim
