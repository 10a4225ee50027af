// RowRaster: one row of the timeline as pixels. Every column is the coverage-weighted mean of what happens in it (a box
// filter), so a stream that is busy 10 % of the time looks 10 % busy at any zoom; drawing at least one pixel per span
// would show it as full, and hide the bubbles that the window is for.
#pragma once
#include <array>
#include <span>
#include <vector>

#include "gui/model/track_store.h"

namespace pgram::gui {

class RowRaster {
 public:
  /// `classes`: one of theme.h for every piece of the track. Both must outlive the raster.
  RowRaster(const Track& track, std::span<const uint8_t> classes, const Palette& palette);

  /// `width` premultiplied pixels: column x covers [t0 + x * step, t0 + (x + 1) * step) picoseconds, alpha is the
  /// covered share. Picks the pyramid where it is fine enough and worth it.
  void render(double t0, double step, int width, Pixel* out) const;

  /// The exact mean, O(width * (log pieces + 32)).
  void render_exact(double t0, double step, int width, Pixel* out) const;
  /// From means of time buckets of doubling width, O(width): buckets that a column cuts are counted by their share.
  void render_pyramid(double t0, double step, int width, Pixel* out) const;
  bool pyramid_covers(double step) const { return !levels_.empty() && step >= 4 * bucket_; }

 private:
  using Sum = std::array<double, 4>;             ///< picoseconds times blue, green, red, alpha
  static constexpr size_t kBlock = 32;           ///< pieces per prefix sum
  static constexpr size_t kPyramidFrom = 16384;  ///< pieces; below that the exact filter is as fast

  void add(Sum& sum, size_t piece, double time) const;
  Sum sum_of(size_t first, size_t last) const;
  Pixel column(size_t& piece, double from, double to) const;
  void build_pyramid();

  const Track& track_;
  std::span<const uint8_t> classes_;
  const Palette& palette_;
  std::vector<Sum> prefix_;                 ///< of the first i * kBlock pieces
  double bucket_ = 0;                       ///< picoseconds of a bucket of level 0
  std::vector<std::vector<Pixel>> levels_;  ///< premultiplied; level l has buckets of bucket_ * 2^l
};

/// Puts a premultiplied line over a background; where `hatched`, uncovered parts between columns `from` and `to` show
/// diagonal lines, whose phase depends on `y`.
struct Background {
  Pixel plain = 0, hatch = 0;
  bool hatched = false;
  int from = 0, to = 0;
};
constexpr int kHatchPeriod = 8;
void compose(const Pixel* line, int width, int y, const Background& background, Pixel* out);

}  // namespace pgram::gui
