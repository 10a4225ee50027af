// Matcher: which span of one timeline is the same Task as a span of the other.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "core/timeline/compare.h"
#include "gui/model/track_store.h"

namespace pgram::gui {

class Matcher {
 public:
  Matcher() = default;
  /// Either store may be null; both must outlive the matcher. Timelines of different plans match nowhere, and `why_not`
  /// says so.
  Matcher(const TrackStore* upper, const TrackStore* lower);

  /// The span of `side` that shows this task (a folded rank's task is found at its representative).
  std::optional<uint32_t> find(int side, const Task&) const;
  /// The span of the other side that is the same task as `span` of `side`.
  std::optional<uint32_t> partner(int side, uint32_t span) const;

  bool matched() const { return comparison_.has_value(); }
  const std::string& why_not() const { return why_not_; }
  const std::optional<Comparison>& comparison() const { return comparison_; }

  /// Classes of a track for ColourMode::difference: relative difference of span times without waiting, positive where
  /// this side took longer, saturating at +-`limit`. Waiting is neither.
  std::vector<uint8_t> difference_classes(int side, const Track&, double limit = 0.2) const;

 private:
  std::array<const TrackStore*, 2> stores_{};
  std::array<std::vector<uint32_t>, 2> by_task_;  ///< spans of each side sorted by (rank, call, op)
  std::optional<Comparison> comparison_;
  std::string why_not_;
};

/// (own - other) / other; both zero: 0.
double relative_difference(Picoseconds own, Picoseconds other);
/// 0 ... kDifferenceSteps - 1; the middle class is "equal".
uint8_t difference_class(double relative, double limit);
/// Time that the task itself took: a communication's waiting is its partners' time.
Picoseconds own_time(const Span&);

}  // namespace pgram::gui
