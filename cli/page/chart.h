// Charts: lines over an axis, stacked bars, and points with a few of them named. What is drawn is plain data.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cli/page/axis.h"
#include "cli/page/svg.h"

namespace pgram::page {

struct Quantity {
  std::string title;                        ///< "step time"
  std::function<std::string(double)> text;  ///< a value with its unit
  Spacing spacing = Spacing::automatic;
  double unit = 1;     ///< ticks are round in multiples of it
  bool whole = false;  ///< no ticks between multiples of it
};
/// Texts of ticks, without decimals that say nothing.
std::vector<std::string> tick_texts(const Quantity&, const Axis&);
Axis axis_of(const Quantity&, std::span<const double> values, int most = 6);

struct Line {
  enum class Look : uint8_t {
    marked,    ///< a mark at every point, what is known under the pointer
    ideal,     ///< thinly dashed, without marks
    overlaid,  ///< without marks; later lines are dashed, for the earlier ones to show through
  };
  struct Point {
    double x = 0, y = 0;
    std::string title;  ///< under the pointer
  };
  std::string name;
  size_t colour = 0;  ///< as colour_of_line takes it; the mark's shape too
  Look look = Look::marked;
  std::vector<Point> points;
};

/// One pair of axes.
struct LinePanel {
  Quantity x, y;
  std::vector<Line> lines;
  bool x_is_count = true;  ///< ticks of x are its values (GPU counts); else round values
};
/// One or two panels beside each other; their lines of one name look alike, and stand in one legend.
std::string line_chart(const std::string& label, const std::vector<LinePanel>&);

struct Bars {
  struct Part {
    std::string name, paint;
  };
  struct Bar {
    std::string group;  ///< printed where it differs from the bar's before
    std::string name, note;
    std::vector<double> parts;  ///< as Bars::parts; of the same sum or not
  };
  std::vector<Part> parts;  ///< from left to right, which is the order of the legend
  std::vector<Bar> bars;
};
/// Shares of 1, as percentages. Parts that are 0 in all bars are left out.
std::string stacked_bars(const std::string& label, const Bars&);

struct PointPanel {
  Quantity x, y;
  std::vector<XY> faint;
  struct Named {
    double x = 0, y = 0;
    std::string name, title;
  };
  std::vector<Named> named;
};
/// One or two panels beside each other. Faint points that would cover each other are drawn once, at most `most` in a
/// panel; `drawn`: how many were.
std::string point_chart(const std::string& label, const std::vector<PointPanel>&, size_t most,
                        std::vector<size_t>* drawn);

/// Values on one line for each row: how conditions differ.
struct Strips {
  Quantity x;
  struct Strip {
    std::string name, note;
    std::vector<Line::Point> points;  ///< y is not looked at
    size_t colour = 0;
  };
  std::vector<Strip> strips;
};
std::string strip_chart(const std::string& label, const Strips&);

}  // namespace pgram::page
