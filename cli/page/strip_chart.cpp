#include <algorithm>

#include "cli/page/chart.h"
#include "cli/page/colours.h"
#include "cli/page/frame.h"
#include "cli/page/text.h"

namespace pgram::page {

std::string strip_chart(const std::string& label, const Strips& chart) {
  constexpr double kRow = 26, kTop = 6;
  Svg svg(label);
  std::vector<double> values;
  double names = 0, notes = 0;
  for (const Strips::Strip& strip : chart.strips) {
    for (const Line::Point& point : strip.points) values.push_back(point.x);
    names = std::max(names, text_width(strip.name)), notes = std::max(notes, text_width(strip.note));
  }
  const double left = std::min(names, 300.0) + 12, width = kPictureWidth - left - std::min(notes, 280.0) - 16;
  const double height = kRow * static_cast<double>(chart.strips.size()), bottom = kTop + height;
  const Axis x = axis_of(chart.x, values, static_cast<int>(width / 70));
  const std::vector<std::string> texts = tick_texts(chart.x, x);
  for (size_t i = 0; i < x.ticks.size(); ++i) {
    const double at = left + width * x.at(x.ticks[i]);
    svg.axis_line(at, kTop, at, bottom + 4);
    svg.text(at, bottom + 17, texts[i], "middle");
  }
  svg.text(left + width / 2, bottom + 34, chart.x.title, "middle", "soft");
  for (size_t i = 0; i < chart.strips.size(); ++i) {
    const Strips::Strip& strip = chart.strips[i];
    const double y = kTop + kRow * (static_cast<double>(i) + 0.5);
    svg.text(left - 12, y + 4, strip.name, "end");
    svg.axis_line(left, y, left + width, y);
    for (const Line::Point& point : strip.points)
      svg.mark(strip.colour, {left + width * x.at(point.x), y}, colour_of_line(strip.colour), point.title);
    svg.text(left + width + 12, y + 4, strip.note, "start", "soft");
  }
  return svg.finish(bottom + kBelowFrame);
}

}  // namespace pgram::page
