// Costs: durations of compute ops per (body, op) and of transfers per (communicator, kind of group).
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/cluster/cluster.h"
#include "core/cost/cost.h"
#include "sim/plan_index.h"
#include "sim/simulate.h"
#include "sim/wirings.h"

namespace pgram::sim {

/// One op on one kind of rank.
struct OpCost {
  Picoseconds hold = 0;  ///< how long it holds its stream
  Picoseconds tail = 0;  ///< its end comes this much after its stream is free: the latency of a receive
  Picoseconds work = 0;  ///< the part of `hold` that keeps a processor busy where processors are shared
  bool operator==(const OpCost&) const = default;
};

/// What more the event loop must know of a communication op.
struct TransferCost {
  double bytes = 0;  ///< of the operation, as Op::bytes
  double limit = 0;  ///< bytes per picosecond alone on the links; 0: it shares none
  Picoseconds latency =
      0;  ///< passes before the first byte moves; of a receive it comes after the last, as OpCost::tail
  uint32_t lane = 0;
  double sm_share = 0;  ///< of the device's compute, while it is on it
  bool operator==(const TransferCost&) const = default;
};

/// A way in which transfers of a group use links: bytes over each link per byte of the operation are the same whatever
/// the size.
struct Lane {
  Kernel kernel = Kernel::opaque;
  Algorithm algorithm = Algorithm::ring;
  Protocol protocol = Protocol::simple;
  double limit = 0;  ///< of its fastest transfer, bytes per picosecond
  /// Bytes on a send's route, or on the rings of a group whose members are all loaded evenly, per byte of the
  /// operation. 0: they are not.
  double volume = 0;
};
Collective collective_of(Kernel);

/// Whether tasks may want more processors at once than there are.
struct CoreDemand {
  uint32_t cores = 0;       ///< that all ranks share; 0: nothing is shared
  bool by_compute = false;  ///< the ranks' compute alone wants more: only the event loop is right
};
/// Communication of ranks that are threads of this machine takes the cores from compute too.
CoreDemand core_demand(const Plan&, const Cluster&);

/// Transfers are flows over shared links. Not on CPUs: what they measure has the sharing in it.
bool shares_links(const Cluster&, const SimulationOptions&);

/// What transfers look at of the ways between devices.
PathsSeen paths_seen(const Cluster&, const SimulationOptions&);

/// Costs before ranks are folded. Groups of one communicator that cost the same have the same colour.
class Costs {
 public:
  /// All must live on. `wirings`: those of paths_seen().
  Costs(const PlanIndex&, std::shared_ptr<const Wirings> wirings, const Cluster&, const SimulationOptions&);

  uint32_t colour(uint32_t group) const { return colour_of_kind_[wirings_->of_group[group]]; }
  /// What the transfers of a colour cost: the same where the number is.
  uint32_t transfers_of(uint32_t colour) const { return of_colour_[colour]; }
  /// Costs of a Body's ops, to their places in a table of all (see Usage::first_op), where compute is slower by
  /// `factor` and communicators cost what `transfers_of` says; of its communication also `transfers`, if these are not
  /// null.
  void fill(uint16_t body, double factor, std::span<const uint32_t> transfers_of, OpCost* costs,
            TransferCost* transfers) const;
  const std::shared_ptr<const Wirings>& wirings() const { return wirings_; }
  const std::vector<uint32_t>& colour_of_kind() const { return colour_of_kind_; }  ///< of Wirings
  uint32_t colours() const { return static_cast<uint32_t>(of_colour_.size()); }
  /// How transfers of groups of a colour may use links; empty where they share none.
  const std::vector<Lane>& lanes(uint32_t colour) const { return made_[of_colour_[colour]].lanes; }
  /// What lanes that have a volume can ask for at most, bytes per picosecond on their route or rings.
  double most_even(uint32_t colour) const { return made_[of_colour_[colour]].most_even; }
  /// Some collective takes SMs from compute.
  bool takes_sms() const { return takes_sms_; }
  /// Compute ops of one pass over a body, by where their duration came from.
  const std::array<uint32_t, kProvenances>& provenance(uint16_t body) const { return provenance_[body]; }

 private:
  /// Of a colour; those of channels that are alike have one.
  struct Made {
    std::vector<OpCost> costs;  // of each of the communicator's transfers
    std::vector<TransferCost> transfers;
    std::vector<Lane> lanes;
    double most_even = 0;
  };

  void colour_kinds(const Cluster&);
  uint32_t colour_of(uint16_t comm, uint32_t made);
  uint32_t make(uint16_t comm, const std::vector<uint32_t>& members, const Cluster&);
  Made costs_of(uint16_t comm, const std::vector<uint32_t>& members, const Cluster&) const;
  double share_of_sms(uint32_t channels, const Device&) const;
  void compute(const Cluster&);

  const Plan& plan_;
  const Usage& usage_;
  const Transfers& transfers_;
  const SimulationOptions& options_;
  std::shared_ptr<const Wirings> wirings_;

  std::vector<Picoseconds> compute_;  // per op of all bodies; 0 for communication
  std::vector<std::array<uint32_t, kProvenances>> provenance_;

  std::vector<Made> made_;
  std::vector<uint32_t> of_colour_;                    // per colour: index into made_
  std::vector<uint32_t> last_colour_, colour_before_;  // per communicator, and per colour: of the same; kNone
  std::vector<uint32_t> colour_of_kind_;
  bool takes_sms_ = false;
};

}  // namespace pgram::sim
