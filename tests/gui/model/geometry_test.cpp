#include "gui/model/geometry.h"

#include <gtest/gtest.h>

namespace pgram::gui {
namespace {

TEST(TimeAxis, MapsTimeToPixelsAndBack) {
  TimeAxis axis;
  axis.set_pixels(100, 800);
  axis.set_extent(1e9);
  axis.show(0, 8e8);  // 1e6 ps a pixel
  EXPECT_DOUBLE_EQ(axis.per_pixel(), 1e6);
  EXPECT_DOUBLE_EQ(axis.x_of(0), 100);
  EXPECT_DOUBLE_EQ(axis.x_of(2e8), 300);
  for (const double x : {100.0, 123.5, 899.0}) EXPECT_NEAR(axis.x_of(axis.time_at(x)), x, 1e-9);
}

TEST(TimeAxis, ZoomKeepsTheTimeUnderTheCursor) {
  TimeAxis axis;
  axis.set_pixels(100, 800);
  axis.set_extent(1e9);
  axis.fit();
  const double under = axis.time_at(300), span = axis.span();
  axis.zoom_at(300, 0.8);
  EXPECT_NEAR(axis.time_at(300), under, 1e-6 * span);
  EXPECT_NEAR(axis.span(), 0.8 * span, 1e-6 * span);
}

TEST(TimeAxis, ZoomStopsAtItsBoundsAndKeepsTheStepInTheWindow) {
  TimeAxis axis;
  axis.set_pixels(0, 1000);
  axis.set_extent(1e9);
  axis.fit();
  for (int i = 0; i < 200; ++i) axis.zoom_at(500, 0.5);
  EXPECT_DOUBLE_EQ(axis.span(), TimeAxis::kMinimumSpan);
  for (int i = 0; i < 200; ++i) axis.zoom_at(10, 2);
  EXPECT_DOUBLE_EQ(axis.span(), 4e9);
  axis.pan_by_pixels(1e6);
  EXPECT_GE(axis.to(), 0.1 * axis.span() - 1);
  axis.pan_by_pixels(-1e6);
  EXPECT_LE(axis.from(), 1e9 - 0.1 * axis.span() + 1);
}

TEST(TimeAxis, PansByPixels) {
  TimeAxis axis;
  axis.set_pixels(0, 1000);
  axis.set_extent(1e9);
  axis.show(1e8, 2e8);
  axis.pan_by_pixels(-100);  // content moves left by 100 px of 1e5 ps
  EXPECT_DOUBLE_EQ(axis.from(), 1.1e8);
  axis.pan_by_share(0.1);
  EXPECT_DOUBLE_EQ(axis.from(), 1.2e8);
}

TEST(TickDistance, IsRoundAndWideEnough) {
  EXPECT_DOUBLE_EQ(tick_distance(1), 1);
  EXPECT_DOUBLE_EQ(tick_distance(1.1), 2);
  EXPECT_DOUBLE_EQ(tick_distance(3e9), 5e9);
  EXPECT_DOUBLE_EQ(tick_distance(6e9), 1e10);
}

std::vector<Row> four_rows() {
  return {{0, Stream::compute, {}, 1, true},
          {0, Stream::tensor, {}, 1, false},
          {1, Stream::compute, {}, 1, true},
          {1, Stream::tensor, {}, 1, false}};
}

TEST(RowLayout, PlacesTheSameRowsInBothPanes) {
  RowLayout layout;
  layout.set(four_rows(), {{20, 200}, {240, 200}});
  // units 2 * (1 + 0.55) = 3.1, gaps 2 * 4: (200 - 8) / 3.1 = 61.9, at most 40: rows of 40 and 22, a gap of 4
  EXPECT_EQ(layout.band(0, 0).top, 20);
  EXPECT_EQ(layout.band(0, 0).height, 40);
  EXPECT_EQ(layout.band(0, 1).top, 60);
  EXPECT_EQ(layout.band(0, 1).height, 22);
  EXPECT_EQ(layout.band(0, 2).top, 86);
  EXPECT_EQ(layout.band(1, 2).top, 306);
  const auto place = layout.place_at(307);
  ASSERT_TRUE(place);
  EXPECT_EQ(place->pane, 1);
  EXPECT_EQ(place->row, 2u);
  EXPECT_FALSE(layout.place_at(84));   // the gap between two ranks
  EXPECT_FALSE(layout.place_at(10));   // above the panes
  EXPECT_FALSE(layout.place_at(230));  // between them
  EXPECT_EQ(layout.maximum_scroll(), 0);
}

TEST(RowLayout, ScrollsWhenRowsDoNotFit) {
  std::vector<Row> rows(50, Row{0, Stream::compute, {}, 1, false});
  RowLayout layout;
  layout.set(rows, {{0, 90}});  // 18 px each, 900 px
  EXPECT_EQ(layout.maximum_scroll(), 810);
  layout.set_scroll(180);
  EXPECT_EQ(layout.place_at(0)->row, 10u);
  EXPECT_EQ(layout.visible(0), (std::pair<size_t, size_t>{10, 15}));
  layout.set_scroll(99999);
  EXPECT_EQ(layout.scroll(), 810);
  layout.set_zoom(0.1);  // 1.8 px, drawn as 1: all fit
  EXPECT_EQ(layout.maximum_scroll(), 0);
  EXPECT_EQ(layout.visible(0), (std::pair<size_t, size_t>{0, 50}));
}

}  // namespace
}  // namespace pgram::gui
