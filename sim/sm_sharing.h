// Compute that shares its device's SMs with collectives.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/base/units.h"

namespace pgram::sim {

/// Each device runs one compute task at a time, at the share of its speed that its collectives leave.
class SmSharing {
 public:
  explicit SmSharing(size_t devices) : devices_(devices) {}

  /// When the task will have done its work if nothing changes.
  Picoseconds start(Picoseconds now, uint32_t device, uint32_t task, Picoseconds work) {
    Device& d = devices_[device];
    d.task = task;
    d.left = static_cast<double>(work);
    d.since = now;
    return find_end(d);
  }
  /// The same for a task that had so much work left at `since`, at today's rate.
  Picoseconds resume(Picoseconds since, uint32_t device, uint32_t task, double left) {
    Device& d = devices_[device];
    d.task = task;
    d.left = left;
    d.since = since;
    return find_end(d);
  }
  double taken(uint32_t device) const { return devices_[device].taken; }
  double left(uint32_t device) const { return devices_[device].left; }
  uint32_t task(uint32_t device) const { return devices_[device].task; }
  /// Collectives take `share` more of the device (or less, below 0). When its task will now end; -1 if none runs.
  Picoseconds take(Picoseconds now, uint32_t device, double share) {
    Device& d = devices_[device];
    if (d.task != kNobody) {
      // What ends at this very moment has nothing left, whatever rounding says.
      d.left = d.end <= now ? 0 : d.left - static_cast<double>(now - d.since) * rate(d);
      d.since = now;
    }
    d.taken += share;  // exact: see Costs::share_of_sms
    return d.task == kNobody ? -1 : find_end(d);
  }
  /// Whether the device's task ends now: ends that were said before something changed do not count.
  bool ends(Picoseconds now, uint32_t device) const {
    return devices_[device].task != kNobody && devices_[device].end == now;
  }
  uint32_t finish(uint32_t device) { return std::exchange(devices_[device].task, kNobody); }

 private:
  static constexpr uint32_t kNobody = ~0u;
  struct Device {
    uint32_t task = kNobody;
    double left = 0, taken = 0;
    Picoseconds since = 0, end = 0;
  };
  /// Compute never stands still, whatever the collectives would take.
  static double rate(const Device& d) { return std::max(0.05, 1 - d.taken); }
  static Picoseconds find_end(Device& d) {
    constexpr double kNoise = 1e-3;
    const double left = (d.taken == 0 ? d.left : d.left / rate(d)) - kNoise;
    const Picoseconds whole = static_cast<Picoseconds>(left);
    return d.end = d.since + std::max<Picoseconds>(0, whole + (static_cast<double>(whole) < left));
  }

  std::vector<Device> devices_;
};

}  // namespace pgram::sim
