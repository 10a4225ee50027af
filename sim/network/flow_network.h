// FlowNetwork: flows that share links, max-min fairly, while they come and go.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace pgram::sim {

/// How much of a link a flow uses: bytes over the link per byte of the flow's progress. A send uses each link of its
/// route once; a ring of ranks is one flow whose route is every hop's.
struct LinkUse {
  uint32_t link = 0;
  double weight = 1;
};

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
  /// own bound on its rate, infinity for none. `uses` must live until the flow has ended; it may hold a link twice, and
  /// be empty if there is a limit.
  void start(double now, uint32_t id, double bytes, double limit, std::span<const LinkUse> uses);
  bool idle() const;
  /// When the next flow ends if nothing else happens before; works the rates out where they are not known. Infinity
  /// where all that run stand still (on links of capacity 0).
  double next_end();
  /// Takes out the flow that ends at next_end(), of several the one with the lowest id.
  uint32_t finish();

  /// A link gets faster, slower or (0) stops.
  void set_capacity(double now, uint32_t link, double capacity);
  /// A running flow goes on by another route.
  void reroute(double now, uint32_t id, std::span<const LinkUse> uses);
  double rate(uint32_t id);

  struct Statistics {
    uint64_t changes = 0;  ///< times at which rates were worked out
    uint64_t touched = 0;  ///< flows looked at, summed over these
    uint64_t changed = 0;  ///< flows whose rate did change
  };
  const Statistics& statistics() const { return statistics_; }

 private:
  struct Flow {
    uint32_t id = 0;
    double left = 0, limit = 0, rate = 0;
    std::span<const LinkUse> uses;
  };

  double end(const Flow&) const;
  const Flow* next() const;
  Flow& find(uint32_t id);
  void advance(double now);
  void work_out();

  std::vector<double> capacities_;
  double same_date_, now_ = 0;
  bool changed_ = false;
  std::vector<Flow> flows_;
  Statistics statistics_;
};

}  // namespace pgram::sim
