// Fixed measures of the timeline view, in logical pixels.
#pragma once

namespace pgram::gui {
constexpr int kRulerHeight = 22;
constexpr int kHeaderHeight = 22;
constexpr int kGutterWidth = 124;
constexpr int kMemoryHeight = 104;
}  // namespace pgram::gui
