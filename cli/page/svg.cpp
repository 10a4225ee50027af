#include "cli/page/svg.h"

#include <algorithm>

#include "cli/page/text.h"

namespace pgram::page {
namespace {

std::string attribute(const char* name, std::string_view value) {
  return std::string(" ") + name + "=\"" + escaped(value) + "\"";
}

std::string attribute(const char* name, double value, int decimals = 1) {
  return std::string(" ") + name + "=\"" + fixed(value, decimals) + "\"";
}

/// Ends an element, with a title in it if there is one.
std::string end_of(const char* element, std::string_view title) {
  if (title.empty()) return "/>\n";
  return "><title>" + escaped(title) + "</title></" + element + ">\n";
}

/// Outline of a mark around (0, 0): disc, square, triangle, diamond, triangle on its tip, cross.
std::string outline(size_t shape) {
  switch (shape % 6) {
    case 0:
      return "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z";
    case 1:
      return "m-3.5 -3.5h7v7h-7z";
    case 2:
      return "m0 -4.8l4.6 8h-9.2z";
    case 3:
      return "m0 -5l5 5l-5 5l-5 -5z";
    case 4:
      return "m0 4.8l4.6 -8h-9.2z";
    default:
      return "m-1.5 -4.5h3v3h3v3h-3v3h-3v-3h-3v-3h3z";
  }
}

}  // namespace

void Svg::text(double x, double y, std::string_view text, const char* anchor, const char* css) {
  out_ += "<text" + attribute("x", x) + attribute("y", y);
  if (std::string_view(anchor) != "start") out_ += attribute("text-anchor", anchor);
  if (*css) out_ += attribute("class", css);
  out_ += ">" + escaped(text) + "</text>\n";
}

void Svg::upright(double x, double y, std::string_view text) {
  const std::string turn = "rotate(-90 " + fixed(x, 1) + " " + fixed(y, 1) + ")";
  out_ += "<text" + attribute("x", x) + attribute("y", y) + attribute("text-anchor", "middle") +
          attribute("class", "soft") + attribute("transform", turn) + ">" + escaped(text) + "</text>\n";
}

void Svg::rect(double x, double y, double width, double height, std::string_view paint, std::string_view title) {
  out_ += "<rect" + attribute("x", x, 2) + attribute("y", y) + attribute("width", std::max(width, 0.3), 2) +
          attribute("height", height) + attribute("fill", paint) + end_of("rect", title);
}

void Svg::axis_line(double x1, double y1, double x2, double y2) {
  out_ += "<line class=\"axis\"" + attribute("x1", x1) + attribute("y1", y1) + attribute("x2", x2) +
          attribute("y2", y2) + "/>\n";
}

void Svg::polyline(std::span<const XY> points, std::string_view paint, std::string_view dashes) {
  out_ += "<polyline fill=\"none\" stroke-width=\"2\"" + attribute("stroke", paint);
  if (!dashes.empty()) out_ += attribute("stroke-dasharray", dashes);
  std::string list;
  for (const XY& point : points) list += (list.empty() ? "" : " ") + fixed(point.x, 1) + "," + fixed(point.y, 1);
  out_ += attribute("points", list) + "/>\n";
}

void Svg::mark(size_t shape, XY at, std::string_view paint, std::string_view title) {
  out_ += "<path class=\"mark\"" + attribute("fill", paint) +
          attribute("d", "M" + fixed(at.x, 1) + " " + fixed(at.y, 1) + outline(shape)) + end_of("path", title);
}

void Svg::disc(XY at, std::string_view paint, std::string_view number, std::string_view title) {
  out_ += "<g><circle class=\"mark\" r=\"8\"" + attribute("cx", at.x) + attribute("cy", at.y) +
          attribute("fill", paint) + "/>" + "<text class=\"on\" text-anchor=\"middle\"" + attribute("x", at.x) +
          attribute("y", at.y + 3.5) + ">" + escaped(number) + "</text>" +
          (title.empty() ? "" : "<title>" + escaped(title) + "</title>") + "</g>\n";
}

void Svg::dots(std::span<const XY> points) {
  if (points.empty()) return;
  std::string path;
  for (const XY& point : points) path += "M" + fixed(point.x, 0) + " " + fixed(point.y, 0) + "h0";
  constexpr size_t kFew = 300;
  out_ += std::string("<path class=\"dots") + (points.size() < kFew ? " few" : "") + "\" d=\"" + path + "\"/>\n";
}

double Svg::legend(double x, double y, double width, std::span<const Key> keys) {
  constexpr double kRow = 18;
  double at = x, row = y;
  for (const Key& key : keys) {
    const double sample = key.line ? 26 : 12, whole = sample + 6 + text_width(key.name) + 16;
    if (at > x && at + whole > x + width) at = x, row += kRow;
    if (key.line) {
      const XY ends[] = {{at, row + 8}, {at + sample, row + 8}};
      polyline(ends, key.paint, key.dashes);
      if (key.shape != kNoMark) mark(key.shape, {at + sample / 2, row + 8}, key.paint);
    } else {
      rect(at, row + 2, sample, 12, key.paint);
    }
    text(at + sample + 6, row + 12, key.name);
    at += whole;
  }
  return keys.empty() ? 0 : row + kRow - y;
}

std::string Svg::finish(double height) const {
  return "<svg" + attribute("viewBox", "0 0 " + fixed(kPictureWidth, 0) + " " + fixed(height, 0)) + " role=\"img\"" +
         attribute("aria-label", label_) + ">\n" + out_ + "</svg>\n";
}

}  // namespace pgram::page
