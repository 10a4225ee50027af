// StepRuns: collectives that run as their own steps, each message a flow over the links of its route.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "core/cluster/cluster.h"
#include "sim/collectives/steps.h"
#include "sim/costs.h"
#include "sim/fold.h"
#include "sim/network/flow_network.h"

namespace pgram::sim {

struct StepProblem;

/// For the network level `step`, where every rank is simulated. Timing is that of sim/collectives/timing.h: what a
/// message waits for, its latency, and where NCCL's model applies a limit for each member (its port, a link behind the
/// cluster's). A meeting place has one collective at a time, which may begin with `start`; each of its messages under
/// way has a number, used again later, and is the flow of that number after those of the meeting places.
class StepRuns {
 public:
  /// Picoseconds. Messages that end nearer to one another end together, and rates are worked out once for all.
  static constexpr double kSameDate = 0.5;

  /// `epochs`: see epochs_of. All must live on.
  StepRuns(const PlanIndex&, const Costs&, const Quotient& unfolded, std::span<const Cluster> epochs);

  /// Links of the network beyond those of the cluster.
  uint32_t ports() const { return ports_; }

  struct Wait {
    uint32_t message = 0;
    Picoseconds latency = 0;  ///< after it, `begin` is due
  };
  struct Ended {
    uint32_t task = 0;     ///< of those told to `start`
    Picoseconds lost = 0;  ///< how much earlier it would have ended alone
  };
  /// What follows from an event. Valid until the next call.
  struct Happened {
    uint32_t place = 0;
    std::vector<Wait> waits;
    std::vector<Ended> ended;  ///< members whose last message has ended
    bool over = false;         ///< that was the last of the whole collective
  };

  /// All members have come. `tasks`: one of each member, by rank. `hold`: what the closed form says that it takes.
  const Happened& start(Picoseconds now, uint32_t place, const TransferCost&, Picoseconds hold,
                        std::span<const uint32_t> tasks, FlowNetwork&);
  /// A message's latency has passed.
  const Happened& begin(Picoseconds now, uint32_t message, FlowNetwork&);
  /// Its flow has ended.
  const Happened& end(Picoseconds now, uint32_t flow, FlowNetwork&);
  /// The next epoch: what runs goes on by other ways. InputError where there is none.
  void next_epoch(Picoseconds now, FlowNetwork&);

  uint64_t messages() const { return num_messages_; }  ///< that have ended

 private:
  struct Step {
    uint32_t first_successor = 0;
    uint32_t route = kNone;                   // none: it only joins
    uint32_t source = kNone, target = kNone;  // members; none: a switch, or no bytes
    double weight = 0;                        // bytes on the wire per byte of the operation; 0: a latency, or a join
  };
  /// The same for all groups that lie alike on their nodes.
  struct Graph {
    std::vector<Step> steps;  // and one past the end
    std::vector<uint32_t> successors;
    std::vector<uint32_t> missing;    // predecessors of each step
    std::vector<uint32_t> of_member;  // messages that it sends or gets
    uint32_t longest = 0;             // chain of steps
  };
  struct Route {
    Picoseconds latency = 0;
    uint32_t first_use = 0, num_uses = 0;
  };
  /// A graph on one group's links, for one size.
  struct Wired {
    const Graph* graph = nullptr;
    std::vector<Route> routes;
    std::vector<LinkUse> uses;
    std::vector<std::pair<uint32_t, double>> ports;  // link and bytes per picosecond
    std::vector<Picoseconds> alone;                  // when each member is done alone; empty: as the closed form says
  };
  /// A meeting place.
  struct Place {
    std::vector<uint32_t> members;  // ascending
    const std::vector<Lane>* lanes = nullptr;
    uint32_t first_port = 0;
  };
  /// A collective under way.
  struct Run {
    uint32_t place = kNone;  // none: over
    uint32_t lane = 0;
    double bytes = 0;
    const Wired* wired = nullptr;
    Picoseconds since = 0, hold = 0;
    size_t steps_left = 0;
    std::vector<uint32_t> tasks, missing, messages;  // of each member, step, member: those left
  };
  /// A step under way, in its latency or as a flow.
  struct Message {
    uint32_t run = 0, step = 0;
    bool flows = false;
  };

  const Wired& wired_for(uint32_t place, uint32_t lane, double bytes);
  Wired wire(const Place&, const Lane&, double bytes);
  const Graph& graph_of(const std::vector<uint32_t>& key, const StepProgram&, const StepProblem&, double bytes);
  static void set_ports(Picoseconds now, const Wired&, FlowNetwork&);
  void begin_event(uint32_t place);
  void go(uint32_t run, uint32_t step, FlowNetwork&, Picoseconds now);
  void start_flow(uint32_t message, FlowNetwork&, Picoseconds now);
  const Happened& settle(uint32_t run, FlowNetwork&, Picoseconds now);
  void end_at(Run&, uint32_t member, Picoseconds now);
  std::span<const LinkUse> uses(const Message&) const;

  std::span<const Cluster> epochs_;
  uint32_t epoch_ = 0, ports_ = 0;
  std::vector<Place> places_;
  std::map<std::vector<uint32_t>, std::unique_ptr<Graph>> graphs_;
  std::map<std::array<uint64_t, 4>, Wired> wired_;  // by epoch, place, lane and bytes
  std::vector<Run> runs_;
  std::vector<Message> messages_;
  std::vector<uint32_t> free_runs_, free_messages_;
  std::vector<uint32_t> ended_;  // steps of the run of the event, whose successors do not know
  Happened happened_;
  uint64_t num_messages_ = 0;
};

}  // namespace pgram::sim
