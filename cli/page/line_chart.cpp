#include <algorithm>
#include <cmath>

#include "cli/page/chart.h"
#include "cli/page/colours.h"
#include "cli/page/frame.h"
#include "cli/page/text.h"

namespace pgram::page {
namespace {

constexpr double kHeight = 270, kDirectLabel = 190;

std::string dashes_of(const Line& line) {
  if (line.look == Line::Look::ideal) return "4 4";
  if (line.look == Line::Look::overlaid && line.colour > 0) return "6 " + std::to_string(3 + 3 * line.colour);
  return "";
}

std::string shortened(const std::string& name, double width) {
  std::string out = name;
  while (!out.empty() && text_width(out) > width) {
    do {
      out.pop_back();
    } while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0xc0) == 0x80);
  }
  return out.size() < name.size() ? out + "…" : out;
}

void draw_lines(Svg& svg, const Frame& frame, const LinePanel& panel, bool labels) {
  std::vector<double> wanted;
  for (const Line& line : panel.lines) {
    std::vector<XY> points;
    for (const Line::Point& point : line.points) points.push_back(frame.at(point.x, point.y));
    svg.polyline(points, colour_of_line(line.colour), dashes_of(line));
    for (size_t i = 0; i < points.size() && line.look == Line::Look::marked; ++i)
      svg.mark(line.colour, points[i], colour_of_line(line.colour), line.points[i].title);
    wanted.push_back(points.empty() ? frame.top : points.back().y + 4);
  }
  if (!labels) return;
  const std::vector<double> heights = spread(wanted, 13, frame.top + 8, frame.top + frame.height);
  for (size_t i = 0; i < panel.lines.size(); ++i) {
    if (panel.lines[i].points.empty()) continue;
    const Line::Point& last = panel.lines[i].points.back();
    svg.text(frame.at(last.x, last.y).x + 9, heights[i], shortened(panel.lines[i].name, kDirectLabel - 12), "start",
             "small");
  }
}

Frame frame_of(const LinePanel& panel, double left, double top, double width) {
  std::vector<double> x, y;
  for (const Line& line : panel.lines) {
    for (const Line::Point& point : line.points) x.push_back(point.x), y.push_back(point.y);
  }
  Frame frame{left, top, width, kHeight, {}, axis_of(panel.y, y)};
  double widest = 20;
  for (const double value : x) widest = std::max(widest, text_width(panel.x.text(value)) + 10);
  frame.x = panel.x_is_count ? axis_at(x, widest / width)
                             : axis_of(panel.x, x, std::min(10, static_cast<int>(width / widest)));
  return frame;
}

}  // namespace

std::string line_chart(const std::string& label, const std::vector<LinePanel>& panels) {
  Svg svg(label);
  std::vector<Svg::Key> keys;
  for (const LinePanel& panel : panels) {
    for (const Line& line : panel.lines) {
      const bool known = std::any_of(keys.begin(), keys.end(), [&](const Svg::Key& k) { return k.name == line.name; });
      if (!known)
        keys.push_back({line.name, colour_of_line(line.colour), true,
                        line.look == Line::Look::marked ? line.colour : Svg::kNoMark, dashes_of(line)});
    }
  }
  const double top = keys.size() > 1 ? svg.legend(kLeftOfFrame, 0, kPictureWidth - kLeftOfFrame, keys) + 10 : 10;
  const double each = kPictureWidth / static_cast<double>(panels.size());
  for (size_t i = 0; i < panels.size(); ++i) {
    double longest = 0;
    for (const Line& line : panels[i].lines) longest = std::max(longest, text_width(line.name));
    const double right = keys.size() > 1 ? std::min(longest, kDirectLabel - 12) + 14 : 12;
    const Frame frame =
        frame_of(panels[i], each * static_cast<double>(i) + kLeftOfFrame, top, each - kLeftOfFrame - right);
    frame.draw(svg, panels[i].x, panels[i].y);
    draw_lines(svg, frame, panels[i], keys.size() > 1);
  }
  return svg.finish(top + kHeight + kBelowFrame);
}

}  // namespace pgram::page
