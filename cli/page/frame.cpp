#include "cli/page/frame.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "cli/page/text.h"

namespace pgram::page {

namespace {

/// Zeros at the end of the number's decimals; -1 if it has none. `end`: where the decimals end.
int trailing_zeros(const std::string& text, size_t& end) {
  const size_t point = text.find('.');
  if (point == std::string::npos) return -1;
  end = text.find_first_not_of("0123456789", point + 1);
  if (end == std::string::npos) end = text.size();
  return static_cast<int>(end - 1 - text.find_last_not_of('0', end - 1));
}

}  // namespace

std::vector<std::string> tick_texts(const Quantity& quantity, const Axis& axis) {
  std::vector<std::string> texts;
  int common = 99;
  bool all_whole = true;
  for (const double tick : axis.ticks) {
    texts.push_back(quantity.text(tick));
    size_t end = 0;
    const int zeros = trailing_zeros(texts.back(), end);
    if (zeros < 0) continue;
    common = std::min(common, zeros);
    all_whole = all_whole && texts.back()[end - 1 - static_cast<size_t>(zeros)] == '.';
  }
  for (std::string& text : texts) {
    size_t end = 0;
    const int zeros = trailing_zeros(text, end);
    const int less = all_whole ? zeros : std::min(common, zeros);
    if (less <= 0) continue;
    text.erase(end - static_cast<size_t>(less), static_cast<size_t>(less));
    end -= static_cast<size_t>(less);
    if (text[end - 1] == '.') text.erase(end - 1, 1);
  }
  return texts;
}

Axis axis_of(const Quantity& quantity, std::span<const double> values, int most) {
  std::vector<double> in_units(values.begin(), values.end());
  for (double& value : in_units) value /= quantity.unit;
  Axis axis = axis_of(in_units, quantity.spacing, most);
  if (quantity.whole) std::erase_if(axis.ticks, [](double tick) { return std::fabs(tick - std::round(tick)) > 1e-9; });
  axis.low *= quantity.unit, axis.high *= quantity.unit;
  for (double& tick : axis.ticks) tick *= quantity.unit;
  return axis;
}

void Frame::draw(Svg& svg, const Quantity& x_quantity, const Quantity& y_quantity) const {
  const double bottom = top + height, right = left + width;
  const std::vector<std::string> x_texts = tick_texts(x_quantity, x), y_texts = tick_texts(y_quantity, y);
  for (size_t i = 0; i < y.ticks.size(); ++i) {
    const double at = top + height * (1 - y.at(y.ticks[i]));
    svg.axis_line(left, at, right, at);
    svg.text(left - 7, at + 4, y_texts[i], "end");
  }
  svg.axis_line(left, bottom, right, bottom);
  for (size_t i = 0; i < x.ticks.size(); ++i) {
    const double at = left + width * x.at(x.ticks[i]);
    svg.axis_line(at, bottom, at, bottom + 5);
    svg.text(at, bottom + 17, x_texts[i], "middle");
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
