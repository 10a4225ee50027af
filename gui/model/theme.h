// Colours of the timeline, for a light and a dark window. No colour stands alone: bubbles are hatched, the selection is
// outlined, rows and blocks carry text.
#pragma once
#include <array>
#include <cstdint>

#include "core/plan/kernel.h"

namespace pgram::gui {

using Pixel = uint32_t;  ///< 0xAARRGGBB, premultiplied where A < 255

constexpr Pixel rgb(int r, int g, int b) {
  return 0xff000000u | static_cast<Pixel>(r) << 16 | static_cast<Pixel>(g) << 8 | static_cast<Pixel>(b);
}
constexpr int red(Pixel p) {
  return p >> 16 & 0xff;
}
constexpr int green(Pixel p) {
  return p >> 8 & 0xff;
}
constexpr int blue(Pixel p) {
  return p & 0xff;
}
constexpr int alpha(Pixel p) {
  return p >> 24;
}

/// A piece of a row has a class, the class has a colour. Colouring by kind: the Category, or kWaitingClass for the part
/// of a communication that waits for its other members. Colouring by difference: kDifferenceSteps quantised relative
/// differences from faster to slower, kUnmatchedClass, or kWaitingDifferenceClass.
constexpr int kClasses = 17;
constexpr uint8_t kWaitingClass = kCategories;
constexpr int kDifferenceSteps = 15;
constexpr uint8_t kUnmatchedClass = kDifferenceSteps;
constexpr uint8_t kWaitingDifferenceClass = kDifferenceSteps + 1;
using Palette = std::array<Pixel, kClasses>;

enum class ColourMode : uint8_t { kind, difference };

struct Theme {
  Pixel window, row, row_alternate;  ///< behind everything; behind a row outside and inside the step
  Pixel hatch;                       ///< lines of a bubble
  Pixel text, faint_text, grid;
  Pixel selection, hover;
  Pixel first_line, second_line, limit;  ///< memory curves of the upper and lower timeline, device memory
  Palette kind, difference;

  const Palette& palette(ColourMode mode) const { return mode == ColourMode::kind ? kind : difference; }
};

const Theme& light_theme();
const Theme& dark_theme();

/// Relative luminance and contrast ratio of WCAG 2.1 (1 ... 21).
double contrast(Pixel a, Pixel b);
/// Black or white, whichever reads better on the colour.
Pixel text_on(Pixel background);

}  // namespace pgram::gui
