// All cases of a sweep in their fixed order: those that share a Plan follow one another.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/sweep/sweep_file.h"

namespace pgram::sweep {

/// A run of cases that have one Plan: the same model, layout and workload on other clusters, networks, disturbances.
/// Its cases' numbers are consecutive.
struct PlanGroup {
  uint64_t first = 0;
  std::vector<Case> cases;
};

constexpr uint64_t kMostCases = 10'000'000;  ///< without --yes

/// Counts and enumerates without keeping the cases: memory does not grow with their number. Thread-safe once made.
class Grid {
 public:
  /// InputError: a name that is not known, a filter that is no expression or drops every case, more than `most` cases.
  explicit Grid(const Sweep&, uint64_t most = kMostCases);
  ~Grid();

  uint64_t cases() const;  ///< after the filters
  uint64_t groups() const;
  uint64_t dropped() const;               ///< by the filters
  PlanGroup group(uint64_t index) const;  ///< below groups()
  /// Models of the sweep file that are in no case: no layout of theirs is legal, or filters drop them.
  const std::vector<std::string>& models_without_cases() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pgram::sweep
