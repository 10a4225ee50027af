// Colours of all pages, safe for the colour-blind (Okabe and Ito 2008) and the same as in the window.
#pragma once
#include <string>

namespace pgram::page {

// Paint of a picture's parts. The page's style says what they are, in the light and in the dark.
constexpr const char* kBlue = "var(--blue)";
constexpr const char* kGreen = "var(--green)";
constexpr const char* kPink = "var(--pink)";
constexpr const char* kOrange = "var(--orange)";
constexpr const char* kRed = "var(--red)";
constexpr const char* kSky = "var(--sky)";
constexpr const char* kBrown = "var(--brown)";
constexpr const char* kViolet = "var(--violet)";
constexpr const char* kYellow = "var(--yellow)";
constexpr const char* kGrey = "var(--grey)";
constexpr const char* kInk = "var(--ink)";
constexpr const char* kPaper = "var(--paper)";
// Waiting is hatched, for it to look like nothing that works; each kind its own way.
constexpr const char* kHatchRising = "url(#rising)";
constexpr const char* kHatchLevel = "url(#level)";
constexpr const char* kHatchFalling = "url(#falling)";
constexpr const char* kHatchCrossed = "url(#crossed)";

/// One after the other for things that have no colour of their own, such as the lines of a picture; they repeat.
const char* colour_of_line(size_t index);
constexpr size_t kLineColours = 7;

/// CSS of the colours, for light and dark screens and for paper.
std::string colour_style();
/// An element of no size that holds the hatches; once in a page, before its pictures.
std::string hatches();

}  // namespace pgram::page
