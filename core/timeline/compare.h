// Comparison of two timelines of the same Plan: spans matched by Task.
#pragma once
#include <string>
#include <vector>

#include "core/timeline/timeline.h"

namespace pgram {

struct SpanPair {
  uint32_t a = 0, b = 0;  ///< index into the chosen step's spans of each
};

struct CategoryDifference {
  Category category = Category::other;
  Picoseconds a = 0, b = 0;  ///< summed span time without waiting
};

struct Comparison {
  size_t step_a = 0, step_b = 0;
  std::vector<SpanPair> pairs;           ///< sorted by a
  std::vector<uint32_t> only_a, only_b;  ///< unmatched spans
  Picoseconds step_time_a = 0, step_time_b = 0;
  std::vector<CategoryDifference> categories;
  /// Kernels with their summed time in both, largest absolute difference first.
  struct KernelDifference {
    std::string body, kernel;
    uint64_t count = 0;
    Picoseconds a = 0, b = 0;
  };
  std::vector<KernelDifference> kernels;
  double step_error() const;  ///< (a - b) / b
};

/// Median steps are compared. InputError when the plans differ (other tasks).
Comparison compare(const Timeline& a, const Timeline& b);
std::string comparison_to_text(const Timeline& a, const Timeline& b, const Comparison&);
std::string comparison_to_json(const Timeline& a, const Timeline& b, const Comparison&);

}  // namespace pgram
