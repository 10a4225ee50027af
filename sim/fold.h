// Folding: ranks that provably behave alike are simulated once.
#pragma once
#include <cstdint>
#include <vector>

#include "sim/costs.h"
#include "sim/groups.h"

namespace pgram::sim {

/// Ranks divided by likeness, and the groups that the classes form. Classes are numbered by their lowest rank.
struct Quotient {
  std::vector<uint32_t> class_of;        ///< per rank
  std::vector<uint32_t> representative;  ///< per class: its lowest rank
  std::vector<uint32_t> cost_table;      ///< per class: which of the (folded) classes' cost tables it uses
  /// Per class and communicator (class * comms + comm): the meeting place of the class; kNone if it has none.
  std::vector<uint32_t> meeting;
  std::vector<uint32_t> meeting_size;  ///< per meeting place: how many classes must arrive
};

/// Colour refinement: two ranks are alike if they have one role and one slow factor, and the groups they meet in cost
/// the same and hold alike ranks. Stable colours form an equitable partition, on which every class meets the same
/// classes in each communicator, so that all its ranks have the same times, exactly.
/// `factor`: slow factor per rank, empty if all are 1.
Quotient fold(const Plan&, const Usage&, const Groups&, const Costs&, const std::vector<double>& factor);

/// Every rank a class of its own, but with the cost tables of the folded classes.
Quotient unfold(const Plan&, const Usage&, const Groups&, const Quotient& folded);

}  // namespace pgram::sim
