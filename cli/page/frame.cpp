#include "cli/page/frame.h"

#include <algorithm>
#include <numeric>

#include "cli/page/text.h"

namespace pgram::page {

void Frame::draw(Svg& svg, const Quantity& x_quantity, const Quantity& y_quantity) const {
  const double bottom = top + height, right = left + width;
  for (const double tick : y.ticks) {
    const double at = top + height * (1 - y.at(tick));
    svg.axis_line(left, at, right, at);
    svg.text(left - 7, at + 4, y_quantity.text(tick), "end");
  }
  svg.axis_line(left, bottom, right, bottom);
  for (const double tick : x.ticks) {
    const double at = left + width * x.at(tick);
    svg.axis_line(at, bottom, at, bottom + 5);
    svg.text(at, bottom + 17, x_quantity.text(tick), "middle");
  }
  svg.text(left + width / 2, bottom + 34, x_quantity.title, "middle", "soft");
  svg.upright(left - kLeftOfFrame + 11, top + height / 2, y_quantity.title);
}

std::vector<double> spread(std::vector<double> wanted, double gap, double top, double bottom) {
  std::vector<size_t> order(wanted.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return wanted[a] < wanted[b]; });
  // Downwards each from the one above it, then upwards from the bottom.
  double least = top;
  for (const size_t i : order) least = (wanted[i] = std::max(wanted[i], least)) + gap;
  double most = bottom;
  for (auto i = order.rbegin(); i != order.rend(); ++i) most = (wanted[*i] = std::min(wanted[*i], most)) - gap;
  return wanted;
}

}  // namespace pgram::page
