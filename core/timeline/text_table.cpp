#include "core/timeline/text_table.h"

#include <algorithm>
#include <cstdio>

namespace pgram {

std::string TextTable::text() const {
  std::vector<size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()), 0);
    for (size_t column = 0; column < row.size(); ++column)
      widths[column] = std::max(widths[column], row[column].size());
  }
  std::string text;
  for (const auto& row : rows_) {
    std::string line;
    for (size_t column = 0; column < row.size(); ++column) {
      const std::string padding(widths[column] - row[column].size(), ' ');
      line += (column > 0 ? "  " : "") + (column == 0 ? row[column] + padding : padding + row[column]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

static std::string percent(const char* format, double share) {
  char text[64];
  std::snprintf(text, sizeof text, format, share * 100);
  return text;
}

std::string format_percent(double share) {
  return percent("%.1f %%", share);
}
std::string format_signed_percent(double share) {
  return percent("%+.1f %%", share);
}

}  // namespace pgram
