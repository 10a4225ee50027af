// TimelineGeometry: where things are in the window. Time to x and back, rows to y and back; no widget, no pixels.
#pragma once
#include <optional>
#include <vector>

#include "core/base/units.h"
#include "gui/model/track_store.h"

namespace pgram::gui {

/// The visible part of the time axis on `width` pixels beginning at `left`. Times are since the step's start.
class TimeAxis {
 public:
  static constexpr double kMinimumSpan = 1000;  ///< picoseconds

  void set_pixels(double left, double width);
  /// What "fit" shows: the longer of the two steps and a small margin.
  void set_extent(double duration);
  void fit();
  void show(double from, double to);

  double left() const { return left_; }
  double width() const { return width_; }
  double from() const { return from_; }
  double to() const { return from_ + span_; }
  double span() const { return span_; }
  double extent() const { return extent_; }
  double per_pixel() const { return span_ / width_; }

  double x_of(double time) const { return left_ + (time - from_) / per_pixel(); }
  double time_at(double x) const { return from_ + (x - left_) * per_pixel(); }

  /// `factor` < 1 zooms in; the time under `x` stays there (unless the ends of the axis forbid it).
  void zoom_at(double x, double factor);
  void pan_by_pixels(double dx);
  void pan_by_share(double share) { pan_by_pixels(-share * width_); }

 private:
  void clamp();

  double left_ = 0, width_ = 1, from_ = 0, span_ = 1, extent_ = 1;
};

/// A round distance between ticks (1, 2 or 5 times a power of ten picoseconds), at least `minimum` apart.
double tick_distance(double minimum);

/// The rows of one or two panes that share a vertical scroll position.
class RowLayout {
 public:
  static constexpr double kMinimumZoom = 0.1, kMaximumZoom = 4;

  struct Band {
    int top = 0, height = 0;
  };
  struct Place {
    int pane = 0;  ///< 0 upper, 1 lower
    size_t row = 0;
  };

  /// Rows with compute streams get the whole height, communication streams about half of it. `panes`: one for each
  /// timeline shown, the part of the window that its rows may use.
  void set(const std::vector<Row>& rows, std::vector<Band> panes);
  /// 1 = rows as high as fits the panes, within bounds that keep them readable.
  void set_zoom(double zoom);
  double zoom() const { return zoom_; }
  void set_scroll(int scroll);
  int scroll() const { return scroll_; }
  int maximum_scroll() const;
  int page() const { return panes_.empty() ? 0 : panes_[0].height; }

  const std::vector<Band>& panes() const { return panes_; }
  size_t rows() const { return compute_.size(); }
  /// In window pixels; may lie outside of its pane.
  Band band(int pane, size_t row) const;
  std::optional<Place> place_at(double y) const;
  /// Visible rows of a pane: [first, last).
  std::pair<size_t, size_t> visible(int pane) const;

 private:
  void place();

  std::vector<bool> compute_, first_of_rank_;
  std::vector<Band> panes_;
  std::vector<int> top_;  ///< of each row, from the first
  std::vector<int> height_;
  int content_ = 0, scroll_ = 0;
  double zoom_ = 1;
};

}  // namespace pgram::gui
