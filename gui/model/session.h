// Session: what the Layout panel chooses, and what follows from it: inputs -> Plan -> simulated Timeline.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/cluster/cluster.h"
#include "core/layout/layout.h"
#include "core/model/model.h"
#include "core/timeline/timeline.h"
#include "core/workload/workload.h"

namespace pgram::gui {

struct SessionInputs {
  std::string model = "tiny-llama";
  std::string cluster = "this";
  std::string device;  ///< device file that replaces the cluster's device; empty = the cluster's own
  Layout layout{.tp = 2, .pp = 2};
  Workload work{.global_batch = 8, .micro_batch = 1, .sequence = 128};
  bool operator==(const SessionInputs&) const = default;
};

/// Values that a panel may offer. Each list holds for the inputs before it in this order: tp, pp, dp, micro-batch size.
struct Choices {
  std::vector<uint32_t> tp, pp, dp, micro_batch, sequence;
  bool sequence_parallel = false;  ///< whether it may be switched on
};

/// All values that `validate` accepts on at most `devices` devices. Sequences are powers of two.
Choices choices(const Model&, const SessionInputs&, uint32_t devices);
/// The inputs with every value that may not be chosen replaced by the nearest that may, in the order above.
SessionInputs nearest_valid(const Model&, SessionInputs, uint32_t devices);
/// Devices to plan for: the cluster's, or kMostLocalRanks on this machine, whose cores ranks may share.
uint32_t available_devices(const Cluster&);
constexpr uint32_t kMostLocalRanks = 8;

struct SessionResult {
  SessionInputs inputs;
  Cluster cluster;
  std::shared_ptr<const Plan> plan;
  std::shared_ptr<const Timeline> timeline;
  uint64_t tasks = 0;
  double milliseconds = 0;   ///< planning and simulating took
  Bytes memory_needed = 0;   ///< of the fullest rank
  std::string does_not_fit;  ///< one sentence, empty if it fits
};

/// Keeps what is slow to make again (the last clusters). Thread-safe.
class Session {
 public:
  Cluster cluster(const std::string& name, uint32_t ranks);
  /// InputError for inputs that cannot be planned; RunError for a plan that deadlocks.
  SessionResult plan_and_simulate(const SessionInputs&);

 private:
  std::mutex mutex_;
  std::map<std::pair<std::string, uint32_t>, Cluster> clusters_;
};

/// A timeline that was read stands for the inputs it was made from, where its facts tell them and the cluster is known.
std::optional<SessionResult> result_of(Session&, std::shared_ptr<const Timeline>);
/// Why a plan cannot be executed on the CPU backend here; empty if it can.
std::string why_not_runnable(const SessionResult&);
/// Inputs that a timeline's facts tell, where they are complete.
std::optional<SessionInputs> inputs_of(const Timeline&);

}  // namespace pgram::gui
