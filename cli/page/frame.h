// The frame of a chart's panel: its axes with ticks and titles, and where a point of the data lies in the picture.
#pragma once
#include <string>

#include "cli/page/axis.h"
#include "cli/page/chart.h"
#include "cli/page/svg.h"

namespace pgram::page {

struct Frame {
  double left = 0, top = 0, width = 0, height = 0;  ///< of what is between the axes
  Axis x, y;

  XY at(double x_value, double y_value) const {
    return {left + width * x.at(x_value), top + height * (1 - y.at(y_value))};
  }
  /// Grid, tick labels and titles: those of y to the left, those of x below.
  void draw(Svg&, const Quantity& x_quantity, const Quantity& y_quantity) const;
};

constexpr double kLeftOfFrame = 74, kBelowFrame = 40;  ///< what ticks and titles take

/// Heights for labels that want to stand at `wanted`, at least `gap` apart, in their order, and at most at `bottom`.
std::vector<double> spread(std::vector<double> wanted, double gap, double top, double bottom);

}  // namespace pgram::page
