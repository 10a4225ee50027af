#include "gui/model/geometry.h"

#include <algorithm>
#include <cmath>

namespace pgram::gui {

void TimeAxis::set_pixels(double left, double width) {
  left_ = left;
  width_ = std::max(1.0, width);
}

void TimeAxis::set_extent(double duration) {
  extent_ = std::max(kMinimumSpan, duration);
}

void TimeAxis::fit() {
  show(-0.005 * extent_, 1.02 * extent_);
}

void TimeAxis::show(double from, double to) {
  from_ = from;
  span_ = to - from;
  clamp();
}

void TimeAxis::zoom_at(double x, double factor) {
  const double time = time_at(x);
  const double share = (x - left_) / width_;
  span_ = std::clamp(span_ * factor, kMinimumSpan, 4 * extent_);
  from_ = time - share * span_;
  clamp();
}

void TimeAxis::pan_by_pixels(double dx) {
  from_ -= dx * per_pixel();
  clamp();
}

/// The step never leaves the window: at least a tenth of the window shows it.
void TimeAxis::clamp() {
  span_ = std::clamp(span_, kMinimumSpan, 4 * extent_);
  from_ = std::clamp(from_, -0.9 * span_, extent_ - 0.1 * span_);
}

double tick_distance(double minimum) {
  const double power = std::pow(10.0, std::floor(std::log10(std::max(1.0, minimum))));
  for (const double digit : {1.0, 2.0, 5.0}) {
    if (digit * power >= minimum) return digit * power;
  }
  return 10 * power;
}

void RowLayout::set(const std::vector<Row>& rows, std::vector<Band> panes) {
  compute_.clear();
  first_of_rank_.clear();
  for (const Row& row : rows) {
    compute_.push_back(row.stream == Stream::compute);
    first_of_rank_.push_back(row.first_of_rank);
  }
  panes_ = std::move(panes);
  place();
}

void RowLayout::set_zoom(double zoom) {
  zoom_ = std::clamp(zoom, kMinimumZoom, kMaximumZoom);
  place();
}

void RowLayout::place() {
  constexpr double kCommunicationShare = 0.55, kLowest = 18, kHighest = 40;
  double units = 0;
  for (const bool compute : compute_) units += compute ? 1 : kCommunicationShare;
  const double gaps = static_cast<double>(std::count(first_of_rank_.begin(), first_of_rank_.end(), true));
  const int pane = panes_.empty() ? 0 : panes_[0].height;
  const int gap = 4;
  const double fitting = units > 0 ? (pane - gap * gaps) / units : kHighest;
  const double unit = std::clamp(fitting, kLowest, kHighest) * zoom_;
  top_.clear();
  height_.clear();
  content_ = 0;
  for (size_t row = 0; row < compute_.size(); ++row) {
    if (first_of_rank_[row] && row > 0) content_ += unit >= 8 ? gap : 0;
    const int height = std::max(1, static_cast<int>(unit * (compute_[row] ? 1 : kCommunicationShare)));
    top_.push_back(content_);
    height_.push_back(height);
    content_ += height;
  }
  set_scroll(scroll_);
}

int RowLayout::maximum_scroll() const {
  return std::max(0, content_ - page());
}

void RowLayout::set_scroll(int scroll) {
  scroll_ = std::clamp(scroll, 0, maximum_scroll());
}

RowLayout::Band RowLayout::band(int pane, size_t row) const {
  return {panes_[static_cast<size_t>(pane)].top + top_[row] - scroll_, height_[row]};
}

std::optional<RowLayout::Place> RowLayout::place_at(double y) const {
  for (size_t pane = 0; pane < panes_.size(); ++pane) {
    const double inside = y - panes_[pane].top;
    if (inside < 0 || inside >= panes_[pane].height || top_.empty()) continue;
    const auto it = std::upper_bound(top_.begin(), top_.end(), static_cast<int>(inside) + scroll_);
    if (it == top_.begin()) return std::nullopt;
    const auto row = static_cast<size_t>(it - top_.begin() - 1);
    if (static_cast<int>(inside) + scroll_ >= top_[row] + height_[row]) return std::nullopt;
    return Place{static_cast<int>(pane), row};
  }
  return std::nullopt;
}

std::pair<size_t, size_t> RowLayout::visible(int pane) const {
  const int bottom = scroll_ + panes_[static_cast<size_t>(pane)].height;
  size_t first = 0;
  while (first < top_.size() && top_[first] + height_[first] <= scroll_) ++first;
  size_t last = first;
  while (last < top_.size() && top_[last] < bottom) ++last;
  return {first, last};
}

}  // namespace pgram::gui
