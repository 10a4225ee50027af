// The processes of one run: they meet in a store that process 0 serves, agree, exchange bytes and clocks, and learn at
// once when one of them fails.
#pragma once
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/base/units.h"
#include "core/exec/backend.h"
#include "cuda_backend/process_place.h"

namespace pgram {

class Store;

/// What this process's steady clock lacks to process 0's, and how wrong that can be: half the shortest round trip.
struct ClockOffset {
  Picoseconds offset = 0, uncertainty = 0;
};

struct ProcessesOptions {
  double start_timeout = 120;  ///< seconds until all have come; the message names who has not
  double wait_timeout = 300;   ///< seconds that gather() and broadcast() wait for the others
};

/// InputError unless there is one process, or one for each rank of the plan.
void require_processes(const ProcessPlace&, uint32_t ranks);

class Processes : public ProcessGroup {
 public:
  /// Waits for all processes. One process: opens no socket. InputError for a port in use, an address that nobody
  /// answers at, and processes that do not come or count the processes otherwise.
  explicit Processes(const ProcessPlace&, const ProcessesOptions& = {});
  ~Processes() override;

  uint32_t index() const override { return place_.index; }
  uint32_t size() const override { return place_.size; }
  /// RunError naming the process when one fails, is lost or does not come. Also measures the clocks anew.
  std::vector<std::string> gather(const std::string& bytes) override;
  std::string broadcast(const std::string& bytes) override;

  /// InputError at every process if they do not all say the same: "NCCL: process 2 has 2.27.3, process 0 has 2.28.9".
  /// Called by all.
  void agree(const std::string& what, const std::string& mine);

  /// Tells all the others that the run has failed, unless somebody has before. From any thread.
  void fail(const std::string& reason) noexcept;
  /// Why the run failed, here or at another process; empty if it did not.
  std::string failure() const;
  /// Called once, on a thread of the store (or at once on this one), when another process fails or is lost. An empty
  /// function switches it off, and returns when no call runs any more.
  void on_failure(std::function<void(const std::string& reason)>);

  ClockOffset clock() const;
  const ProcessPlace& place() const { return place_; }

 private:
  void measure_clock(int rounds);
  std::string take(const std::string& key, uint32_t from);

  const ProcessPlace place_;
  const ProcessesOptions options_;
  std::unique_ptr<Store> store_;  ///< null: one process
  uint64_t gathers_ = 0, broadcasts_ = 0;
  mutable std::mutex clock_mutex_;
  ClockOffset clock_;
  std::chrono::steady_clock::time_point clock_measured_;
};

}  // namespace pgram
