// One picture in SVG, written shape by shape. Coordinates are pixels of a page of full width, y downwards.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pgram::page {

constexpr double kPictureWidth = 960;

struct XY {
  double x = 0, y = 0;
};

class Svg {
 public:
  /// `label`: what the picture shows, for those who do not see it.
  explicit Svg(std::string label) : label_(std::move(label)) {}

  /// `anchor`: start, middle or end. `css`: classes of the page's style ("soft", "strong", "small").
  void text(double x, double y, std::string_view, const char* anchor = "start", const char* css = "");
  /// A turned text, upwards; centred.
  void upright(double x, double y, std::string_view);
  /// `title`: shown under the pointer.
  void rect(double x, double y, double width, double height, std::string_view paint, std::string_view title = {});
  void axis_line(double x1, double y1, double x2, double y2);
  void polyline(std::span<const XY>, std::string_view paint, std::string_view dashes = {});
  /// Marks of different shape tell lines apart without colour.
  void mark(size_t shape, XY, std::string_view paint, std::string_view title = {});
  /// A numbered disc.
  void disc(XY, std::string_view paint, std::string_view number, std::string_view title);
  /// Faint dots, as one path; smaller where there are many.
  void dots(std::span<const XY>);

  struct Key {
    std::string name, paint;
    bool line = false;        ///< a line with its mark, else a filled box
    size_t shape = 0;         ///< the line's mark; kNoMark: none
    std::string dashes = {};  ///< of the line
  };
  static constexpr size_t kNoMark = ~size_t{0};
  /// A row of keys from (x, y), broken where it is wider than `width`; the height that it takes.
  double legend(double x, double y, double width, std::span<const Key>);

  /// The whole element.
  std::string finish(double height) const;

 private:
  std::string label_, out_;
};

}  // namespace pgram::page
