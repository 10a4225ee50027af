#include "cli/page/colours.h"

namespace pgram::page {

const char* colour_of_line(size_t index) {
  static constexpr const char* kColours[kLineColours] = {kBlue, kRed, kGreen, kPink, kOrange, kSky, kGrey};
  return kColours[index % kLineColours];
}

std::string colour_style() {
  return R"(:root { color-scheme: light dark; --ink: #1b1f24; --paper: #ffffff; --soft: #5b6470; --line: #d5d9e0; --dot: #9aa3b0;
  --blue: #0072b2; --green: #009e73; --pink: #cc79a7; --orange: #e69f00; --red: #d55e00; --sky: #56b4e9;
  --brown: #7a4a12; --violet: #6a51a3; --yellow: #f0e442; --grey: #8a8f98; --wait: #e3e6eb; --hatch: #6b7280; }
@media screen and (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --paper: #16191d; --soft: #a2abb6; --line: #3a4048;
  --dot: #8b95a2; --blue: #1f83c4; --brown: #a8712c; --violet: #9a86d6; --wait: #2b3038; --hatch: #98a1ad; } }
)";
}

std::string hatches() {
  const auto pattern = [](const char* id, const char* lines) {
    return std::string("<pattern id=\"") + id +
           "\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\"><rect width=\"6\" height=\"6\" "
           "fill=\"var(--wait)\"/><path d=\"" +
           lines + "\" stroke=\"var(--hatch)\" stroke-width=\"1.2\" fill=\"none\"/></pattern>\n";
  };
  // Lines that leave the tile go on in its neighbour.
  return "<svg width=\"0\" height=\"0\" style=\"position:absolute\" aria-hidden=\"true\"><defs>\n" +
         pattern("rising", "M-1 7L7 -1M-1 1L1 -1M5 7L7 5") + pattern("level", "M0 1.5H6M0 4.5H6") +
         pattern("falling", "M-1 -1L7 7M-1 5L1 7M5 -1L7 1") + pattern("crossed", "M0 0L6 6M0 6L6 0") +
         "</defs></svg>\n";
}

}  // namespace pgram::page
