#include "gui/model/row_raster.h"

#include <algorithm>
#include <cmath>

namespace pgram::gui {
namespace {

Pixel pack(const std::array<double, 4>& sum, double step) {
  const double scale = 1 / step;
  Pixel pixel = 0;
  for (int channel = 3; channel >= 0; --channel) {
    const double value = std::clamp(sum[static_cast<size_t>(channel)] * scale + 0.5, 0.0, 255.0);
    pixel = pixel << 8 | static_cast<Pixel>(value);
  }
  return pixel;
}

/// Mean of each byte; `up` picks the rounding, so that levels of a pyramid do not all lose.
Pixel mean(Pixel a, Pixel b, bool up) {
  const Pixel half = (a ^ b) >> 1 & 0x7f7f7f7fu;
  return up ? (a | b) - half : (a & b) + half;
}

}  // namespace

RowRaster::RowRaster(const Track& track, std::span<const uint8_t> classes, const Palette& palette)
    : track_(track), classes_(classes), palette_(palette) {
  Sum sum{};
  prefix_.reserve(track.size() / kBlock + 1);
  for (size_t i = 0; i < track.size(); ++i) {
    if (i % kBlock == 0) prefix_.push_back(sum);
    add(sum, i, static_cast<double>(track.end[i] - track.start[i]));
  }
  if (track.size() % kBlock == 0) prefix_.push_back(sum);
  if (track.size() >= kPyramidFrom) build_pyramid();
}

void RowRaster::add(Sum& sum, size_t piece, double time) const {
  const Pixel colour = palette_[classes_[piece]];
  for (size_t channel = 0; channel < 4; ++channel) sum[channel] += time * (colour >> (8 * channel) & 0xff);
}

RowRaster::Sum RowRaster::sum_of(size_t first, size_t last) const {
  Sum sum{};
  const size_t first_block = (first + kBlock - 1) / kBlock, last_block = last / kBlock;
  const auto add_pieces = [&](size_t from, size_t to) {
    for (size_t i = from; i < to; ++i) add(sum, i, static_cast<double>(track_.end[i] - track_.start[i]));
  };
  if (last_block <= first_block) {
    add_pieces(first, last);
    return sum;
  }
  add_pieces(first, first_block * kBlock);
  for (size_t channel = 0; channel < 4; ++channel) {
    sum[channel] += prefix_[last_block][channel] - prefix_[first_block][channel];
  }
  add_pieces(last_block * kBlock, last);
  return sum;
}

/// Mean over [from, to) where `piece` is the first that ends after `from`; leaves the first that ends after `to`.
Pixel RowRaster::column(size_t& piece, double from, double to) const {
  // pieces that start before `to`: gallop, since most columns hold few
  const auto starts_before = [&](size_t i) { return static_cast<double>(track_.start[i]) < to; };
  size_t low = piece + 1, reach = 1;
  while (low + reach < track_.size() && starts_before(low + reach)) {
    low += reach;
    reach *= 2;
  }
  const auto begin = track_.start.begin();
  const auto limit = begin + static_cast<std::ptrdiff_t>(std::min(track_.size(), low + reach + 1));
  const auto stop = std::partition_point(begin + static_cast<std::ptrdiff_t>(std::min(low, track_.size())), limit,
                                         [&](Picoseconds start) { return static_cast<double>(start) < to; });
  const size_t last = std::max(piece + 1, static_cast<size_t>(stop - begin)) - 1;

  // the first and the last piece may be cut by the column; those between are whole
  const auto clipped = [&](size_t i) {
    return std::min(to, static_cast<double>(track_.end[i])) - std::max(from, static_cast<double>(track_.start[i]));
  };
  Sum sum = last > piece + 1 ? sum_of(piece + 1, last) : Sum{};
  add(sum, piece, std::max(0.0, clipped(piece)));
  if (last > piece) add(sum, last, std::max(0.0, clipped(last)));
  piece = static_cast<double>(track_.end[last]) > to ? last : last + 1;
  return pack(sum, to - from);
}

void RowRaster::render_exact(double t0, double step, int width, Pixel* out) const {
  size_t piece = track_.first_ending_after(t0);
  const auto column_of = [&](double time) {
    return static_cast<int>(std::clamp((time - t0) / step, 0.0, static_cast<double>(width)));
  };
  int x = 0;
  while (x < width) {
    const double from = t0 + x * step, to = from + step;
    while (piece < track_.size() && static_cast<double>(track_.end[piece]) <= from) ++piece;
    if (piece == track_.size()) {
      std::fill(out + x, out + width, 0);
      return;
    }
    const double start = static_cast<double>(track_.start[piece]), end = static_cast<double>(track_.end[piece]);
    int stop = x + 1;
    if (start >= to) {
      stop = std::max(stop, column_of(start));
      std::fill(out + x, out + stop, 0);
    } else if (start <= from && end >= to) {
      stop = std::max(stop, column_of(end));
      std::fill(out + x, out + stop, palette_[classes_[piece]]);
    } else {
      out[x] = column(piece, from, to);
    }
    x = stop;
  }
}

void RowRaster::build_pyramid() {
  const double span = static_cast<double>(track_.end.back());
  bucket_ = std::max(1.0, 2 * span / static_cast<double>(track_.size()));
  const auto buckets = static_cast<size_t>(span / bucket_) + 1;
  std::vector<Pixel> level(buckets);
  render_exact(0, bucket_, static_cast<int>(buckets), level.data());
  bool up = false;
  while (level.size() > 64) {
    std::vector<Pixel> coarser((level.size() + 1) / 2);
    for (size_t i = 0; i < coarser.size(); ++i) {
      coarser[i] = mean(level[2 * i], 2 * i + 1 < level.size() ? level[2 * i + 1] : 0, up);
    }
    levels_.push_back(std::move(level));
    level = std::move(coarser);
    up = !up;
  }
  levels_.push_back(std::move(level));
}

void RowRaster::render_pyramid(double t0, double step, int width, Pixel* out) const {
  size_t index = 0;
  double bucket = bucket_;
  while (index + 1 < levels_.size() && bucket * 8 <= step) {  // a column spans four buckets or more
    bucket *= 2;
    ++index;
  }
  const std::vector<Pixel>& level = levels_[index];
  const double count = static_cast<double>(level.size());
  for (int x = 0; x < width; ++x) {
    const double from = std::clamp((t0 + x * step) / bucket, 0.0, count);
    const double to = std::clamp((t0 + (x + 1) * step) / bucket, 0.0, count);
    Sum sum{};
    for (auto i = static_cast<size_t>(from); static_cast<double>(i) < to; ++i) {
      const double share = std::min(to, static_cast<double>(i) + 1) - std::max(from, static_cast<double>(i));
      for (size_t channel = 0; channel < 4; ++channel) sum[channel] += share * (level[i] >> (8 * channel) & 0xff);
    }
    out[x] = pack(sum, step / bucket);
  }
}

void RowRaster::render(double t0, double step, int width, Pixel* out) const {
  if (pyramid_covers(step)) {
    render_pyramid(t0, step, width, out);
  } else {
    render_exact(t0, step, width, out);
  }
}

void compose(const Pixel* line, int width, int y, const Background& background, Pixel* out) {
  for (int x = 0; x < width; ++x) {
    const Pixel over = line[x];
    if (alpha(over) == 255) {
      out[x] = over;
      continue;
    }
    const bool on_line = background.hatched && x >= background.from && x < background.to &&
                         ((x + y) % kHatchPeriod + kHatchPeriod) % kHatchPeriod < 2;
    const Pixel under = on_line ? background.hatch : background.plain;
    const int rest = 255 - alpha(over);
    const auto blend = [&](int top, int bottom) { return std::min(255, top + (bottom * rest + 127) / 255); };
    out[x] = rgb(blend(red(over), red(under)), blend(green(over), green(under)), blend(blue(over), blue(under)));
  }
}

}  // namespace pgram::gui
