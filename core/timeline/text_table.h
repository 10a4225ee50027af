// Small tables for a terminal: columns as wide as their widest cell.
#pragma once
#include <string>
#include <utility>
#include <vector>

namespace pgram {

class TextTable {
 public:
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  /// First column to the left, the others to the right, two spaces between; every row ends with a line break.
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

std::string format_percent(double share);         ///< 0.0345 -> "3.5 %"
std::string format_signed_percent(double share);  ///< 0.0345 -> "+3.5 %"

/// `part` of `whole`; 0 when there is no whole.
inline double share_of(double part, double whole) {
  return whole > 0 ? part / whole : 0;
}

constexpr size_t kRankLines = 16;  ///< lines per rank that a text shows before it counts the rest

}  // namespace pgram
