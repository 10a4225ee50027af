#include <algorithm>
#include <cmath>
#include <set>

#include "cli/page/chart.h"
#include "cli/page/colours.h"
#include "cli/page/frame.h"
#include "cli/page/text.h"

namespace pgram::page {
namespace {

constexpr double kHeight = 320;

Frame frame_of(const PointPanel& panel, double left, double width) {
  std::vector<double> x, y;
  for (const XY& point : panel.faint) x.push_back(point.x), y.push_back(point.y);
  for (const PointPanel::Named& point : panel.named) x.push_back(point.x), y.push_back(point.y);
  return {left, 10, width, kHeight, axis_of(panel.x, x, static_cast<int>(width / 60)), axis_of(panel.y, y)};
}

/// One point of each small square of the picture, and of these every n-th if there are still too many.
std::vector<XY> thinned(const std::vector<XY>& points, const Frame& frame, size_t most) {
  constexpr double kSquare = 2;
  std::set<std::pair<int, int>> squares;
  for (const XY& point : points) {
    const XY at = frame.at(point.x, point.y);
    squares.emplace(static_cast<int>(at.x / kSquare), static_cast<int>(at.y / kSquare));
  }
  const size_t every = std::max<size_t>(1, (squares.size() + most - 1) / most);
  std::vector<XY> out;
  size_t index = 0;
  for (const auto& [x, y] : squares) {
    if (index++ % every == 0) out.push_back({x * kSquare + kSquare / 2, y * kSquare + kSquare / 2});
  }
  return out;
}

/// With its number where that covers no other's, the first come first; else as a small mark, below the numbers.
void draw_named(Svg& svg, const Frame& frame, const std::vector<PointPanel::Named>& named) {
  constexpr double kDisc = 17;
  std::vector<XY> places;
  std::vector<const PointPanel::Named*> numbered;
  for (const PointPanel::Named& point : named) {
    const XY at = frame.at(point.x, point.y);
    const bool covers = std::any_of(places.begin(), places.end(), [&](const XY& other) {
      return std::hypot(other.x - at.x, other.y - at.y) < kDisc;
    });
    if (covers) {
      svg.mark(0, at, kBlue, point.title);
    } else {
      places.push_back(at);
      numbered.push_back(&point);
    }
  }
  for (size_t i = 0; i < places.size(); ++i) svg.disc(places[i], kBlue, numbered[i]->name, numbered[i]->title);
}

}  // namespace

std::string point_chart(const std::string& label, const std::vector<PointPanel>& panels, size_t most,
                        std::vector<size_t>* drawn) {
  Svg svg(label);
  const double each = kPictureWidth / static_cast<double>(panels.size());
  for (size_t i = 0; i < panels.size(); ++i) {
    const PointPanel& panel = panels[i];
    const Frame frame = frame_of(panel, each * static_cast<double>(i) + kLeftOfFrame, each - kLeftOfFrame - 14);
    frame.draw(svg, panel.x, panel.y);
    const std::vector<XY> faint = thinned(panel.faint, frame, most);
    svg.dots(faint);
    if (drawn) drawn->push_back(faint.size());
    draw_named(svg, frame, panel.named);
  }
  return svg.finish(10 + kHeight + kBelowFrame);
}

}  // namespace pgram::page
