// Folding: classes of ranks, and the links that they share: what of a simulation is the same however long tasks take.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/cluster/cluster.h"
#include "sim/costs.h"
#include "sim/fold.h"
#include "sim/link_facts.h"
#include "sim/recent.h"
#include "sim/shared_links.h"
#include "sim/simulate.h"

namespace pgram::sim {

struct Folding {
  Quotient quotient;
  std::vector<uint32_t> table_ranks;  ///< of each cost table that the quotient names: a rank that it is of
  uint32_t shared_links = 0;          ///< links that may be full
  LinkClasses links;

  bool shares_links() const { return shared_links > 0; }
  size_t bytes() const;
};

/// What of the options counts here, and the changes of links in order of time.
struct FoldingOptions {
  bool flows = false;       ///< shares_links() says so
  bool every_link = false;  ///< see Traffic; then nothing is folded where links are shared
  bool unfold = false;
  std::span<const std::pair<uint32_t, double>> slow_ranks;
  std::span<const LinkChange> changes;
};

Folding make_folding(const PlanIndex&, const Costs&, const Cluster&, const FoldingOptions&, LinkFacts&);
/// All that it looks at.
Key folding_key(const Costs&, const Cluster&, const FoldingOptions&);
/// All that SharedLinks look at.
Key shared_links_key(const std::shared_ptr<const Folding>&, const Costs&);

/// The factor on every rank's compute time; empty if all are 1.
std::vector<double> slow_factors(const Plan&, std::span<const std::pair<uint32_t, double>> slow_ranks);

}  // namespace pgram::sim
