// Folding: ranks that provably behave alike are simulated once.
#pragma once
#include <cstdint>
#include <vector>

#include "sim/costs.h"
#include "sim/plan_index.h"
#include "sim/traffic.h"

namespace pgram::sim {

/// Ranks divided by likeness, and the groups that the classes form. Classes are numbered by their lowest rank.
struct Quotient {
  std::vector<uint32_t> class_of;        ///< per rank
  std::vector<uint32_t> representative;  ///< per class: its lowest rank
  std::vector<uint32_t> cost_table;      ///< per class: which of the (folded) classes' cost tables it uses
  /// Per class and communicator (class * comms + comm): the meeting place of the class; kNone if it has none.
  std::vector<uint32_t> meeting;
  std::vector<uint32_t> meeting_size;  ///< per meeting place: how many classes must arrive
  std::vector<uint32_t> link_class;    ///< per link of the Traffic
  /// Per class of links: one of them. What its groups use of it says what the class's meeting places use of the class.
  std::vector<uint32_t> link_representative;
};

/// Colour refinement: two ranks are alike if they have one role and one slow factor, and the groups they meet in cost
/// the same, hold alike ranks and use alike links; two links, if they have one capacity and alike groups use them
/// alike. Stable colours form an equitable partition: every class meets the same classes in each communicator, and
/// links of one class hold the same numbers of flows of each class, so that water-filling gives flows of a class one
/// rate and all ranks of a class have the same times, exactly. `factor`: slow factor per rank, empty if all are 1.
Quotient fold(const PlanIndex&, const Costs&, const Traffic&, const std::vector<double>& factor);

/// Every rank a class of its own, but with the cost tables of the folded classes.
Quotient unfold(const PlanIndex&, const Traffic&, const Quotient& folded);

}  // namespace pgram::sim
