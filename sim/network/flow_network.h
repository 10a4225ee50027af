// FlowNetwork: flows that share links, max-min fairly, while they come and go.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "sim/network/date_queue.h"
#include "sim/network/max_min.h"

namespace pgram::sim {

/// Rates are at every moment the max-min fair ones (water-filling with equal weights: of all flows' rates the lowest is
/// as high as can be, then the next): sum of weight x rate over a link's flows <= its capacity, and every flow is held
/// back by its own limit or by a full link on which no flow is faster. They change only when a flow starts or ends or a
/// link changes; all that happens at one time happens before rates are worked out again. Time and bytes are in the
/// caller's units; a capacity is in bytes per unit of time.
class FlowNetwork {
 public:
  /// Ends at most `same_date` after an event are of its date.
  explicit FlowNetwork(std::vector<double> capacities, double same_date = 0);

  /// Flow `id` (dense numbers of the caller, one flow at a time under each) begins to use its links now. `limit`: its
  /// own bound on its rate, infinity for none. `uses` are copied; they may hold a link twice, and be none if there is a
  /// limit.
  void start(double now, uint32_t id, double bytes, double limit, std::span<const LinkUse> uses);
  /// Flow `id` has run since `began`, alone on its links, which nobody had to know until now.
  void join(double began, uint32_t id, double bytes, double limit, std::span<const LinkUse> uses);
  /// Rate of a flow that nobody shares its links with.
  double rate_alone(double limit, std::span<const LinkUse> uses) const { return rates_.rate_alone(limit, uses); }
  bool idle() const { return free_.size() == flows_.size(); }
  /// When the next flow ends if nothing else happens before; works the rates out where they are not known. Infinity
  /// where all that run stand still (on links of capacity 0).
  double next_end() {
    if (!end_known_) find_next_end();
    return next_end_;
  }
  /// Whether it is what it was when it was last asked for.
  bool end_known() const { return end_known_; }
  /// next_end() as the time that passes from the date at which that flow got its rate: what it takes alone does not
  /// depend on when it starts. Only if a flow will end.
  struct Ending {
    double since = 0, after = 0;
  };
  Ending next_ending();
  /// The flow that ends at next_end(), of several the one with the lowest id. Only if a flow will end.
  uint32_t next_id() { return first_end().id; }
  /// Takes it out.
  uint32_t finish();
  /// The same after next_end(), where the caller's clock says that it ends at `date`: that rounds.
  uint32_t finish(double date);

  /// A link gets faster, slower or (0) stops.
  void set_capacity(double now, uint32_t link, double capacity);
  /// A running flow goes on by another route.
  void reroute(double now, uint32_t id, std::span<const LinkUse> uses);
  double rate(uint32_t id);
  /// A flow will soon use the link.
  void prefetch(uint32_t link) const { rates_.prefetch(link); }

  struct Statistics {
    uint64_t changes = 0;  ///< times at which rates were worked out
    uint64_t touched = 0;  ///< flows looked at, summed over these
    uint64_t changed = 0;  ///< flows whose rate did change
  };
  const Statistics& statistics() const { return statistics_; }

 private:
  static constexpr uint32_t kNone = ~0U;
  /// Its bytes and end are worked out only where its rate changes.
  struct Flow {
    uint32_t id = kNone;
    uint32_t place = kNone;  // in ends_, with a date that is not after `end`; kNone: its end is not known yet
    double left = 0;         // bytes at time `since`
    double since = 0, rate = 0, end = 0;
  };

  void pass(double now) { now_ = now > now_ ? now : now_; }
  void change() {
    changed_ = true;
    end_known_ = false;
  }
  void find_next_end();
  uint32_t take_slot(uint32_t id);
  void note_slot(uint32_t slot);
  uint32_t slot_of(uint32_t id);
  void work_out();
  void update_end(uint32_t slot);
  void queue(uint32_t slot);
  void drop_void();
  const Dated& first_end();

  MaxMin rates_;
  double same_date_, now_ = 0;
  bool changed_ = false;    // since rates were worked out
  bool end_known_ = false;  // next_end_ is next_end()
  double next_end_ = 0;
  std::vector<Flow> flows_;      // by slot
  std::vector<uint32_t> free_;   // slots
  std::vector<uint32_t> slots_;  // by the caller's id, once it is asked for
  DateQueue ends_;               // those that are no flow's place are void
  Statistics statistics_;
};

}  // namespace pgram::sim
