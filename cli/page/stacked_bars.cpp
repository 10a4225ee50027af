#include <algorithm>

#include "cli/page/chart.h"
#include "cli/page/colours.h"
#include "cli/page/text.h"

namespace pgram::page {
namespace {

constexpr double kBar = 17, kRow = 22, kGroupRow = 22;

/// Where white is easier to read on it than black.
bool is_dark(const std::string& paint) {
  return paint == kBlue || paint == kBrown || paint == kViolet;
}

bool is_hatched(const std::string& paint) {
  return paint.starts_with("url(");
}

}  // namespace

std::string stacked_bars(const std::string& label, const Bars& bars) {
  Svg svg(label);
  std::vector<bool> used(bars.parts.size());
  double names = 0, notes = 0, longest = 0;
  for (const Bars::Bar& bar : bars.bars) {
    double sum = 0;
    for (size_t p = 0; p < bar.parts.size(); ++p) sum += bar.parts[p], used[p] = used[p] || bar.parts[p] > 0;
    names = std::max(names, text_width(bar.name)), notes = std::max(notes, text_width(bar.note));
    longest = std::max(longest, sum);
  }
  std::vector<Svg::Key> keys;
  for (size_t p = 0; p < bars.parts.size(); ++p) {
    if (used[p]) keys.push_back({bars.parts[p].name, bars.parts[p].paint, false, 0, ""});
  }
  const double left = std::min(names, 300.0) + 10, width = kPictureWidth - left - std::min(notes, 260.0) - 12;
  double y = svg.legend(0, 0, kPictureWidth, keys) + 8;
  const std::string* group = nullptr;
  for (const Bars::Bar& bar : bars.bars) {
    if (!bar.group.empty() && (!group || *group != bar.group)) {
      svg.text(0, y + 14, bar.group, "start", "strong");
      y += kGroupRow;
    }
    group = &bar.group;
    svg.text(left - 10, y + 13, bar.name, "end");
    double x = left;
    for (size_t p = 0; p < bar.parts.size(); ++p) {
      if (bar.parts[p] <= 0) continue;
      const double wide = bar.parts[p] / longest * width;
      const std::string percent = share_text(bar.parts[p]);
      // A line of the paper's colour between neighbours, where there is room for it.
      svg.rect(x, y, wide > 2 ? wide - 0.7 : wide, kBar, bars.parts[p].paint, bars.parts[p].name + ": " + percent);
      const std::string whole = fixed(bar.parts[p] * 100, 0) + " %";
      if (wide > text_width(whole) + 6 && !is_hatched(bars.parts[p].paint))
        svg.text(x + wide / 2, y + 12.5, whole, "middle", is_dark(bars.parts[p].paint) ? "on" : "on dark");
      x += wide;
    }
    svg.text(x + 8, y + 13, bar.note, "start", "soft");
    y += kRow;
  }
  return svg.finish(y + 2);
}

}  // namespace pgram::page
