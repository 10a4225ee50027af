#include "gui/model/theme.h"

#include <algorithm>
#include <cmath>

namespace pgram::gui {
namespace {

// Okabe & Ito's palette (distinguishable with the common colour vision deficiencies), one brown added.
constexpr Pixel kBlue = rgb(0x00, 0x72, 0xb2), kGreen = rgb(0x00, 0x9e, 0x73), kGrey = rgb(0x99, 0x99, 0x99),
                kOrange = rgb(0xe6, 0x9f, 0x00), kBrown = rgb(0xa6, 0x61, 0x1a), kPurple = rgb(0xcc, 0x79, 0xa7),
                kVermilion = rgb(0xd5, 0x5e, 0x00), kYellow = rgb(0xf0, 0xe4, 0x42), kSky = rgb(0x56, 0xb4, 0xe9);

Pixel mix(Pixel a, Pixel b, double share_of_b) {
  const auto channel = [&](int x, int y) { return static_cast<int>(std::lround(x + (y - x) * share_of_b)); };
  return rgb(channel(red(a), red(b)), channel(green(a), green(b)), channel(blue(a), blue(b)));
}

Palette kind_palette(Pixel waiting, Pixel other) {
  Palette palette;
  palette.fill(other);
  const auto set = [&](Category category, Pixel pixel) { palette[static_cast<size_t>(category)] = pixel; };
  set(Category::forward, kBlue);
  set(Category::backward, kGreen);
  set(Category::optimizer, kGrey);
  set(Category::tensor_comm, kOrange);
  set(Category::data_comm, kBrown);
  set(Category::pipeline_comm, kPurple);
  palette[kWaitingClass] = waiting;
  return palette;
}

Palette difference_palette(Pixel equal, Pixel unmatched, Pixel waiting) {
  Palette palette;
  constexpr int kMiddle = kDifferenceSteps / 2;
  for (int i = 0; i < kDifferenceSteps; ++i) {
    const double strength = std::abs(i - kMiddle) / static_cast<double>(kMiddle);
    palette[static_cast<size_t>(i)] = mix(equal, i < kMiddle ? kBlue : kVermilion, strength);
  }
  palette[kUnmatchedClass] = unmatched;
  palette[kWaitingDifferenceClass] = waiting;
  return palette;
}

Theme make_light() {
  Theme t{};
  t.window = rgb(255, 255, 255);
  t.row = rgb(255, 255, 255);
  t.row_alternate = rgb(246, 246, 248);
  t.hatch = rgb(236, 205, 184);
  t.text = rgb(20, 20, 24);
  t.faint_text = rgb(96, 96, 104);
  t.grid = rgb(218, 218, 224);
  t.selection = rgb(0, 0, 0);
  t.hover = rgb(200, 30, 90);
  t.first_line = kBlue;
  t.second_line = kVermilion;
  t.limit = rgb(190, 60, 40);
  t.kind = kind_palette(rgb(233, 227, 217), rgb(120, 120, 128));
  t.difference = difference_palette(rgb(190, 190, 190), rgb(228, 220, 236), t.kind[kWaitingClass]);
  return t;
}

Theme make_dark() {
  Theme t{};
  t.window = rgb(30, 30, 34);
  t.row = rgb(30, 30, 34);
  t.row_alternate = rgb(38, 38, 43);
  t.hatch = rgb(88, 66, 54);
  t.text = rgb(232, 232, 236);
  t.faint_text = rgb(160, 160, 168);
  t.grid = rgb(62, 62, 70);
  t.selection = rgb(255, 255, 255);
  t.hover = kYellow;
  t.first_line = kSky;
  t.second_line = kOrange;
  t.limit = rgb(235, 110, 90);
  t.kind = kind_palette(rgb(72, 67, 61), rgb(130, 130, 138));
  t.difference = difference_palette(rgb(120, 120, 124), rgb(66, 58, 76), t.kind[kWaitingClass]);
  return t;
}

double luminance(Pixel p) {
  const auto linear = [](int channel) {
    const double c = channel / 255.0;
    return c <= 0.03928 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4);
  };
  return 0.2126 * linear(red(p)) + 0.7152 * linear(green(p)) + 0.0722 * linear(blue(p));
}

}  // namespace

const Theme& light_theme() {
  static const Theme theme = make_light();
  return theme;
}

const Theme& dark_theme() {
  static const Theme theme = make_dark();
  return theme;
}

double contrast(Pixel a, Pixel b) {
  const double x = luminance(a), y = luminance(b);
  return (std::max(x, y) + 0.05) / (std::min(x, y) + 0.05);
}

Pixel text_on(Pixel background) {
  const Pixel black = rgb(0, 0, 0), white = rgb(255, 255, 255);
  return contrast(black, background) >= contrast(white, background) ? black : white;
}

}  // namespace pgram::gui
